"""Pax records: what a ustar header cannot say (POSIX pax, "pax Extended Header")."""

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack.sparse import MAP, NUMBYTES, OFFSET


def parse_records(data: bytes) -> dict[str, bytes]:
    """Records, `<length> <key>=<value>\\n` each. Raises DockertoolsError.

    Of several with one key the last counts, but for a sparse map of version 0.0: its pairs become the one record of 0.1.
    """
    records, at = {}, 0
    pairs: list[bytes] = []
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        end = at + int(digits) if space > at and digits.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not at < end <= len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise DockertoolsError(f"a pax record that cannot be read: {shown(data[at : at + 60])}")
        records[name := key.decode("utf-8", "replace")] = value
        if name in (OFFSET, NUMBYTES):
            if name != (OFFSET, NUMBYTES)[len(pairs) % 2]:
                raise DockertoolsError(f"the pax record {name} where the other half of a pair must be")
            pairs.append(value)
        at = end
    if pairs:
        records[MAP] = b",".join(pairs)
    return records
