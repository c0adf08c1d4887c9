"""`perms` applied to a draft: as chmod, chown and setcap would, but to what is only going to be written.

A path is followed through all links, as chmod does; below a recursive one, and where a pattern finds a link, the link itself is
meant: it gets the owner, and no mode, since a link has none. Later items see what earlier ones did.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import capability
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.model.permission import Permission
from dockertools_py.pack.accounts import GROUP, PASSWD, Accounts
from dockertools_py.pack.draft import NOT_OURS, STORE, Draft
from dockertools_py.pack.tree import Node

DIRECTORY_MODE = 0o755
"""Of a directory that is made, where no mode is given."""

_SPECIAL = re.compile(r"[*?[]")
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^]/]+\]|[^*?[]+|\[")


def apply_permissions(draft: Draft, permissions: Iterable[Permission], accounts: Accounts, owner: Owner) -> None:
    """Change `draft`. `owner`: of directories that are made. Raises DockertoolsError for what is not there."""
    for permission in permissions:
        try:
            uid = _number(permission.uid, accounts.uids, "user", PASSWD)
            gid = _number(permission.gid, accounts.gids, "group", GROUP)
            for name, node in list(_found(draft, permission, owner)):
                if permission.yields and not draft.has(name):
                    continue
                kind = node.entry.kind
                mode = permission.mode if kind is not Kind.SYMLINK else None
                draft.change(name, mode=mode, uid=uid, gid=gid, xattr=_capability(permission, name, kind))
        except DockertoolsError as error:
            raise DockertoolsError(f"perms: {permission.path}: {error}") from error


def pattern(text: str) -> re.Pattern[str]:
    """A pattern for names as an expression: `*` and `?` within a part, `**` over any number of parts, `[ab]`, `[!ab]`.

    Raises DockertoolsError for a range that goes backwards.
    """
    parts = []
    for token in _TOKEN.findall(text):
        match token:
            case "**/":
                parts.append("(?:[^/]+/)*")
            case "**":
                parts.append(".+")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _ if token[0] == "[" and len(token) > 1:
                negated = token[1] == "!"
                inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", token[2 if negated else 1 : -1]).replace("--", r"-\-")
                parts.append(f"(?!/)[{'^' if negated else ''}{inner}]")
            case _:
                parts.append(re.escape(token))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise DockertoolsError(f"no pattern: {error.msg}") from error


def _found(draft: Draft, permission: Permission, owner: Owner) -> Iterator[tuple[bytes, Node]]:
    if permission.is_glob:
        starts = _matching(draft, permission.path)
        if not starts:
            raise DockertoolsError("nothing matches it: mend the pattern, or take the item out")
    else:
        starts = [_existing(draft, permission, owner)]
    for name, node in starts:
        if not permission.recursive:
            yield name, node
            continue
        if not name:
            yield name, node
        yield from draft.below(name)


def _matching(draft: Draft, path: str) -> list[tuple[bytes, Node]]:
    """What a pattern finds. The parts before the first that is one are followed through links."""
    special = _SPECIAL.search(path)
    literal = path[: special.start() if special else len(path)].rpartition("/")[0]
    start = draft.tree.resolve(literal.strip("/").encode())
    prefix = start + b"/" if start else b""
    wanted = pattern(path[len(literal) + 1 :])
    return [
        (name, node)
        for name, node in draft.below(start)
        if name.startswith(prefix) and wanted.fullmatch(name[len(prefix) :].decode("utf-8", "surrogateescape"))
    ]


def _existing(draft: Draft, permission: Permission, owner: Owner) -> tuple[bytes, Node]:
    name = draft.tree.resolve(permission.path.strip("/").encode())
    if name in NOT_OURS or name.startswith(STORE):
        raise DockertoolsError(
            f"leads to /{shown(name)}, and what is in the store keeps its mode and owner: put the package in `copyToRoot`"
        )
    node = draft.tree.get(name)
    if node is None and permission.creates:
        draft.put(Entry(name + b"/", Kind.DIRECTORY, DIRECTORY_MODE, owner, draft.mtime))
        node = draft.tree.get(name)
        assert node is not None
    if node is None:
        way_out = "write it as `glob`" if _SPECIAL.search(permission.path) else 'mend the path, or write create = "directory"'
        raise DockertoolsError(f"is not there: {way_out}")
    if permission.creates and not node.is_directory():
        raise DockertoolsError('is there, but no directory: leave out create = "directory"')
    return name, node


def _capability(permission: Permission, name: bytes, kind: Kind) -> tuple[str, bytes] | None:
    if permission.capabilities is None:
        return None
    if kind in (Kind.FILE, Kind.HARDLINK):
        return capability.XATTR, permission.capabilities
    if permission.recursive or permission.is_glob:
        return None
    raise DockertoolsError(f"/{shown(name)} is no file: only files have capabilities")


def _number(asked: int | str | None, ids: Mapping[str, int], what: str, file: str) -> int | None:
    if not isinstance(asked, str):
        return asked
    if asked not in ids:
        raise DockertoolsError(f"no {what} `{shown(asked)}` in /{file}: write {what}s.{shown(asked)}, or a number")
    return ids[asked]
