"""The passwd, group, shadow and gshadow of several images as those of one.

Independent images each bring their own, and a file hides another whole: the users of the lower image would be gone. So lines
are merged by name. The first image's stay, to the byte and in their order; what others add comes after them, image
by image. Where an image shares its lowest layers with an earlier one, only what it changed of these files counts: what it
only inherits takes back nothing.

Files are owned by ids, so the same name with other ids, or an id under two names, is a conflict. 65534 is none: it is who owns
nothing, `nobody` here and `nogroup` there. Other fields may differ, as the shells of two `nobody`: the first image's line stays
and a note says so, never what is in shadow. What useradd writes into subuid and subgid is merged too: subordinate_ids.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack import subordinate_ids
from dockertools_py.pack.accounts import GROUP, GSHADOW, MODES, NOBODY, PASSWD, SHADOW
from dockertools_py.pack.subordinate_ids import RangesText, unite_ranges

NAMED = 10
"""Names in a note."""

_IDS = {PASSWD: slice(2, 4), GROUP: slice(2, 3), SHADOW: slice(0), GSHADOW: slice(0)}
_MEMBERS = {GROUP: (3,), GSHADOW: (2, 3)}
"""Fields that are lists of users."""
_FIELDS = {PASSWD: ("name", "password", "uid", "gid", "description", "home", "shell"), GROUP: ("name", "password", "gid")}


@dataclass(frozen=True, slots=True)
class ImageAccounts:
    """The files of an image, and those of the lowest layers that it shares with an earlier one."""

    image: str
    files: Mapping[str, bytes]
    inherited: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class United:
    """The files of all, where two images have them and they are not alike; and notes for the build's log."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...]


def unite(images: Sequence[ImageAccounts], *, last_wins: bool = False) -> United:
    """The accounts of all images, lowest first. Raises DockertoolsError for all conflicts, in one line.

    With `last_wins` there are none: of two lines the last image's counts, and an id may have two names.
    """
    tables = {name: _Union(name, last_wins) for name in MODES}
    for image in images:
        for name, table in tables.items():
            if name in image.files:
                table.add(image)
    for file, shadow in ((PASSWD, SHADOW), (GROUP, GSHADOW)):
        if tables[shadow].lines:
            tables[shadow].lock(tables[file])
    issues = [issue for table in tables.values() for issue in table.issues]
    if issues:
        raise DockertoolsError("mergeImages: " + "; ".join(issues))
    there = {name: {image.files[name] for image in images if name in image.files} for name in MODES}
    is_other = {name: len(there[name]) > 1 or table.has_locked for name, table in tables.items()}
    files = {name: table.to_bytes() for name, table in tables.items() if is_other[name]}
    notes = [note for table in tables.values() for note in table.notes]
    for name in subordinate_ids.FILES:
        texts = [RangesText(it.image, it.files[name], it.inherited.get(name, b"")) for it in images if name in it.files]
        if len({text.own for text in texts}) > 1:
            files[name], moved = unite_ranges(name, texts)
            notes += moved
    return United(files, tuple(notes))


@dataclass(slots=True)
class _Line:
    """The fields of a line, and the image that it is from."""

    fields: list[str]
    image: str


