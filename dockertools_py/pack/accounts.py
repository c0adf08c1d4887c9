"""Users and groups merged into passwd, group, shadow and gshadow.

What is there keeps its lines, to the byte and in their order; only a line that says something else now is written anew, and
what is new comes last, in the order in which it was asked for. Merging is by name: the same name with the same id is one
account, the same name with another id, or an id under another name, is a conflict, since files below are owned by ids
and nobody can tell which account was meant.

Where that changes or keeps a line that somebody else wrote, a note says so. After scripts all of it is merged once more: what
is asked for holds although they replaced it, and what they added stays.

Where no passwd or group is there, it begins with `root` and `nobody`, which programs expect. No password opens an account:
the second field is `x`, and in shadow `!`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.account import Group, Home, User
from dockertools_py.model.entry import Owner

PASSWD, GROUP, SHADOW, GSHADOW = "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"
MODES = {PASSWD: 0o644, GROUP: 0o644, SHADOW: 0o600, GSHADOW: 0o600}
"""Of files that were not there; others keep theirs."""

NOBODY = 65534
"""As in the kernel (overflowuid), Debian and nixpkgs."""
ID, NAME = "that id, or another name", "another id, or that name"
HOMELESS = ("/", "/var/empty", "/nonexistent")
"""What is given as home to users that shall have none."""

_DEFAULT_USERS = (
    User("root", 0, 0, description="root", home="/root", shell="/bin/sh", creates_home=False),
    User("nobody", NOBODY, NOBODY, description="nobody", home="/var/empty", shell="/sbin/nologin"),
)
_DEFAULT_GROUPS = (Group("root", 0), Group("nobody", NOBODY))


@dataclass(frozen=True, slots=True)
class Accounts:
    """The users and groups of an image: ids by name, what files hold where it is not what they held, homes to make.

    `made`: users that were not there. `notes`: for the build's log, what was there already under a name that is asked for.
    """

    uids: Mapping[str, int]
    gids: Mapping[str, int]
    files: Mapping[str, bytes] = field(default_factory=dict)
    homes: tuple[Home, ...] = ()
    made: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def merge_accounts(
    users: Iterable[User], groups: Iterable[Group], there: Mapping[str, bytes], made: frozenset[str] | None = None
) -> Accounts:
    """`users` and `groups` added to the files that are `there`. Raises DockertoolsError for conflicts, all in one line.

    `made`: those of a first time, where this is the second, after scripts.
    """
    merging = _Merging(there, made)
    users, groups = tuple(users), tuple(groups)
    if users or groups:
        merging.begin(users, groups)
    for group in groups:
        merging.add_group(group)
    fitting = [user for user in users if merging.fits(user)]
    # Before any user names the group of another one.
    own = [merging.own_group(user) for user in fitting]
    homes = [merging.add_user(user, gid) for user, gid in zip(fitting, own, strict=True)]
    if merging.issues:
        raise DockertoolsError("; ".join(merging.issues))
    return Accounts(
        merging.passwd.ids(),
        merging.group.ids(),
        merging.changed(there),
        tuple(home for home in homes if home),
        frozenset(merging.made),
        tuple(merging.notes),
    )


def _home(user: User) -> str:
    return "/root" if user.uid == 0 else f"/home/{user.name}"


class _Table:
    """The lines of a file, each as its fields."""

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        self.lines = [line.split(":") for line in text.split("\n")]
        if self.lines[-1] == [""]:
            del self.lines[-1]

    def ids(self) -> dict[str, int]:
        """Of each name its id; of names that are there twice the first counts, as for whoever looks them up."""
        found: dict[str, int] = {}
        for line in self.lines:
            if len(line) >= 3 and line[2].isascii() and line[2].isdigit():
                found.setdefault(line[0], int(line[2]))
        return found

    def find(self, name: str) -> list[str] | None:
        return next((line for line in self.lines if line[0] == name and len(line) >= 3), None)

    def name_of(self, number: int) -> str | None:
        return next((name for name, its in self.ids().items() if its == number), None)

    def add(self, *fields: str) -> list[str]:
        self.lines.append(list(fields))
        return self.lines[-1]

    def to_bytes(self) -> bytes:
        return "".join(":".join(line) + "\n" for line in self.lines).encode("utf-8", "surrogateescape")


class _Merging:
    """The files while they change, and what stands against it."""

    def __init__(self, there: Mapping[str, bytes], made: frozenset[str] | None) -> None:
        self.passwd, self.group, self.shadow, self.gshadow = (_Table(there.get(name, b"")) for name in MODES)
        self._has = {name: name in there for name in MODES}
        self._writes_shadow = False
        self._is_first = made is None
        self.made = set(made or ())
        self.issues: list[str] = []
        self.notes: list[str] = []

    def begin(self, users: tuple[User, ...], groups: tuple[Group, ...]) -> None:
        """Put root and nobody into files that are not there, but for names and ids that are asked for otherwise."""
        self._writes_shadow = bool(users)
        if not self._has[GROUP]:
            for group in _DEFAULT_GROUPS:
                if not any(group.name == other.name or group.gid == other.gid for other in groups):
                    self.add_group(group)
        if users and not self._has[PASSWD]:
            for user in _DEFAULT_USERS:
                if not any(user.name == other.name or user.uid == other.uid for other in users):
                    self.add_user(user, user.gid)
        if users and not self._has[SHADOW]:
            # Or whoever has none of the users that are there already could not log in any more.
            for line in self.passwd.lines:
                if line[1:2] == ["x"]:
                    self._lock(line[0])

    def add_group(self, group: Group) -> None:
        line = self.group.find(group.name)
        other = self.group.name_of(group.gid)
        if line is not None and self.group.ids().get(group.name) != group.gid:
            return self._conflict(f"groups.{group.name}.gid is {group.gid}", f"`{group.name}` has {line[2]}", GROUP, ID)
        if line is None and other is not None:
            return self._conflict(f"groups.{group.name}.gid is {group.gid}", f"that is `{shown(other)}`", GROUP, NAME)
        if line is None:
            self.group.add(group.name, "x", str(group.gid), "")
            if self._has[GSHADOW] and self.gshadow.find(group.name) is None:
                self.gshadow.add(group.name, "!", "", "")
        joined = [member for member in group.members if self._join(group.name, member)]
        if line is not None:
            changes = [f"{', '.join(joined)} joined it"] if joined else []
            self._note(f"groups.{group.name}", GROUP, f"gid {group.gid}", changes)
        return None

    def fits(self, user: User) -> bool:
        """Whether name and number of a user are both new, or of one account."""
        known, other = self.passwd.find(user.name), self.passwd.name_of(user.uid)
        if known is not None and self.passwd.ids().get(user.name) != user.uid:
            self._conflict(f"users.{user.name}.uid is {user.uid}", f"`{user.name}` has {shown(known[2])}", PASSWD, ID)
        elif known is None and other is not None:
            self._conflict(f"users.{user.name}.uid is {user.uid}", f"that is `{shown(other)}`", PASSWD, NAME)
        else:
            return True
        return False

    def own_group(self, user: User) -> int | None:
        """The id of the primary group of a user who names none; it is made where need be."""
        if user.group is not None:
            return None
        known = self.passwd.find(user.name)
        if user.gid is None and known is not None and known[3:4] and known[3].isascii() and known[3].isdigit():
            return int(known[3])
        if user.gid is not None and self.group.name_of(user.gid) is not None:
            return user.gid
        gids = self.group.ids()
        if user.gid is None and user.name in gids:
            return gids[user.name]
        gid = user.uid if user.gid is None else user.gid
        other = self.group.name_of(gid)
        if other is not None:
            what = f"users.{user.name} would have the group {gid} of its own"
            self._conflict(what, f"that is `{shown(other)}`", GROUP, f'group = "{shown(other)}"')
        elif user.name in gids:
            what = f"users.{user.name} would have the group {gid} of its own"
            self._conflict(what, f"`{user.name}` has {gids[user.name]}", GROUP, f'group = "{user.name}"')
        else:
            self.add_group(Group(user.name, gid))
        return gid

    def add_user(self, user: User, gid: int | None) -> Home | None:
        """Add a user whose primary group is `gid`, or the one that it names; the home to make for it."""
        if gid is None:
            gid = self.group.ids().get(user.group or "")
            if gid is None:
                self._missing(f"users.{user.name}.group", user.group or "")
                return None
        if not self.fits(user):
            return None
        known = self.passwd.find(user.name)
        if known is not None and known[3:4] != [str(gid)]:
            what = f"users.{user.name} would have the primary group {gid}"
            self._conflict(
                what, f"it is {shown(known[3]) if known[3:] else 'none'}", PASSWD, "that one, or leave it out"
            )
            return None
        line = known if known is not None else self.passwd.add(user.name, "x", str(user.uid), str(gid), "", "", "")
        line += [""] * (7 - len(line))
        is_new, old = known is None, line[4:7]
        line[4:7] = (
            line[4] if user.description is None else user.description,
            user.home or (_home(user) if is_new else line[5]),
            user.shell or ("/bin/sh" if is_new else line[6]),
        )
        if is_new:
            self.made.add(user.name)
        else:
            fields = zip(("description", "home", "shell"), old, line[4:7], strict=True)
            changes = [f"{what} is {shown(new)} now, was {shown(was)}" for what, was, new in fields if was != new]
            self._note(f"users.{user.name}", PASSWD, f"uid {user.uid}", changes)
        if line[1] == "x":
            self._lock(user.name)
        for name in user.extra_groups:
            if name in self.group.ids():
                self._join(name, user.name)
            else:
                self._missing(f"users.{user.name}.extraGroups", name)
        creates = user.creates_home
        if creates is None:
            creates = (user.name in self.made or user.home is not None) and line[5] not in HOMELESS
        return Home(user.name, line[5], user.home_mode, Owner(user.uid, gid)) if creates else None

    def changed(self, there: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files that are not as they were."""
        tables = dict(zip(MODES, (self.passwd, self.group, self.shadow, self.gshadow), strict=True))
        texts = {name: table.to_bytes() for name, table in tables.items() if table.lines}
        # A last line without an end is no change by itself.
        return {
            name: text for name, text in texts.items() if text not in (there.get(name), there.get(name, b"") + b"\n")
        }

    def _lock(self, name: str) -> None:
        """A line in shadow with a password that nobody has, and no dates: they would age."""
        if self._writes_shadow and not any(line[0] == name for line in self.shadow.lines):
            self.shadow.add(name, "!", *[""] * 7)

    def _join(self, group: str, member: str) -> bool:
        """Make somebody a member; whether that is new."""
        joined = False
        for table in (self.group, self.gshadow):
            line = table.find(group)
            if line is not None:
                line += [""] * (4 - len(line))
                members = [name for name in line[3].split(",") if name]
                joined = joined or member not in members
                line[3] = ",".join(members if member in members else [*members, member])
        return joined

    def _note(self, argument: str, file: str, number: str, changes: list[str]) -> None:
        if changes or self._is_first:
            what = ", ".join(changes) or "kept as it is"
            self.notes.append(f"{argument}: in /{file} already, {number}: {what}")

    def _conflict(self, asked: str, there: str, file: str, way_out: str) -> None:
        self.issues.append(f"{asked}, but {there} in /{file} already: write {way_out}")

    def _missing(self, argument: str, group: str) -> None:
        self.issues.append(
            f"{argument}: no group `{shown(group)}` in /{GROUP}: write groups.{shown(group)}.gid = a number"
        )
