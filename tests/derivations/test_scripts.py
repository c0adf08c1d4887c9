"""What scripts as root have of the store where a base has one of its own."""

import pytest

from dockertools_py.derivations import scripts
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import ROOT, Entry, Kind
from dockertools_py.pack.tree import Tree


def test_the_store_of_a_whole_machine_is_refused_beside_one_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree()
    tree.apply([(Entry(b"nix/store/own", Kind.FILE, 0o444, ROOT, 1), 0)])
    listed = ["own", "a", "b", ".links"]
    monkeypatch.setattr("os.listdir", lambda _: listed)
    monkeypatch.setattr("os.path.exists", lambda _: True)
    assert scripts._store(Tree()) == ["/nix/store"]
    assert scripts._store(tree) == ["/nix/store/a", "/nix/store/b"]
    monkeypatch.setattr(scripts, "MOST_MOUNTS", 1)
    with pytest.raises(DockertoolsError) as error:
        scripts._store(tree)
    assert str(error.value) == (
        "scripts as root: the base has a store of its own, beside which 2 store paths would have to be mounted, and 1 can be: "
        "build with Nix's `sandbox = true`, where only those are there that are needed"
    )
