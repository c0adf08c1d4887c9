"""Several trees at one place: what merges, and what is refused by the names of both."""

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.merge import merge

Tree = tuple[str, list[Entry]]


def tree(label: str, *names: str) -> Tree:
    """A tree of files with `label` as content, and of directories where a name ends in `/`; `name=text` sets content."""
    entries = []
    for text in names:
        name, _, content = text.partition("=")
        kind = Kind.DIRECTORY if name.endswith("/") else Kind.FILE
        entries.append(Entry(name.encode(), kind, 0o555, data=(content or label).encode()))
    return label, sorted(entries, key=lambda entry: entry.name)


def merged(*trees: Tree) -> list[str]:
    return [f"{e.name.decode()}={e.data.decode()}" for e in merge(trees, lambda a, b: a.data == b.data)]


def conflict(*trees: Tree) -> str:
    with pytest.raises(DockertoolsError) as caught:
        merged(*trees)
    return str(caught.value)


END = "; take one of them out, or put a tree without it in its place"


def test_directories_merge_and_the_first_counts() -> None:
    assert merged(tree("A", "bin/", "bin/a"), tree("B", "bin/", "bin/b")) == ["bin/=A", "bin/a=A", "bin/b=B"]


def test_equal_files_merge_and_the_first_counts() -> None:
    first, second = tree("A", "x=same"), tree("B", "x=same")
    kept = next(iter(merge([first, second], lambda a, b: a.data == b.data)))
    assert kept is first[1][0]
    assert merged(first, second) == ["x=same"]


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_different_files_name_both_trees_in_their_order(order: tuple[str, str]) -> None:
    text = conflict(*(tree(label, "bin/", "bin/x") for label in order))
    assert text == f"/bin/x: different files in {order[0]} and in {order[1]}{END}"


def test_a_file_against_a_directory_in_both_orders() -> None:
    file, directory = tree("A", "lib"), tree("B", "lib/", "lib/y")
    assert conflict(file, directory) == f"/lib/: a file and a directory in A and in B{END}"
    assert conflict(directory, file) == f"/lib/: a file and a directory in A and in B{END}"


def test_a_file_against_a_directory_with_names_between_them() -> None:
    # `lib` < `lib-x` < `lib.d` < `lib/` as bytes: the two do not meet one after the other.
    file, directory = tree("A", "lib", "lib-x", "lib.d"), tree("B", "lib/", "lib/y")
    assert conflict(directory, file) == f"/lib/: a file and a directory in A and in B{END}"


def test_the_third_of_three_trees_is_compared_with_the_one_that_was_kept() -> None:
    assert conflict(tree("A", "x=1"), tree("B", "x=1"), tree("C", "x=2")) == f"/x: different files in A and in C{END}"


def test_names_that_are_not_printable_are_shown_on_one_line() -> None:
    trees = [(label, [Entry(b"a\n\xff", Kind.FILE, 0o444, data=label.encode())]) for label in ("A", "B")]
    with pytest.raises(DockertoolsError) as caught:
        list(merge(trees, lambda a, b: a.data == b.data))
    assert str(caught.value) == rf"/a\n\xff: different files in A and in B{END}"


def test_the_order_is_that_of_the_names_whatever_the_trees() -> None:
    assert merged(tree("A", "a", "c/", "c/z"), tree("B", "b", "c-d", "c/", "c/y")) == [
        "a=A",
        "b=B",
        "c-d=B",
        "c/=A",
        "c/y=B",
        "c/z=A",
    ]


def test_one_tree_and_none() -> None:
    assert merged(tree("A", "x")) == ["x=A"]
    assert merged() == []
