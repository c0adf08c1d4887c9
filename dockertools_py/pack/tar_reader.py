"""Reading tar members, of our own archives and of anybody's: each field hostile until checked.

Understood are v7, ustar, pax (global and local records) and GNU (long names and links, base-256 numbers, sparse files).
Content is not read here: a member says where its bytes are, and whoever wants them reads that range.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import BinaryIO, Protocol

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.pax_records import parse_records
from dockertools_py.pack.sparse import MAX_SEGMENTS, RECORD, TYPEFLAG, Segment, is_sparse, read_map
from dockertools_py.pack.tar import BLOCK, MAX_OCTAL_TIME, MAX_PATH, padding
from dockertools_py.pack.tar_fields import number, text
from dockertools_py.pack.verified import Buffer

MAX_EXTENSION = 1 << 20
"""Bytes of all pax and GNU extension headers of one member: names are at most 4 KiB, xattrs 64 KiB each.

As much again for all global ones: gigabytes of them compress to nothing.
"""
MAX_MEMBERS = 5_000_000
MAX_SIZE = 1 << 60

_LOCAL, _GLOBAL, _LONG_NAME, _LONG_LINK, _VOLUME = b"x", b"g", b"L", b"K", b"V"
_XATTR = "SCHILY.xattr."
_FILES = (b"\0", b"0", b"7", TYPEFLAG)
_UNDERSTOOD = ("path", "linkpath", "size", "uid", "gid", "mtime")


class ByteStream(Protocol):
    """Where a tar is read from: `offset` is how many bytes are behind us."""

    offset: int

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end."""

    def skip(self, count: int) -> None:
        """Go on by `count` bytes. Raises DockertoolsError when there are fewer."""


class FileStream:
    """`size` bytes from `start` of a seekable file: skipping costs nothing."""

    def __init__(self, file: BinaryIO, size: int, start: int = 0) -> None:
        self._file, self._size, self._start, self.offset = file, size, start, 0
        file.seek(start)

    def read(self, count: int) -> bytes:
        """See ByteStream."""
        data = self._file.read(max(0, min(count, self._size - self.offset)))
        self.offset += len(data)
        return data

    def skip(self, count: int) -> None:
        """See ByteStream."""
        self.offset += count
        if self.offset > self._size:
            raise DockertoolsError(f"the tar ends {self.offset - self._size} bytes too early")
        self._file.seek(self._start + self.offset)


