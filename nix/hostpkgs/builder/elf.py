"""ELF files: which libraries they need, and how to give them another interpreter and an RPATH.

What patchelf is for; but its version 0.18, of Debian 13, breaks programs which are not position independent, python3 among
them. The way here moves nothing: the new strings go into a segment of their own at the end of the file. Its program header
takes the place of a note's, since the table of program headers cannot grow; the note is information for debuggers.

Only for 64 bits and little endian. The names are those of elf(5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 15, 29
READABLE = 4

PHOFF, SHOFF, PHENTSIZE, SHENTSIZE = 0x20, 0x28, 0x36, 0x3A  # where the ELF header has them
SEGMENT = struct.Struct("<IIQQQQQQ")
TAG = struct.Struct("<qQ")
SECTION_PLACE = struct.Struct("<QQQ")  # addr, offset, size: 16 bytes into a section header


class ElfError(Exception):
    """The file has not the room that the change needs."""


@dataclass(frozen=True)
class Segment:
    """A program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    def pack(self) -> bytes:
        return SEGMENT.pack(
            self.type, self.flags, self.offset, self.vaddr, self.paddr, self.filesz, self.memsz, self.align
        )


class Elf:
    """A dynamic ELF file in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)
        (self._table,) = struct.unpack_from("<Q", data, PHOFF)
        size, count = struct.unpack_from("<HH", data, PHENTSIZE)
        self._segments = [Segment(*SEGMENT.unpack_from(data, self._table + i * size)) for i in range(count)]
        self._dynamic = next((s for s in self._segments if s.type == PT_DYNAMIC), None)

    @staticmethod
    def parse(data: bytes) -> Elf | None:
        """Returns the file if it is ELF, for 64 bits and little endian, and takes part in dynamic linking."""
        if data[:6] != b"\x7fELF\x02\x01":
            return None
        elf = Elf(data)
        return elf if elf._dynamic is not None else None

    @property
    def needed(self) -> list[str]:
        """The names of the libraries to link."""
        strings = self._strings()
        return [strings[v : strings.index(b"\0", v)].decode() for _, tag, v in self._tags() if tag == DT_NEEDED]

    @property
    def has_interpreter(self) -> bool:
        return any(segment.type == PT_INTERP for segment in self._segments)

    def set_paths(self, *, interpreter: str | None, rpath: str) -> bytes:
        """Returns the file with these; an `interpreter` only for a file that has one.

        RPATH, not the newer RUNPATH: it also serves the libraries that a library opens by itself.
        """
        strings = self._strings()
        added = strings + rpath.encode() + b"\0" + (interpreter or "").encode() + b"\0"
        segment = self._append(added)
        self._set_strings(segment, len(strings) + len(rpath) + 1)
        self._set_rpath(len(strings))
        if interpreter is not None:
            start, size = len(strings) + len(rpath) + 1, len(interpreter) + 1
            (old,) = (s for s in self._segments if s.type == PT_INTERP)
            place = {"offset": segment.offset + start, "vaddr": segment.vaddr + start, "paddr": segment.vaddr + start}
            self._segments[self._segments.index(old)] = replace(old, **place, filesz=size, memsz=size)
        self._data[self._table : self._table + SEGMENT.size * len(self._segments)] = b"".join(
            s.pack() for s in self._segments
        )
        return bytes(self._data)

    def _tags(self) -> Iterator[tuple[int, int, int]]:
        """Yields place, tag and value of the entries of the dynamic section, up to all of its DT_NULL."""
        assert self._dynamic is not None
        for place in range(self._dynamic.offset, self._dynamic.offset + self._dynamic.filesz, TAG.size):
            yield place, *TAG.unpack_from(self._data, place)

    def _tag(self, wanted: int) -> int:
        return next(value for _, tag, value in self._tags() if tag == wanted)

    def _strings(self) -> bytes:
        """Returns the string table of the dynamic section."""
        address = self._tag(DT_STRTAB)
        load = next(s for s in self._segments if s.type == PT_LOAD and s.vaddr <= address < s.vaddr + s.filesz)
        start = load.offset + address - load.vaddr
        return bytes(self._data[start : start + self._tag(DT_STRSZ)])

    def _append(self, added: bytes) -> Segment:
        """Puts bytes at the end of the file, to be loaded after all others; returns their segment."""
        note = next((s for s in self._segments if s.type == PT_NOTE), None)
        if note is None:
            raise ElfError("no program header to spare")
        self._data += bytes(-len(self._data) % 8)
        loads = [s for s in self._segments if s.type == PT_LOAD]
        align = max(load.align for load in loads)
        end = max(load.vaddr + load.memsz for load in loads)
        offset = len(self._data)
        vaddr = end + -end % align + offset % align  # equal to the offset modulo the page, as the kernel wants it
        segment = Segment(PT_LOAD, READABLE, offset, vaddr, vaddr, len(added), len(added), align)
        self._data += added
        self._segments.insert(self._segments.index(loads[-1]) + 1, segment)  # they are in the order of addresses
        self._segments.remove(note)
        return segment

    def _set_strings(self, segment: Segment, size: int) -> None:
        """Makes the start of `segment` the string table, also in the section headers, for programs that read those."""
        old = self._tag(DT_STRTAB)
        for place, tag, _ in self._tags():
            if tag in (DT_STRTAB, DT_STRSZ):
                TAG.pack_into(self._data, place, tag, segment.vaddr if tag == DT_STRTAB else size)
        (sections,) = struct.unpack_from("<Q", self._data, SHOFF)
        entry, count = struct.unpack_from("<HH", self._data, SHENTSIZE)
        for place in range(sections + 16, sections + 16 + entry * count, entry):
            if SECTION_PLACE.unpack_from(self._data, place)[0] == old:
                SECTION_PLACE.pack_into(self._data, place, segment.vaddr, segment.offset, size)

    def _set_rpath(self, string: int) -> None:
        """Puts the RPATH, at `string` in the string table, over an old one or the first of the linker's spare entries."""
        entries = list(self._tags())
        free = [place for place, tag, _ in entries if tag in (DT_RPATH, DT_RUNPATH)]
        if not free:
            empty = [place for place, tag, _ in entries if tag == DT_NULL]
            if len(empty) < 2:  # the last one ends the list
                raise ElfError("no dynamic entry to spare")
            free = empty[:1]
        for place in free:
            TAG.pack_into(self._data, place, DT_RPATH, string)
