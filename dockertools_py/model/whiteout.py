"""How a layer says that something of the layers below is gone (OCI image spec 1.1, layer.md, "Whiteouts")."""

from dockertools_py.model.entry import Entry, Kind

PREFIX = b".wh."
META_PREFIX = b".wh..wh."
"""What AUFS noted for itself at the top of a layer; of no meaning to anybody else, and left out by Docker."""
OPAQUE = b".wh..wh..opq"
"""In a directory: nothing of the layers below is in it."""


def hides(folder: bytes, name: bytes) -> bytes | None:
    """The path that the member `name` in `folder` (empty, or ending in `/`) hides in the layers below.

    Ending in `/` for all that is in a directory, without the directory itself; None when it is no whiteout.
    """
    if name == OPAQUE:
        return folder
    return folder + name.removeprefix(PREFIX) if name.startswith(PREFIX) and len(name) > len(PREFIX) else None


def whiteout(name: bytes, mtime: int) -> Entry:
    """The entry that hides `name`, which has no trailing `/`, in the layers below."""
    folder, slash, last = name.rpartition(b"/")
    return Entry(folder + slash + PREFIX + last, Kind.FILE, 0o644, mtime=mtime)