class ChunkStream:
    """Chunks that come one after the other, as from a decompressor."""

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks, self._rest, self.offset = iter(chunks), memoryview(b""), 0

    def read(self, count: int) -> bytes:
        """See ByteStream."""
        if len(self._rest) >= count:  # nearly always: a header is within the chunk
            data = bytes(self._rest[:count])
            self._rest = self._rest[count:]
        else:
            parts = []
            while count and (part := self._take(count)):
                parts.append(bytes(part))
                count -= len(part)
            data = b"".join(parts)
            self.offset += len(data)
            return data
        self.offset += count
        return data

    def skip(self, count: int) -> None:
        """See ByteStream."""
        while count:
            part = self._take(count)
            if not part:
                raise DockertoolsError(f"the tar ends {count} bytes too early")
            count -= len(part)
            self.offset += len(part)

    def drain(self) -> None:
        """Read what is left, so that a check further up sees the end."""
        while part := self._take(1 << 30):
            self.offset += len(part)

    def _take(self, count: int) -> memoryview:
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return memoryview(b"")
        part, self._rest = self._rest[:count], self._rest[count:]
        return part


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member as its headers say; `offset` is where its `size` bytes of content begin.

    Of a sparse file only the parts that `segments` say are there, one behind the other.
    """

    name: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    link: bytes
    device: tuple[int, int]
    offset: int
    records: tuple[tuple[str, bytes], ...] = ()
    """Pax records that apply, sorted by key; of global ones only those that are understood here."""
    segments: tuple[Segment, ...] | None = None

    def entry(self) -> Entry:
        """The same as an entry of a layer: its name made relative, a time that no header can say cut."""
        name = self.name.lstrip(b"/")
        while name.startswith(b"./"):
            name = name[2:].lstrip(b"/")
        name = name.rstrip(b"/") if name != b"." else b""
        return Entry(
            name + b"/" if name and self.kind is Kind.DIRECTORY else name,
            self.kind,
            self.mode,
            _owner(self.uid, self.gid),
            max(0, min(self.mtime, MAX_OCTAL_TIME)),
            self.size,
            self.link.removeprefix(b"./").lstrip(b"/") if self.kind is Kind.HARDLINK else self.link,
            device=self.device,
            xattrs=tuple((key.removeprefix(_XATTR), value) for key, value in self.records if key.startswith(_XATTR)),
        )


def members(stream: ByteStream) -> Iterator[TarMember]:
    """All members up to the end of the archive. Raises DockertoolsError for anything that is no tar.

    Whoever wants a member's content reads it from `stream` before asking for the next member.
    """
    for_all: dict[str, bytes] = {}
    for_next: dict[str, bytes] = {}
    all_size = next_size = count = segments = 0
    while (block := _block(stream)) is not None:
        typeflag, size = block[156:157], number(block[124:136], "size")
        if not 0 <= size <= MAX_SIZE:
            raise DockertoolsError(f"a member of {size} bytes at byte {stream.offset - BLOCK}")
        if typeflag in (_LOCAL, _GLOBAL, _LONG_NAME, _LONG_LINK):
            if typeflag == _GLOBAL:
                all_size += size
            else:
                next_size += size
            data = _extension(stream, size, max(all_size, next_size))
            match typeflag:
                case b"L":
                    for_next["path"] = data.rstrip(b"\0")
                case b"K":
                    for_next["linkpath"] = data.rstrip(b"\0")
                case b"x":
                    for_next |= parse_records(data)
                case b"g":
                    for_all |= {key: value for key, value in parse_records(data).items() if _has_meaning(key)}
            continue
        begin = stream.offset
        if typeflag != _VOLUME:
            count += 1
            if count > MAX_MEMBERS:
                raise DockertoolsError(f"more than {MAX_MEMBERS} members")
            records = for_all | for_next
            member = _member(block, size, begin, records)
            size = member.size
            if is_sparse(typeflag, records):
                member, begin = _sparse(stream, block, member, begin)
                segments += len(member.segments or ())
                if segments > MAX_SEGMENTS:
                    raise DockertoolsError(f"sparse maps of more than {MAX_SEGMENTS} segments")
            yield member
        for_next, next_size = {}, 0
        stream.skip(begin + size + padding(size) - stream.offset)


def _sparse(stream: ByteStream, block: bytes, member: TarMember, begin: int) -> tuple[TarMember, int]:
    """A member with its map, and where what its header counts as content begins."""
    try:
        if member.kind is not Kind.FILE:
            raise DockertoolsError("a sparse map, but no file")
        found = read_map(stream.read, block, dict(member.records))
        begin = stream.offset if block[156:157] == TYPEFLAG else begin  # there the map is part of the header
        stored = begin + member.size - stream.offset
        if found.stored() != stored:
            raise DockertoolsError(f"a sparse map of {found.stored()} bytes, but {stored} are stored")
        if found.size > MAX_SIZE:
            raise DockertoolsError(f"a sparse file of {found.size} bytes")
    except DockertoolsError as error:
        raise DockertoolsError(f"{shown(member.name)}: {error}") from error
    name = _checked_name(member.name if found.name is None else found.name)
    return replace(member, name=name, size=found.size, offset=stream.offset, segments=found.segments), begin


@lru_cache(maxsize=256)
def _owner(uid: int, gid: int) -> Owner:
    """The same value for all files of one owner: trees of a million entries are kept in memory."""
    return Owner(uid, gid)


def begins_as_tar(data: bytes) -> bool:
    """Whether the first BLOCK bytes of a file are a tar's: a header, or the end of an empty one."""
    try:
        _block(ChunkStream([data[:BLOCK]]))
    except DockertoolsError:
        return False
    return bool(data)


