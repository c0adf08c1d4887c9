"""The files of an archive or a layout by name, wherever they are: what validating and reading an image stand on."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.canonical_json import MAX_JSON_BYTES
from dockertools_py.model.entry import Kind
from dockertools_py.pack.decompression import MAGIC_SIZE, compressor_of
from dockertools_py.pack.tar import BLOCK
from dockertools_py.pack.tar_reader import FileStream, begins_as_tar, members
from dockertools_py.pack.verified import Buffer

READ_SIZE = 1 << 20
_MAX_LINKS = 8
_NAMES = ("utf-8", "surrogateescape")


class Members(Protocol):
    """Files by name; `range` is where one lies: file, offset, size."""

    what: str

    def names(self) -> Iterable[str]:
        """All names, in no order that means anything."""

    def range(self, name: str) -> tuple[Path, int, int] | None:
        """File, offset and size of a name; None when it is not there."""


class ArchiveMembers:
    """The members of a tar that is not compressed. Headers are read once, contents never."""

    def __init__(self, path: Path, what: str | None = None) -> None:
        self.what = what or str(path)
        self._path = path
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        if not path.is_file():
            raise DockertoolsError(f"{self.what}: not a file that can be read twice, such as a pipe: save it first")
        with path.open("rb") as file:
            compressor = compressor_of(file.read(MAGIC_SIZE))
        if compressor != "none":
            raise DockertoolsError(
                f"{self.what}: compressed by {compressor}; uncompress it first, so that what is inside can be reached"
            )
        if path.stat().st_size and (found := why_no_tar(path)):
            raise DockertoolsError(f"{self.what}: no image: it is no tar, but {found}")
        try:
            self._index(path)
        except DockertoolsError as error:
            raise DockertoolsError(f"{self.what}: {error}") from error

    def _index(self, path: Path) -> None:
        with path.open("rb") as file:
            for member in members(FileStream(file, path.stat().st_size)):
                name = _clean(member.name)
                self._files.pop(name, None)
                self._links.pop(name, None)
                if member.segments is not None:
                    raise DockertoolsError(
                        f"{shown(member.name)}: a sparse member of the archive: make the archive without --sparse"
                    )
                if member.kind is Kind.FILE:
                    self._files[name] = member.offset, member.size
                elif member.kind is Kind.SYMLINK:  # how Docker before 25 says that two layers are one
                    self._links[name] = _clean(name.rpartition("/")[0].encode(*_NAMES) + b"/" + member.link)
                elif member.kind is Kind.HARDLINK:
                    self._links[name] = _clean(member.link)

    def names(self) -> Iterable[str]:
        """See Members."""
        return [*self._files, *self._links]

    def range(self, name: str) -> tuple[Path, int, int] | None:
        """See Members. Links are followed inside the archive."""
        for _ in range(_MAX_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        place = self._files.get(name)
        return place and (self._path, *place)


class DirectoryMembers:
    """The files below a directory, of which links may lead out: a layout in the store may be made of them."""

    def __init__(self, path: Path) -> None:
        self.what = str(path)
        self._path = path

    def names(self) -> Iterable[str]:
        """See Members."""
        return [str(path.relative_to(self._path)) for path in self._path.rglob("*") if path.is_file()]

    def range(self, name: str) -> tuple[Path, int, int] | None:
        """See Members."""
        if name.startswith("/") or ".." in name.split("/"):
            return None
        path = self._path / name
        # os.path knows no error: a name that no file system can have is not there.
        return (path, 0, path.stat().st_size) if os.path.isfile(path) else None


class SingleFile:
    """One file by its own name."""

    def __init__(self, path: Path) -> None:
        self.what = str(path)
        self._path = path

    def names(self) -> Iterable[str]:
        """See Members."""
        return [self._path.name]

    def range(self, name: str) -> tuple[Path, int, int] | None:
        """See Members."""
        return (self._path, 0, self._path.stat().st_size) if name == self._path.name else None


class Reader:
    """Reads from Members, with errors that name archive and member."""

    def __init__(self, files: Members) -> None:
        self.files = files

    @classmethod
    def open(cls, path: Path, what: str | None = None) -> Self:
        """Of the archive or the layout at `path`, which errors call `what`.

        Raises DockertoolsError when it is neither tar nor directory.
        """
        return cls(DirectoryMembers(path) if path.is_dir() else ArchiveMembers(path, what))

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return self.files.range(name) is not None

    def range(self, name: str) -> tuple[Path, int, int]:
        """File, offset and size. Raises DockertoolsError when it is not there."""
        found = self.files.range(name)
        if found is None:
            raise DockertoolsError(f"{self.files.what}: {shown(name)} is not in it, though another file names it")
        return found

    def json(self, name: str) -> bytes:
        """All of a small file. Raises DockertoolsError when it is not there or too large."""
        path, offset, size = self.range(name)
        if size > MAX_JSON_BYTES:
            raise DockertoolsError(f"{self.what(name)}: {size} bytes, more than the {MAX_JSON_BYTES} that are read")
        return b"".join(bytes(chunk) for chunk in read_range(path, offset, size))

    def chunks(self, name: str) -> Iterator[Buffer]:
        """The bytes of a file, 1 MiB at a time."""
        return read_range(*self.range(name))

    def what(self, name: str) -> str:
        """How errors name a file."""
        if isinstance(self.files, SingleFile):
            return self.files.what
        return f"{self.files.what}: {shown(name)}"


def read_range(path: Path, offset: int, size: int) -> Iterator[Buffer]:
    """`size` bytes from `offset` of a file. Raises DockertoolsError when it ends before."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while size:
            data = file.read(min(READ_SIZE, size))
            if not data:
                raise DockertoolsError(f"{path}: ends {size} bytes too early")
            size -= len(data)
            yield data


def why_no_tar(file: Path) -> str | None:
    """What an uncompressed file is instead of a tar, for an error; None when it begins as one."""
    with file.open("rb") as opened:
        start = opened.read(BLOCK)
    if begins_as_tar(start):
        return None
    return f"begins with {shown(start[:8])}" if start else "is empty"


def _clean(name: bytes) -> str:
    """A member's name without `./`, `//` and `..`, which never lead above the top."""
    parts: list[str] = []
    for part in name.decode(*_NAMES).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
