"""The references graph of a closure, as Nix gives it."""

from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.references_graph import ReferencesGraph, name_of, store_path_of

HASH = "0" * 32


def path(name: str) -> str:
    return f"/nix/store/{HASH}-{name}"


def graph(**references: str) -> ReferencesGraph:
    """Of `name="what it refers to"`."""
    nodes: list[Any] = [
        {"path": path(name), "narSize": 10, "references": [path(other) for other in text.split()]}
        for name, text in references.items()
    ]
    return ReferencesGraph.from_json(nodes)


def names(paths: Any) -> set[str]:
    return {name_of(found) for found in paths}


def test_levels_are_the_longest_chains() -> None:
    found = graph(app="lib glibc", lib="glibc zlib", zlib="glibc", glibc="glibc").levels()
    assert {name_of(key): level for key, level in found.items()} == {"glibc": 0, "zlib": 1, "lib": 2, "app": 3}


def test_a_reference_to_itself_is_noted_and_is_no_circle() -> None:
    node = graph(a="a b", b="").paths[path("a")]
    assert (node.references, node.refers_to_itself) == ((path("b"),), True)


def test_a_reference_that_leads_out_of_the_closure() -> None:
    with pytest.raises(DockertoolsError) as caught:
        graph(a="b")
    assert str(caught.value) == f"{path('a')} refers to {path('b')}, which is not in its closure"


def test_circles() -> None:
    with pytest.raises(DockertoolsError, match=r"^references in a circle: "):
        graph(a="b", b="a").levels()


def test_without_and_union() -> None:
    whole = graph(a="b c", b="c", c="")
    kept = whole.without([path("c"), "/absent"])
    assert names(kept.paths) == {"a", "b"}
    assert names(kept.paths[path("a")].references) == {"b"}
    assert names(kept.union(graph(d="")).paths) == {"a", "b", "d"}
    assert names(whole.paths) == {"a", "b", "c"}


def test_what_nothing_refers_to() -> None:
    whole = graph(a="b", b="", self="self", c="")
    assert names(whole.unreferenced(map(path, ("a", "b", "self", "c", "elsewhere")))) == {"a", "c", "elsewhere"}


def test_names_of_store_paths() -> None:
    assert name_of(path("bash-5.2")) == "bash-5.2"
    assert store_path_of(path("bash-5.2") + "/bin/bash") == path("bash-5.2")
    assert store_path_of(path("bash-5.2")) == path("bash-5.2")
