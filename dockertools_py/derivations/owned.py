"""Users, groups and permissions of a spec, applied to the layer at `/`: a module of its own, since few images have any."""

import sys
from collections.abc import Iterable

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.entry import Entry
from dockertools_py.pack.owners import Owners, with_accounts, with_owners
from dockertools_py.store.below import Below


class Owned:
    """`owners` of a spec, on what `below` describes: `before` scripts run, if any do, and `after` them."""

    def __init__(self, attributes: Attributes, below: Below) -> None:
        self._owners = Owners.from_json(attributes.spec["owners"])
        self._below, self._owner, self._mtime = below, attributes.owner(), attributes.spec["mtime"]
        self._made: frozenset[str] | None = None

    def before(self, own: tuple[Entry, ...], placed: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """`own` with the accounts that scripts shall find; `placed` is where that comes to lie on what is below."""
        if not (self._owners.users or self._owners.groups):
            return own
        tree = self._below.tree.copy()
        found = with_accounts(own, placed, tree, self._owners, self._below, mtime=self._mtime, say=_say)
        self._made = found.made
        return found.entries

    def after(self, placed: Iterable[Entry]) -> tuple[Entry, ...]:
        """`placed` as asked for."""
        return with_owners(
            placed,
            self._below.tree,
            self._owners,
            self._below,
            owner=self._owner,
            mtime=self._mtime,
            made=self._made,
            say=_say,
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
