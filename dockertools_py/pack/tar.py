"""Tar headers, the one place that makes them: ustar, and a PAX record only for what ustar cannot say.

Why an own writer. The bytes of a layer are its identity, so they must follow from the entry alone: not from the
Python version (the default format of `tarfile` changed once), the host's user names, inode numbers or float times. And
a header per file is the largest cost of a layer of small files: a template and an arithmetic checksum make one in about
4 µs, where `tarfile` takes 21 to 26.

ustar (POSIX.1-2017, pax, "ustar Interchange Format") holds a name of 100 bytes plus a directory prefix of 155, a link
target of 100, ids up to 2097151 and sizes up to 8 GiB. A value beyond that goes in a PAX extended header before the
member ("pax Header Block", same page); nothing else ever does.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import ROOT, Entry, Kind, Owner

BLOCK = 512
END = bytes(2 * BLOCK)
"""Two zero blocks end an archive. We pad no further: a record size is for tapes."""

MAX_OCTAL_ID = 0o7777777
MAX_OCTAL_SIZE = MAX_OCTAL_TIME = 0o77777777777
MAX_PATH = 4096
"""PATH_MAX of Linux: longer names cannot be unpacked anywhere."""

_NAME, _PREFIX, _LINK = 100, 155, 100
_MAGIC = b"ustar\x0000" + bytes(64)  # no user and group names
_PAX_NAME = b"@PaxHeader"


def header(entry: Entry) -> bytes:
    """All header blocks of a member: one, or three and more where a PAX record is needed. Raises DockertoolsError."""
    name, link, size = entry.name, entry.link, entry.size if entry.kind is Kind.FILE else 0
    _check(entry)
    records: list[tuple[str, bytes]] = []
    split = _split(name)
    if split is None:
        records.append(("path", name))
        split = b"", name[:_NAME]
    if len(link) > _LINK:
        records.append(("linkpath", link))
        link = link[:_LINK]
    uid, gid = entry.owner
    if not 0 <= uid <= MAX_OCTAL_ID:
        records.append(("uid", b"%d" % uid))
        uid = 0
    if not 0 <= gid <= MAX_OCTAL_ID:
        records.append(("gid", b"%d" % gid))
        gid = 0
    if size > MAX_OCTAL_SIZE:
        records.append(("size", b"%d" % size))
        size = 0
    records.extend((f"SCHILY.xattr.{key}", value) for key, value in entry.xattrs)
    fixed, fixed_sum = _fixed(entry.mode, Owner(uid, gid), entry.mtime, entry.kind, entry.device)
    block = _block(split, link, size, fixed, fixed_sum)
    return _pax(records, entry.mtime) + block if records else block


def padding(size: int) -> int:
    """How many zero bytes follow `size` bytes of content."""
    return -size % BLOCK


def archive_size(entries: Iterable[Entry]) -> int:
    """Size in bytes of the tar of `entries`, its end included."""
    return sum(len(header(e)) + (e.size + padding(e.size) if e.kind is Kind.FILE else 0) for e in entries) + len(END)


def with_parents(entries: Iterable[Entry], owner: Owner = ROOT) -> Iterator[Entry]:
    """`entries`, each once and in order, with the directories above them that were missing (0755, `owner`).

    Raises DockertoolsError for entries out of order: the order is part of the bytes, so nobody may leave it to chance.
    """
    last = b""
    known = {b""}
    for entry in entries:
        if entry.name <= last:
            raise DockertoolsError(f"{shown(entry.name)}: comes after {shown(last)}, but names must ascend")
        missing = []
        parent = entry.parent()
        while parent not in known:
            missing.append(parent)
            parent = parent[: parent.rfind(b"/", 0, -1) + 1]
        for name in reversed(missing):
            known.add(name)
            yield Entry(name, Kind.DIRECTORY, 0o755, owner, entry.mtime)
        if entry.kind is Kind.DIRECTORY:
            known.add(entry.name)
        last = entry.name
        yield entry


def _check(entry: Entry) -> None:
    name = entry.name
    if not name or name[:1] == b"/" or b"\0" in name or len(name) > MAX_PATH:
        raise DockertoolsError(f"{shown(name)}: not a name for a layer: relative, no NUL, at most {MAX_PATH} bytes")
    if b"\0" in entry.link or len(entry.link) >= MAX_PATH:
        raise DockertoolsError(f"{shown(name)}: link target {shown(entry.link)}: no NUL, at most {MAX_PATH - 1} bytes")
    if not 0 <= entry.mtime <= MAX_OCTAL_TIME:
        raise DockertoolsError(f"{shown(name)}: mtime {entry.mtime}: from 0 to {MAX_OCTAL_TIME} seconds")


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) of ustar, or None where the name does not fit."""
    if len(name) <= _NAME:
        return b"", name
    # The last slash that leaves a name; a directory's own trailing slash stays with its name.
    slash = name.find(b"/", len(name) - _NAME - 1, len(name) - 1)
    return None if slash < 0 or slash > _PREFIX else (name[:slash], name[slash + 1 :])


@lru_cache(maxsize=256)
def _fixed(mode: int, owner: Owner, mtime: int, kind: Kind, device: tuple[int, int]) -> tuple[tuple[bytes, ...], int]:
    """The parts of a header that nearly all members share, and the sum of their bytes."""
    parts = (
        b"%07o\0%07o\0%07o\0" % (mode & 0o7777, owner.uid, owner.gid),
        b"%011o\0" % mtime,
        kind.value,
        _MAGIC + b"%07o\0%07o\0" % device,
    )
    return parts, sum(map(sum, parts))


def _block(split: tuple[bytes, bytes], link: bytes, size: int, fixed: tuple[bytes, ...], fixed_sum: int) -> bytes:
    prefix, name = split
    ids, mtime, kind, tail = fixed
    digits = b"%011o\0" % size
    # The checksum field counts as eight spaces.
    checksum = fixed_sum + sum(name) + sum(prefix) + sum(link) + sum(digits) + 8 * 32
    fields = (
        name.ljust(_NAME, b"\0"),
        ids,
        digits,
        mtime,
        b"%06o\0 " % checksum,
        kind,
        link.ljust(_LINK, b"\0"),
        tail,
        prefix.ljust(_PREFIX + 12, b"\0"),
    )
    return b"".join(fields)


def _pax(records: list[tuple[str, bytes]], mtime: int) -> bytes:
    """An extended header member with `records`, in their order."""
    # Values are UTF-8 by the standard; this record says that they are plain bytes, as names on Linux are.
    if any(key in ("path", "linkpath") and not _is_utf8(value) for key, value in records):
        records = [("hdrcharset", b"BINARY"), *records]
    body = b"".join(_record(key, value) for key, value in records)
    fixed, fixed_sum = _fixed(0o644, Owner(), mtime, Kind.FILE, (0, 0))
    ids, time, _, tail = fixed
    block = _block((b"", _PAX_NAME), b"", len(body), (ids, time, b"x", tail), fixed_sum - sum(b"0") + sum(b"x"))
    return block + body + bytes(padding(len(body)))


def _record(key: str, value: bytes) -> bytes:
    """`<length> <key>=<value>\\n`, where the length counts its own digits."""
    rest = b" %s=%s\n" % (key.encode(), value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
