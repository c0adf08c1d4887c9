"""What a farm that builds images all day costs, counted: three ways to cut the work, the same images, the same changes.

    python3 bench/simulate.py                      # the closures of closures.json; what docs/scale.md shows
    python3 bench/simulate.py --closures FILE      # closures of your own: {"NAME": [{path, narSize, references}, …]}
    python3 bench/simulate.py --embedded           # those of the embedded package set as it is on this machine

Applications stand on closures that are really there, and are planned by the planner of the project. Everything else is assumed,
and is in `Farm` and `Prices`. Nothing is timed.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from dockertools_py.model.references_graph import ReferencesGraph, StorePath  # noqa: E402
from dockertools_py.pack.planner import plan  # noqa: E402

WAYS = ("layers", "archive", "flat")
"""A derivation for each root, pushed from descriptions; for each image an archive of the same layers; one of a single layer."""
MIB = 1 << 20


@dataclass(frozen=True)
class Farm:
    """What happens in a day, assumed."""

    builders: int = 100
    images: int = 10_000
    applications: int = 400
    code: float = 0.93
    """The share of images that are built since the application itself changed …"""
    config: float = 0.05
    """… or its config alone; the others since a package below them did, which hits all applications that have it."""
    low: int = MIB // 2
    high: int = 40 * MIB
    """Bytes of an application's own store path, in between on a logarithmic scale."""
    seed: int = 11156


@dataclass(frozen=True)
class Prices:
    """What one thing costs."""

    gzip: float = 0.33
    """Bytes of a layer compressed, for one of its own: 139 MB of the examples' layers at level 2 came to 46 MB."""
    gzip_speed: int = 96_000_000
    """Bytes a second and core: docs/decisions.md."""
    description: int = 800
    """Bytes of a description, the mean of those that the tests build; assumed to stay that small."""
    image: int = 7_000
    """Bytes of an image's description; those of the examples, which have fewer layers, are 2 to 5 kB."""
    link_layer: int = 20_000
    """Bytes of the layer at `/`, assumed."""
    budget: int = 40
    """Layers of packages for an image: the default."""
    cache_requests: int = 2
    """For each store path: its NAR and its narinfo."""
    look: int = 1
    """HEAD of a blob in a registry."""
    upload: int = 2
    """POST and PUT of a blob (OCI distribution spec 1.1, "Pushing blobs")."""
    mount: int = 1
    """POST of a blob that another repository has."""
    manifest: int = 2
    """GET of the tag's last manifest, PUT of the new one."""


@dataclass
class Cost:
    """Of one way."""

    derivations: int = 0
    compressed: int = 0
    """Bytes that were read to be compressed."""
    cache_bytes: int = 0
    cache_requests: int = 0
    registry_bytes: int = 0
    registry_requests: int = 0


@dataclass
class Application:
    """Its roots, lowest first, the last one its own; how often its config changed."""

    number: int
    runtime: str
    graph: ReferencesGraph
    roots: tuple[str, ...]
    own: str
    layers: tuple[tuple[str, ...], ...] = ()
    """The plan of all roots: groups of store paths."""
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """For each root the numbers of its layers in the plan."""
    config: int = 0


@dataclass
class State:
    """What is there already, for one way."""

    cost: Cost = field(default_factory=Cost)
    built: set[object] = field(default_factory=set)
    blobs: set[object] = field(default_factory=set)
    repositories: dict[int, frozenset[object]] = field(default_factory=dict)
    """The layers of each repository's tag."""


def applications(closures: Mapping[str, ReferencesGraph], farm: Farm, prices: Prices, dice: random.Random) -> list[Application]:
    """Each stands on one of the closures, with a store path of its own on top that refers to its root."""
    made = []
    for number in range(farm.applications):
        runtime = dice.choice(sorted(closures))
        below = closures[runtime]
        (root,) = set(below.paths) - {r for node in below.paths.values() for r in node.references}
        own = f"/nix/store/{number:032d}-application-{number}"
        size = int(farm.low * (farm.high / farm.low) ** dice.random())
        graph = ReferencesGraph({**below.paths, own: StorePath(own, size, (root,))})
        application = Application(number, runtime, graph, (root, own), own)
        application.layers, application.groups = planned(application, below, prices)
        made.append(application)
    return made


