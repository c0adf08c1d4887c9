"""An obvious, slow writer of ustar archives, to compare ours with: it shares no code with it and knows the format only.

POSIX.1-2017, pax, "ustar Interchange Format": fields as in the table there, joined one after the other.
"""

from dataclasses import dataclass

from tests.oracle.trees import Node


@dataclass(frozen=True)
class Member:
    """A member as it is written: its full name, and `data` for a regular file."""

    name: bytes
    typeflag: bytes
    mode: int
    data: bytes = b""
    link: bytes = b""


def split_of(name: bytes) -> tuple[bytes, bytes] | None:
    """The shortest prefix, and the name after it, or None where the name does not fit in a ustar header."""
    if len(name) <= 100:
        return b"", name
    for at in range(1, len(name) - 1):
        prefix, rest = name[:at], name[at + 1 :]
        if name[at : at + 1] == b"/" and len(prefix) <= 155 and len(rest) <= 100:
            return prefix, rest
    return None


def fits(member: Member) -> bool:
    """Whether ustar can say it."""
    return split_of(member.name) is not None and len(member.link) <= 100


def ustar_header(member: Member, *, mtime: int = 1, uid: int = 0, gid: int = 0) -> bytes:
    """The 512 bytes of a header."""
    split = split_of(member.name)
    assert split is not None, member.name
    prefix, name = split
    before = (
        name.ljust(100, b"\0")
        + f"{member.mode:07o}\0{uid:07o}\0{gid:07o}\0".encode()
        + f"{len(member.data):011o}\0{mtime:011o}\0".encode()
    )
    after = (
        member.typeflag
        + member.link.ljust(100, b"\0")
        + b"ustar\0"
        + b"00"
        + 32 * b"\0"  # user name
        + 32 * b"\0"  # group name
        + b"0000000\0"
        + b"0000000\0"
        + prefix.ljust(155, b"\0")
        + 12 * b"\0"
    )
    checksum = sum(before + 8 * b" " + after)
    header = before + f"{checksum:06o}\0 ".encode() + after
    assert len(header) == 512
    return header


def tar_of(members: list[Member]) -> bytes:
    """A whole archive, in the order given."""
    parts = []
    for member in members:
        parts += [ustar_header(member), member.data, b"\0" * (-len(member.data) % 512)]
    return b"".join(parts) + 1024 * b"\0"


def store_members(nodes: list[Node], top: bytes) -> list[Member]:
    """The members that a tree of the store must have in a layer: `top` is its name there."""
    found = [Member(b"/".join(top.split(b"/")[:count]) + b"/", b"5", 0o755) for count in range(1, top.count(b"/") + 1)]
    found.append(Member(top + b"/", b"5", 0o555))
    for node in nodes:
        name = top + b"/" + node.path
        if node.kind == "directory":
            found.append(Member(name + b"/", b"5", 0o555))
        elif node.kind == "link":
            found.append(Member(name, b"2", 0o777, link=node.link))
        else:
            found.append(Member(name, b"0", 0o555 if node.executable else 0o444, node.data))
    return sorted(found, key=lambda member: member.name)