class _Union:
    """One of the files while images are added to it."""

    def __init__(self, file: str, last_wins: bool) -> None:
        self._file, self._last_wins = file, last_wins
        self.lines: dict[str, _Line] = {}
        self.has_locked = False
        self.issues: list[str] = []
        self.notes: list[str] = []

    def add(self, image: ImageAccounts) -> None:
        """Add what an image has, and has not from the layers that it shares with an earlier one."""
        own, inherited = _lines(image.files[self._file]), _lines(image.inherited.get(self._file, b""))
        was_empty, added = not self.lines, []
        for name, fields in own.items():
            was, here = inherited.get(name), self.lines.get(name)
            if fields == was:
                continue
            if here is None:
                if self._number_is_free(name, fields, own, image.image):
                    self.lines[name] = _Line(fields, image.image)
                    added.append(name)
            elif here.fields != fields:
                self._combine(name, here, _Line(fields, image.image), was)
        for name, fields in inherited.items():
            if name not in own and name in self.lines and self.lines[name].fields == fields:
                del self.lines[name]
        if added and not was_empty:
            more = f" and {len(added) - NAMED} more" if len(added) > NAMED else ""
            self.notes.append(f"/{self._file}: {', '.join(map(shown, added[:NAMED]))}{more} of {image.image} added")

    def lock(self, accounts: "_Union") -> None:
        """A line for each account that has its password here, and has no line: nobody has it."""
        fields = ["!", *[""] * 7] if self._file == SHADOW else ["!", "", ""]
        for name, line in accounts.lines.items():
            if line.fields[1:2] == ["x"] and name not in self.lines:
                self.lines[name] = _Line([name, *fields], line.image)
                self.has_locked = True

    def to_bytes(self) -> bytes:
        """The file."""
        text = "".join(":".join(line.fields) + "\n" for line in self.lines.values())
        return text.encode("utf-8", "surrogateescape")

    def _combine(self, name: str, here: _Line, new: _Line, was: list[str] | None) -> None:
        """Make one line of two, of which `was` is the one that both images began with, if there was any."""
        ids = _IDS[self._file]
        if here.fields[ids] != new.fields[ids] and not self._last_wins:
            what, other = (":".join(map(shown, line.fields[ids])) for line in (here, new))
            self.issues.append(
                f"`{shown(name)}` in /{self._file} is {what} in {here.image} and {other} in {new.image}: "
                "give it the same ids in both, or allowOverride = true if the last image shall win"
            )
            return
        members = {at: _joined(here.fields, new.fields, at) for at in _MEMBERS.get(self._file, ())}
        is_changed_here_only = here.fields == was
        kept, other_line = (new, here) if self._last_wins or is_changed_here_only else (here, new)
        fields = list(kept.fields)
        for at, joined in members.items():
            if len(fields) > at:
                fields[at] = joined
        differing = [at for at in _differences(kept.fields, other_line.fields) if at not in members]
        if differing and not is_changed_here_only:
            columns = _FIELDS.get(self._file)
            where = f" in {', '.join(columns[at] for at in differing if at < len(columns))}" if columns else ""
            self.notes.append(
                f"/{self._file}: `{shown(name)}` is not the same{where} in {here.image} and {new.image}; "
                f"the line of {kept.image} counts"
            )
        self.lines[name] = _Line(fields, kept.image)

    def _number_is_free(self, name: str, fields: list[str], own: Mapping[str, list[str]], image: str) -> bool:
        number = fields[_IDS[self._file]][:1]
        if not number or number == [str(NOBODY)]:
            return True
        for other, line in self.lines.items():
            # What an image says itself, such as a second name for root, is its own matter.
            if line.fields[_IDS[self._file]][:1] == number and not (other in own and own[other][2:3] == number):
                what = f"{shown(number[0])} in /{self._file} is `{shown(other)}` in {line.image} and `{shown(name)}` in {image}"
                if self._last_wins:
                    self.notes.append(what)
                    return True
                self.issues.append(
                    f"{what}, so what belongs to one would be the other's: "
                    "give one of them another number, or allowOverride = true to have both"
                )
                return False
        return True


def _lines(text: bytes) -> dict[str, list[str]]:
    """The lines by name, of a name that is there twice the first, as for whoever looks it up; all else by itself."""
    found: dict[str, list[str]] = {}
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        if line:
            fields = line.split(":")
            found.setdefault(fields[0] if len(fields) > 1 else line, fields)
    return found


def _joined(first: list[str], second: list[str], at: int) -> str:
    lists = (fields[at].split(",") if len(fields) > at else [] for fields in (first, second))
    return ",".join(dict.fromkeys(name for names in lists for name in names if name))


def _differences(one: list[str], other: list[str]) -> Iterator[int]:
    for at in range(max(len(one), len(other))):
        if one[at : at + 1] != other[at : at + 1]:
            yield at