def planned(
    application: Application, below: ReferencesGraph, prices: Prices
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, tuple[int, ...]], ...]]:
    """As nix/internal/layerGroups.nix cuts it: each root's closure without what lies below."""
    lower, upper = application.roots
    first = plan(below, [lower], prices.budget // 3)
    second = plan(application.graph.without(below.paths), [upper], prices.budget // 3)
    numbers = tuple(range(len(first) + len(second)))
    return first + second, ((lower, numbers[: len(first)]), (upper, numbers[len(first) :]))


def closed(graph: ReferencesGraph, path: str) -> frozenset[str]:
    """A path and all that it refers to, however far."""
    found, left = {path}, [path]
    while left:
        new = set(graph.paths[left.pop()].references) - found
        found |= new
        left += new
    return frozenset(found)


class Versions:
    """Which version of each store path there is: a path is another one whenever anything that it refers to is."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._closures: dict[tuple[int, str], frozenset[str]] = {}

    def change(self, path: str) -> None:
        self._own[path] += 1

    def of(self, application: Application, path: str) -> tuple[object, ...]:
        """Equal for two paths only when they are the same store path."""
        key = (application.number if path == application.own else -1, path)
        if key not in self._closures:
            self._closures[key] = closed(application.graph, path)
        return (path, *sorted((p, self._own[p]) for p in self._closures[key] if self._own[p]))


def build(state: State, way: str, application: Application, versions: Versions, prices: Prices) -> None:
    """One image: what must be built, put in the cache and pushed, that was not before."""
    roots = [versions.of(application, root) for root in application.roots]
    layers: list[tuple[object, int]] = []
    sizes = {path: node.nar_size for path, node in application.graph.paths.items()}
    for index, (_, numbers) in enumerate(application.groups):
        group = [application.layers[number] for number in numbers]
        contents = [(tuple(versions.of(application, p) for p in paths), sum(sizes[p] for p in paths)) for paths in group]
        if way == "layers":
            total = sum(size for _, size in contents)
            _derive(state, ("layers", *roots[: index + 1]), prices.description, prices)
            if _derive(state, ("gz", *roots[: index + 1]), int(total * prices.gzip), prices):
                state.cost.compressed += total
        layers += contents
    layers.append((("links", *roots), prices.link_layer))
    image = (application.number, application.config, *roots)
    total = sum(size for _, size in layers)
    if way == "layers":
        _derive(state, ("links", *roots), prices.description, prices)
        _derive(state, ("links-gz", *roots), int(prices.link_layer * prices.gzip), prices)
        _derive(state, ("image", image), prices.image, prices)
    elif _derive(state, ("archive", image), int(total * prices.gzip), prices):
        state.cost.compressed += total
    if way == "flat":
        layers = [(("all", *roots), total)]
    _push(state, application.number, layers, prices)


def _derive(state: State, key: object, size: int, prices: Prices) -> bool:
    """Whether it had to be built."""
    if key in state.built:
        return False
    state.built.add(key)
    state.cost.derivations += 1
    state.cost.cache_bytes += size
    state.cost.cache_requests += prices.cache_requests
    return True


def _push(state: State, repository: int, layers: Sequence[tuple[object, int]], prices: Prices) -> None:
    """The last manifest says what the repository has; what another one has is mounted."""
    cost = state.cost
    had = state.repositories.get(repository, frozenset())
    cost.registry_requests += prices.manifest + prices.upload  # of the config
    for layer, size in layers:
        if layer in had:
            continue
        if layer in state.blobs:
            cost.registry_requests += prices.mount
            continue
        state.blobs.add(layer)
        cost.registry_requests += prices.look + prices.upload
        cost.registry_bytes += int(size * prices.gzip)
    state.repositories[repository] = frozenset(layer for layer, _ in layers)


def day(apps: Sequence[Application], farm: Farm, versions: Versions, dice: random.Random) -> Iterator[Application]:
    """The images of a day, each after the change that is the reason for it."""
    left = farm.images
    while left > 0:
        kind, application = dice.random(), dice.choice(apps)
        hit = [application]
        if kind < farm.code:
            versions.change(application.own)
        elif kind < farm.code + farm.config:
            application.config += 1
        else:
            # A package changes so often that the images which it hits are that share of the day's.
            path = dice.choice(sorted(set(application.graph.paths) - {application.own}))
            hit = [other for other in apps if path in other.graph.paths]
            if dice.random() * len(hit) > 1:
                continue
            versions.change(path)
        yield from hit[:left]
        left -= len(hit)


def simulate(closures: Mapping[str, ReferencesGraph], farm: Farm, prices: Prices) -> dict[str, Cost]:
    """The costs of one day by way, everything of the day before being there."""
    dice = random.Random(farm.seed)
    apps = applications(closures, farm, prices, dice)
    versions = Versions()
    states = {way: State() for way in WAYS}
    for application in apps:  # the day before
        for way, state in states.items():
            build(state, way, application, versions, prices)
    for state in states.values():
        state.cost = Cost()
    for application in day(apps, farm, versions, dice):
        for way, state in states.items():
            build(state, way, application, versions, prices)
    return {way: state.cost for way, state in states.items()}


CLOSURES = Path(__file__).with_name("closures.json")
"""Of the embedded package set on a Debian 12. Kept, so that the table is the same wherever it is made."""


def embedded_closures() -> dict[str, Any]:
    """Those of the packages that images here are made of, from the store of this machine."""
    from verbs import closure, nix  # noqa: PLC0415  (asks Nix; needed here only)

    found = {}
    for name in ("bash", "nginx", "perl", "python3", "redis"):
        (path,) = nix("nix-build", "--no-out-link", "nix/hostpkgs", "-A", name)
        nodes = ({key: node[key] for key in ("path", "narSize", "references")} for node in closure([path]))
        found[name] = sorted(nodes, key=itemgetter("path"))
    return found


def table(costs: Mapping[str, Cost], farm: Farm, prices: Prices) -> Iterator[str]:
    """As Markdown."""
    giga = 1e9
    rows = {
        "derivations built": lambda c: f"{c.derivations:,}",
        "core hours of gzip": lambda c: f"{c.compressed / prices.gzip_speed / 3600:.1f}",
        "the same for each builder, minutes": lambda c: f"{c.compressed / prices.gzip_speed / 60 / farm.builders:.1f}",
        "GB into the cache": lambda c: f"{c.cache_bytes / giga:.1f}",
        "requests to the cache": lambda c: f"{c.cache_requests:,}",
        "GB into the registry": lambda c: f"{c.registry_bytes / giga:.1f}",
        "requests to the registry": lambda c: f"{c.registry_requests:,}",
    }
    yield "| a day | a derivation for each root | an archive of the same layers | an archive of one layer |"
    yield "|---|---:|---:|---:|"
    for name, show in rows.items():
        yield f"| {name} | {' | '.join(show(costs[way]) for way in WAYS)} |"


def main(arguments: Sequence[str]) -> int:
    """Print the table; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--closures", type=Path, metavar="FILE", default=CLOSURES, help="closures as JSON, by name")
    parser.add_argument("--embedded", action="store_true", help="those of the embedded package set on this machine")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the closures there")
    parser.add_argument("--images", type=int, default=Farm.images, metavar="N")
    parser.add_argument("--applications", type=int, default=Farm.applications, metavar="N")
    parser.add_argument("--seed", type=int, default=Farm.seed, metavar="N")
    options = parser.parse_args(arguments)
    farm = replace(Farm(), images=options.images, applications=options.applications, seed=options.seed)
    found = embedded_closures() if options.embedded else json.loads(options.closures.read_text())
    if options.save:
        options.save.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    closures = {name: ReferencesGraph.from_json(items) for name, items in found.items()}
    costs = simulate(closures, farm, Prices())
    print("\n".join(table(costs, farm, Prices())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
