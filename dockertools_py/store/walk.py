"""A tree on disk as entries, in the order of their names.

Modes are made canonical: in a store path only the executable bit has a meaning. The number of links and the inode are
never looked at, since `nix-store --optimise` changes them; nor are times, owners and the order of readdir. Of a
directory or a link nothing but its name and target is read, so that there is one stat per file and none for the rest.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind, Owner

EXECUTABLE = 0o111
STORE_DIRECTORY = b"/nix/store/"


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes that a tree gets in a layer."""

    directory: int
    file: int
    executable: int


STORE_MODES = Modes(0o555, 0o444, 0o555)
"""As Nix itself keeps its store."""
ROOT_MODES = Modes(0o755, 0o644, 0o755)
"""Of what is copied to `/`: the owner may change it, as in any root file system."""
LINK_MODE = 0o777


def walk(
    top: bytes, name: bytes, modes: Modes, owner: Owner, mtime: int, *, open_links: bool = False
) -> Iterator[Entry]:
    """The entries of the tree at `top`, named `name` (without a trailing `/`) and below it.

    With an empty `name` the tree's content is at the top of the layer, and `top` itself has no entry. With `open_links` a link
    to a directory of the store is a directory of what is in it, unless that is one above the link: it would have no end.
    Raises DockertoolsError for what a store path cannot hold: devices, fifos, sockets.
    """
    if os.path.islink(top) or not os.path.isdir(top):
        if name:
            yield _leaf(top, name, os.path.islink(top), modes, owner, mtime)
        return
    # What is still to be emitted, last first: an explicit stack, since trees may be deeper than Python's.
    stack = [(name + b"/" if name else b"", top, True, False)]
    while stack:
        full, path, is_directory, is_link = stack.pop()
        if not is_directory:
            yield _leaf(path, full, is_link, modes, owner, mtime)
            continue
        if full:
            yield Entry(full, Kind.DIRECTORY, modes.directory, owner, mtime)
        with os.scandir(path) as children:
            listed = [
                (full + child.name + b"/", child.path, True, False)
                if child.is_dir(follow_symlinks=False) or (open_links and _opens(child))
                else (full + child.name, child.path, False, child.is_symlink())
                for child in children
            ]
        listed.sort(reverse=True)
        stack += listed
        del listed  # or what was emitted would be kept until the next directory


def _opens(child: os.DirEntry[bytes]) -> bool:
    """Whether a child is a link to a directory of the store that is not one of those above it."""
    if not (child.is_symlink() and child.is_dir()):
        return False
    target = os.path.realpath(child.path) + b"/"
    if not target.startswith(STORE_DIRECTORY):
        return False  # what a container has there, not what the build has
    folder = os.path.dirname(child.path)
    while folder != b"/":
        if (os.path.realpath(folder) + b"/").startswith(target):
            return False
        folder = os.path.dirname(folder)
    return True


def link_tree(top: bytes, owner: Owner, mtime: int, *, open_links: bool = False) -> Iterator[Entry]:
    """The tree below `top` as real directories with a link for each file, as entries at the top of a layer.

    Links to directories inside the tree are links here too, not followed (they may lead in a circle), but with `open_links`.
    """
    top = os.path.realpath(top)
    for entry in walk(top, b"", ROOT_MODES, owner, mtime, open_links=open_links):
        if entry.kind is Kind.DIRECTORY:
            yield entry
        else:
            target = top + b"/" + entry.name
            yield Entry(entry.name, Kind.SYMLINK, LINK_MODE, owner, mtime, link=target, path=target)


def _leaf(path: bytes, name: bytes, is_link: bool, modes: Modes, owner: Owner, mtime: int) -> Entry:
    if is_link:
        return Entry(name, Kind.SYMLINK, LINK_MODE, owner, mtime, link=os.readlink(path), path=path)
    status = os.lstat(path)
    if status.st_mode & 0o170000 != 0o100000:
        raise DockertoolsError(f"{shown(path)}: neither file, directory nor link: a store path cannot hold it")
    mode = modes.executable if status.st_mode & EXECUTABLE else modes.file
    return Entry(name, Kind.FILE, mode, owner, mtime, status.st_size, path=path)
