"""Users and groups as they are asked for: passwd(5), group(5), shadow(5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dockertools_py.model.entry import Owner


@dataclass(frozen=True, slots=True)
class Group:
    """A group, and its members by name."""

    name: str
    gid: int
    members: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a derivation's spec, which evaluation has checked."""
        return cls(value["name"], value["gid"], tuple(value["members"]))


@dataclass(frozen=True, slots=True)
class User:
    """A user. What is None was not asked for: it stays as it is, or gets a default where there is no such user yet."""

    name: str
    uid: int
    gid: int | None = None
    group: str | None = None
    """The primary group by name; `gid` or this, or neither: a group of the user's own."""
    description: str | None = None
    home: str | None = None
    shell: str | None = None
    creates_home: bool | None = None
    home_mode: int = 0o700
    extra_groups: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a derivation's spec, which evaluation has checked."""
        return cls(
            value["name"],
            value["uid"],
            value["gid"],
            value["group"],
            value["description"],
            value["home"],
            value["shell"],
            value["createHome"],
            int(value["homeMode"], 8),
            tuple(value["extraGroups"]),
        )


@dataclass(frozen=True, slots=True)
class Home:
    """A directory that a user shall have."""

    user: str
    path: str
    mode: int
    owner: Owner
