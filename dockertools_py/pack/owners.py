"""Users, groups, owners and modes as data: what `users`, `groups` and `perms` make of the layer at `/`.

The problem: a file in the store has no owner and one bit of mode, and a build runs as nobody in particular. So whoever wants a
file of user 1000, a `/tmp` of mode 1777 or a program that may bind port 80 had to run a script as something like root.

The rule: a layer is entries, and an entry has an owner, a mode and attributes whether or not the machine that writes it
could give them to a file. So all of this is a change of entries before they are written. It needs no privilege and no
namespace, works on any builder, and follows from the arguments and what is below.

The order: accounts first, then their homes, then `perms` one after the other, which may name users. Scripts find accounts and
homes (`with_accounts`), and everything is applied to what they leave: what is asked for holds, whatever a script did.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.account import Group, Home, User
from dockertools_py.model.entry import ROOT, Entry, Kind, Owner
from dockertools_py.model.permission import Permission
from dockertools_py.pack import subordinate_ids
from dockertools_py.pack.accounts import GROUP, MODES, PASSWD, Accounts, merge_accounts
from dockertools_py.pack.draft import NOT_OURS, STORE, Contents, Draft
from dockertools_py.pack.permissions import apply_permissions
from dockertools_py.pack.tree import Tree

Say = Callable[[str], None]
"""Who is told of accounts that were there already, a line each."""


@dataclass(frozen=True, slots=True)
class Owners:
    """What is asked for."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    permissions: tuple[Permission, ...] = ()
    runs_as: tuple[str | None, str | None] = (None, None)
    """User and group of the image's config, where they are names: they must be there."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a derivation's spec, which evaluation has checked."""
        return cls(
            tuple(map(User.from_json, value["users"])),
            tuple(map(Group.from_json, value["groups"])),
            tuple(map(Permission.from_json, value["perms"])),
            (value["runsAs"]["user"], value["runsAs"]["group"]),
        )


@dataclass(frozen=True, slots=True)
class Before:
    """What scripts find: `entries`, with accounts and homes; of the users `made` were not there."""

    entries: tuple[Entry, ...]
    made: frozenset[str]


def with_accounts(
    own: Iterable[Entry],
    placed: Iterable[Entry],
    tree: Tree,
    owners: Owners,
    contents: Contents,
    *,
    mtime: int,
    say: Say,
) -> Before:
    """The layer `own` with the accounts that it has, once `placed` on `tree`, and with their homes.

    `own` may be the entries before they are placed, for scripts that see nothing of what lies below.
    Raises DockertoolsError for accounts that do not fit together.
    """
    own, placed = tuple(own), tuple(placed)
    view = Draft(placed, tree, contents, mtime)
    accounts = _accounts(view, owners)
    for note in accounts.notes:
        say(note)
    draft = view if own == placed else Draft(own, Tree(), contents, mtime)
    for name, data in accounts.files.items():
        put_file(draft, name, data, view.tree)
    for home in accounts.homes:
        _put_home(draft, home)
    return Before(draft.entries(), accounts.made)


def with_owners(
    placed: Iterable[Entry],
    tree: Tree,
    owners: Owners,
    contents: Contents,
    *,
    owner: Owner = ROOT,
    mtime: int,
    made: frozenset[str] | None = None,
    say: Say = lambda _: None,
) -> tuple[Entry, ...]:
    """The layer `placed` on `tree`, with users, groups, owners and modes as asked for.

    `owner`: of directories that are made; `made`: where scripts ran, the users that they found and nobody had before.
    Raises DockertoolsError for what does not fit together or is not there.
    """
    draft = Draft(placed, tree, contents, mtime)
    accounts = _accounts(draft, owners, made)
    for note in accounts.notes:
        say(note)
    for name, data in accounts.files.items():
        put_file(draft, name, data, tree)
    for home in accounts.homes:
        _put_home(draft, home)
    for user, ids, file in zip(owners.runs_as, (accounts.uids, accounts.gids), (PASSWD, GROUP), strict=True):
        if user is not None and user not in ids:
            _refuse_to_run(user, file)
    apply_permissions(draft, owners.permissions, accounts, owner)
    return draft.entries()


def _accounts(draft: Draft, owners: Owners, made: frozenset[str] | None = None) -> Accounts:
    """Those of the image; the files are read only if somebody needs them."""
    named = any(isinstance(number, str) for one in owners.permissions for number in (one.uid, one.gid))
    if not (named or owners.users or owners.groups or any(owners.runs_as)):
        return Accounts({}, {})
    texts = ((name, draft.text(name.encode())) for name in MODES)
    there = {name: text for name, text in texts if text is not None}
    return merge_accounts(owners.users, owners.groups, there, made)


def put_file(draft: Draft, name: str, data: bytes, like: Tree) -> None:
    """In the place of a file or of a link, which stays a link only if it leads to a directory: `/etc` itself may be one.

    Mode and owner are those that the file has in the tree `like`.
    """
    folder, _, last = name.encode().rpartition(b"/")
    place = draft.tree.resolve(folder) + b"/" + last
    if place.startswith(STORE):
        raise DockertoolsError(f"/{name}: leads to /{shown(place)}, and nothing in the store can be changed")
    entry = Entry(place, Kind.FILE, MODES.get(name, subordinate_ids.MODE), mtime=draft.mtime, size=len(data), data=data)
    node = like.get(like.resolve(folder) + b"/" + last)
    if node is not None and node.entry.kind is Kind.FILE:
        entry = entry._replace(mode=node.entry.mode, owner=node.entry.owner, xattrs=node.entry.xattrs)
    draft.put(entry)


def _put_home(draft: Draft, home: Home) -> None:
    """Make a home, or give the directory that is there to its user; what is in it stays as it is."""
    name = draft.tree.resolve(home.path.strip("/").encode())
    node = draft.tree.get(name)
    if name in (b"", *NOT_OURS) or name.startswith(STORE) or (node is not None and not node.is_directory()):
        raise DockertoolsError(
            f"users.{home.user}.home: {home.path} leads to /{shown(name)}, which cannot be a home: "
            "write another one, or createHome = false"
        )
    if node is None:
        draft.put(Entry(name + b"/", Kind.DIRECTORY, home.mode, home.owner, draft.mtime))
    else:
        draft.change(name, mode=home.mode, uid=home.owner.uid, gid=home.owner.gid)


def _refuse_to_run(name: str, file: str) -> None:
    what = "user" if file == PASSWD else "group"
    raise DockertoolsError(
        f"config.User: no {what} `{shown(name)}` in /{file}, so no container would start: "
        f"write {what}s.{shown(name)}, or numbers"
    )
