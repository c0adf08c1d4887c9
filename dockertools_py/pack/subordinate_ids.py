"""The subuid and subgid of several images as those of one.

useradd gives each new user a range of ids to hand on (subuid(5)), the first that is free: the same one in each of several
images. No file of an image belongs to these, so where two ranges meet, the later image's moves up to where nobody has one,
as useradd had given it there, and a note says so. A name has the ranges of the first image that gives it some.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dockertools_py.errors import shown

FILES = ("etc/subuid", "etc/subgid")
MODE = 0o644


@dataclass(frozen=True, slots=True)
class RangesText:
    """The file of an image, and that of the lowest layers which it shares with an earlier one."""

    image: str
    own: bytes
    inherited: bytes


@dataclass(frozen=True, slots=True)
class _Range:
    """`count` ids from `first` on. Of lines that are none, which stay as they are, `count` is 0."""

    name: bytes
    first: int
    count: int
    line: bytes

    @classmethod
    def parse(cls, line: bytes) -> Self:
        name, *numbers = line.split(b":")
        if len(numbers) != 2 or not all(number.isdigit() and len(number) < 20 for number in numbers):
            return cls(name, 0, 0, line)
        return cls(name, int(numbers[0]), int(numbers[1]), line)

    @property
    def end(self) -> int:
        return self.first + self.count

    def meets(self, other: Self) -> bool:
        return self.first < other.end and other.first < self.end

    def moved(self, first: int) -> Self:
        return type(self)(self.name, first, self.count, b"%s:%d:%d" % (self.name, first, self.count))


def unite_ranges(file: str, images: Sequence[RangesText]) -> tuple[bytes, tuple[str, ...]]:
    """The file of all images, lowest first, and notes for the build's log."""
    ranges: list[_Range] = []
    notes: list[str] = []
    for image in images:
        own, inherited = _parse(image.own), _parse(image.inherited)
        gone = {item.line for item in inherited} - {item.line for item in own}
        ranges = [item for item in ranges if item.line not in gone]
        names = {item.name for item in ranges}
        for was in own:
            if was in inherited or was.name in names:
                continue
            item = was
            if any(was.meets(other) for other in ranges if other.name != was.name):
                item = was.moved(max(other.end for other in ranges))
                moved, before = (f"{it.first}:{it.count}" for it in (item, was))
                notes.append(f"/{file}: `{shown(item.name)}` of {image.image} has {moved} now, was {before}")
            ranges.append(item)
    return b"".join(item.line + b"\n" for item in ranges), tuple(notes)


def _parse(text: bytes) -> list[_Range]:
    return [_Range.parse(line) for line in text.split(b"\n") if line]