def _block(stream: ByteStream) -> bytes | None:
    """The next header, or None at the end: a zero block, or the end of the file between members."""
    at = stream.offset
    block = stream.read(BLOCK)
    if not block or not block.strip(b"\0"):
        return None
    if len(block) < BLOCK:
        raise DockertoolsError(f"the tar ends in the middle of a header, at byte {at}")
    checksum = number(block[148:156], "checksum")
    summed = block[:148] + b"        " + block[156:]
    # Some old tars summed signed bytes; that takes as long as all the rest, so it is tried last.
    plain = sum(summed)
    if checksum != plain and checksum != plain - 256 * sum(byte > 127 for byte in summed):
        raise DockertoolsError(f"no tar header at byte {at}: its checksum is wrong")
    return block


def _extension(stream: ByteStream, size: int, total: int) -> bytes:
    if total > MAX_EXTENSION:
        raise DockertoolsError(f"extension headers of {total} bytes, more than the {MAX_EXTENSION} that are read")
    data = stream.read(size)
    if len(data) < size:
        raise DockertoolsError("the tar ends in the middle of an extension header")
    stream.skip(padding(size))
    return data


def _has_meaning(key: str) -> bool:
    """Of global records only these are kept: a hundred thousand others would be copied for each member."""
    return key in _UNDERSTOOD or key.startswith(RECORD)


def _member(block: bytes, size: int, offset: int, records: dict[str, bytes]) -> TarMember:
    name, typeflag = text(block[0:100]), block[156:157]
    if block[257:263] == b"ustar\0" and (prefix := text(block[345:500])):
        name = prefix + b"/" + name
    is_old_directory = typeflag == b"\0" and name.endswith(b"/")
    try:
        kind = Kind.DIRECTORY if is_old_directory else Kind.FILE if typeflag in _FILES else Kind(typeflag)
    except ValueError:
        raise DockertoolsError(f"{shown(name)}: a member of type {shown(typeflag)}, which nobody defines") from None
    ids = number(block[108:116], "uid"), number(block[116:124], "gid")
    mtime, device = number(block[136:148], "mtime"), (0, 0)
    if kind in (Kind.CHARACTER, Kind.BLOCK):
        device = number(block[329:337], "device"), number(block[337:345], "device")
    size = size if kind is Kind.FILE else 0
    link = text(block[157:257])
    member = TarMember(name, kind, number(block[100:108], "mode") & 0o7777, *ids, mtime, size, link, device, offset)
    member = _with_records(member, records) if records else member
    _checked_name(member.name)
    _checked_name(member.link)
    return member


def _checked_name(name: bytes) -> bytes:
    if len(name) > MAX_PATH or b"\0" in name:
        raise DockertoolsError(f"a name of {len(name)} bytes: {shown(name)}")
    return name


def _with_records(member: TarMember, records: dict[str, bytes]) -> TarMember:
    numbers = {
        key: int(records[key].partition(b".")[0]) for key in ("size", "uid", "gid", "mtime") if _is_number(records, key)
    }
    if member.kind is not Kind.FILE:
        numbers.pop("size", None)
    if not 0 <= numbers.get("size", 0) <= MAX_SIZE:
        raise DockertoolsError(f"a member of {numbers['size']} bytes")
    return replace(
        member,
        name=records.get("path", member.name),
        link=records.get("linkpath", member.link),
        records=tuple(sorted(records.items())),
        size=numbers.get("size", member.size),
        uid=numbers.get("uid", member.uid),
        gid=numbers.get("gid", member.gid),
        mtime=numbers.get("mtime", member.mtime),
    )


def _is_number(records: dict[str, bytes], key: str) -> bool:
    if key not in records:
        return False
    whole = records[key].partition(b".")[0]
    if not whole.removeprefix(b"-").isdigit() or len(whole) > 20:
        raise DockertoolsError(f"pax record {key}={shown(records[key])}: not a number")
    return True
