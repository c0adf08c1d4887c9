"""Sparse members: files of which a tar leaves out the holes, in the four ways that GNU tar has had for it.

A map says which parts of the file are stored, one behind the other, as the member's content; all else is zeros. It is found
(GNU tar manual, appendix "Sparse Formats")

- in the header of a member of type `S` and in blocks that follow it (the old GNU format),
- in pax records, `GNU.sparse.offset` and `GNU.sparse.numbytes` in turns (0.0),
- in one pax record, `GNU.sparse.map` (0.1),
- at the begin of the content, as lines of digits, filled up to a whole block (1.0).

Example: a file of 5,000 bytes with `x` at 4,096 and nothing but zeros else has the map ((4096, 1),), and one stored byte. A map
costs nothing and may claim any size, so nothing is made of it before somebody wants the content, and then only up to MAX_HOLES.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack.tar import BLOCK
from dockertools_py.pack.tar_fields import number
from dockertools_py.pack.verified import Buffer

Segment = tuple[int, int]
"""Where in the file a stored part belongs, and how many bytes it has."""

TYPEFLAG = b"S"
RECORD = "GNU.sparse."
OFFSET, NUMBYTES, MAP = RECORD + "offset", RECORD + "numbytes", RECORD + "map"

MAX_MAP = 1 << 20
"""Bytes of a map that is not in pax records, which are bounded by themselves."""
MAX_SEGMENTS = 250_000
"""In all maps of one tar: whoever wants contents later keeps them."""
MAX_HOLES = 8 << 30
"""So many bytes of zeros are made for the sparse files of one layer: a file of an exabyte is a header long."""

_IN_HEADER, _IN_BLOCK, _SEGMENT_SIZE = 4, 21, 24
_DIGITS = 20
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class SparseMap:
    """The size of a file with its holes, and the segments that are stored, in order."""

    size: int
    segments: tuple[Segment, ...]
    name: bytes | None = None
    """The file's name, where the member's own is made up for programs that know no sparse files."""

    def stored(self) -> int:
        """How many bytes of the file are in the tar."""
        return sum(length for _, length in self.segments)


def is_sparse(typeflag: bytes, records: Mapping[str, bytes]) -> bool:
    """Whether a member with such a header and such pax records has a map."""
    return typeflag == TYPEFLAG or (bool(records) and any(key.startswith(RECORD) for key in records))


def read_map(read: Callable[[int], bytes], block: bytes, records: Mapping[str, bytes]) -> SparseMap:
    """The map of the member with that header; `read` gives what follows it. Raises DockertoolsError for one that is wrong."""
    if block[156:157] == TYPEFLAG:
        return _checked(SparseMap(number(block[483:495], "real size"), tuple(_old_segments(read, block))))
    version = records.get(RECORD + "major", b"0"), records.get(RECORD + "minor", b"0")
    if version == (b"1", b"0"):
        numbers, size = _numbers_in_content(read), RECORD + "realsize"
    elif version in ((b"0", b"0"), (b"0", b"1")) and MAP in records:
        numbers, size = [_decimal(digits) for digits in records[MAP].split(b",") if digits], RECORD + "size"
        _check_count(records, len(numbers))
    else:
        raise DockertoolsError(f"a sparse member of version {shown(b'.'.join(version))} without a map that is known")
    if size not in records:
        raise DockertoolsError(f"a sparse member without the record {size}")
    segments = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return _checked(SparseMap(_decimal(records[size]), segments, records.get(RECORD + "name")))


def filled(stored: Iterable[Buffer], size: int, segments: Iterable[Segment]) -> Iterator[Buffer]:
    """The content of a file of `size` bytes: what is stored, with zeros where nothing is.

    Raises DockertoolsError where less is stored than the segments have.
    """
    chunks, rest, at = iter(stored), memoryview(b""), 0
    for offset, length in (*segments, (size, 0)):
        while at < offset:
            zeros = memoryview(_ZEROS)[: offset - at]
            at += len(zeros)
            yield zeros
        end = offset + length
        while at < end:
            rest = rest or memoryview(next(chunks, b""))
            if not rest:
                raise DockertoolsError(f"a sparse file ends {end - at} bytes too early")
            part, rest = rest[: end - at], rest[end - at :]
            at += len(part)
            yield part


def _old_segments(read: Callable[[int], bytes], block: bytes) -> Iterator[Segment]:
    fields, extended = block[386 : 386 + _IN_HEADER * _SEGMENT_SIZE], block[482]
    total = 0
    while True:
        for at in range(0, len(fields), _SEGMENT_SIZE):
            if not fields[at]:  # so GNU tar and BSD tar find the end
                break
            middle = at + _SEGMENT_SIZE // 2
            yield (
                number(fields[at:middle], "sparse offset"),
                number(fields[middle : at + _SEGMENT_SIZE], "sparse length"),
            )
        if not extended:
            return
        more = _block(read, total := total + BLOCK)
        fields, extended = more[: _IN_BLOCK * _SEGMENT_SIZE], more[_IN_BLOCK * _SEGMENT_SIZE]


def _numbers_in_content(read: Callable[[int], bytes]) -> list[int]:
    """How many segments there are, then offset and length of each, a line a number."""
    data = bytearray()
    lines, wanted = 0, 1
    while lines < wanted:
        block = _block(read, len(data) + BLOCK)
        data += block
        if not lines and b"\n" in block:
            wanted = 1 + 2 * _decimal(bytes(data.partition(b"\n")[0]))
        lines += block.count(b"\n")
    return [_decimal(line) for line in bytes(data).split(b"\n", wanted)[1:wanted]]


def _block(read: Callable[[int], bytes], total: int) -> bytes:
    if total > MAX_MAP:
        raise DockertoolsError(f"a sparse map of more than the {MAX_MAP} bytes that are read")
    block = read(BLOCK)
    if len(block) < BLOCK:
        raise DockertoolsError("the tar ends in the middle of a sparse map")
    return block


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _DIGITS:
        raise DockertoolsError(f"a sparse map with {shown(digits)}, which is no number")
    return int(digits)


def _check_count(records: Mapping[str, bytes], numbers: int) -> None:
    said = records.get(RECORD + "numblocks")
    if numbers % 2 or (said is not None and _decimal(said) != numbers // 2):
        raise DockertoolsError(f"a sparse map of {numbers} numbers for {shown(said or b'some')} segments")


def _checked(found: SparseMap) -> SparseMap:
    end = 0
    for offset, length in found.segments:
        if offset < end or length < 0:
            raise DockertoolsError(
                f"a sparse map whose segment at {offset} of {length} bytes overlaps what is before it"
            )
        end = offset + length
    if end > found.size:
        raise DockertoolsError(f"a sparse map that ends at {end}, in a file of {found.size} bytes")
    return found
