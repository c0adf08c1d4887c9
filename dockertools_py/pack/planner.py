"""Which store path goes in which layer.

The problem. A closure has tens to thousands of paths, an image at most 125 layers. Whoever pulls a new version of the
image pulls each layer again of which one path changed; so what changes together belongs together, and what is big
should not be sent again because something small beside it changed. But a layer costs a request and a mount, so small
paths do not deserve one each: in images seen in the wild half of a hundred layers hold less than 100 kB.

The rule, for the paths of `graph` and `budget` layers:

1. The roots (what the user named) change with every build: they share the last layer. Those that are not among the paths,
   because they lie below already or are only copied to `/`, need none.
2. Every other path of at least FLOOR bytes has a layer of its own, the biggest first while the budget lasts.
3. All the rest shares one layer, below the roots'.

The order is bottom up: paths that refer to nothing first, by the length of their longest chain of references and then
by name without hash. A path changes whenever anything that it refers to does, so the stable layers are at the bottom,
where engines that compare layers by prefix keep them, and a new hash alone moves no layer.

Example: `python3` of 30 MB with glibc (13 MB), openssl (5 MB), zlib (0.1 MB), libffi (0.1 MB) and a budget of 10:

    [glibc] [openssl] [libffi zlib] [python3]

With a budget of 3 it is `[glibc] [libffi openssl zlib] [python3]`, with 1 all in one layer.
"""

from collections.abc import Iterable

from dockertools_py.model.references_graph import ReferencesGraph, name_of

FLOOR = 1 << 20
"""A layer of less than 1 MiB costs more in requests and mounts than it can ever save in bytes."""

Plan = tuple[tuple[str, ...], ...]


def plan(graph: ReferencesGraph, roots: Iterable[str], budget: int, floor: int = FLOOR) -> Plan:
    """Groups of store paths, one a layer, lowest first; every path of `graph` is in exactly one.

    `budget` is at least 1; the plan has at most so many layers. Paths in a group are sorted.
    """
    levels = graph.levels()
    own_roots = sorted(set(roots) & graph.paths.keys())
    below = [node for path, node in graph.paths.items() if path not in set(own_roots)]
    room = budget - bool(own_roots)  # roots that are only copied to `/` have no layer of their own
    if not below or room < 1:
        return _groups([sorted(graph.paths)])
    big = sorted((node for node in below if node.nar_size >= floor), key=lambda node: (-node.nar_size, node.path))
    rest_is_empty = len(big) == len(below) and len(big) <= room
    alone = {node.path for node in big[: room if rest_is_empty else room - 1]}
    rest = sorted(node.path for node in below if node.path not in alone)
    ordered = sorted(alone, key=lambda path: (levels[path], name_of(path), path))
    return _groups([*([path] for path in ordered), rest, own_roots])


def _groups(groups: Iterable[list[str]]) -> Plan:
    return tuple(tuple(group) for group in groups if group)
