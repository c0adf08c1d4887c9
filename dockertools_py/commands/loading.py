"""What `load` and `run` have in common: which engine, what is sent to it, and what is said of it."""

import argparse
import json
import os
import time
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial

from dockertools_py.commands.image_argument import FindPlatform, named_image
from dockertools_py.commands.progress import size
from dockertools_py.commands.realising import Fetch, realising
from dockertools_py.commands.transfers import Tally, Transfers
from dockertools_py.engines.choice import FORMS, Choice, choose
from dockertools_py.engines.engine import ANOTHER, Engine, Wanted, Write
from dockertools_py.engines.loading import Plan, carry_out, plan
from dockertools_py.errors import shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.pack.bundle import Bundle
from dockertools_py.pack.layer import BlobSource, Layer, files_of
from dockertools_py.pack.verified import Buffer


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose an engine."""
    parser.add_argument("--to", metavar="ENGINE", help=f"{FORMS}; the first one that answers if not given")
    parser.add_argument("--namespace", metavar="NAME", help="of containerd; k8s.io in kind and k3s if not given")
    parser.add_argument("--address", metavar="SOCKET", help="of containerd")


def engines(options: argparse.Namespace) -> list[Engine]:
    """Those that the arguments name, or that answer."""
    return choose(Choice(options.to, options.namespace, options.address), os.environ)


def platform_of(find: Callable[[], list[Engine]]) -> Platform:
    """What the engines run; of a cluster that of its first node."""
    return find()[0].platform()


def wanted_image(options: argparse.Namespace, find_platform: FindPlatform) -> Wanted:
    """The image that the arguments name; of an index that for the platform of the engine, which is asked only then."""
    return Wanted.of(named_image(options, find_platform, is_fetching=True))


class Loading:
    """One image on its way into one engine: what is done, and what of it is told."""

    def __init__(self, engine: Engine, wanted: Wanted, zstd: str | None, *, verb: str, as_json: bool = False) -> None:
        self.engine, self.wanted = engine, wanted
        self._zstd, self._verb, self._as_json = zstd, verb, as_json
        self._started = time.monotonic()
        self._written = 0
        self._transfers = Transfers(verb, events=as_json)

    def plan(self, *, full: bool) -> Plan:
        """Ask the engine."""
        return plan(self.engine, self.wanted, full=full)

    def tell(self, plan: Plan) -> None:
        """On standard output: what would be sent, by layer, with the reason."""
        to_send = [layer for layer in self.wanted.layers if layer.diff_id not in plan.held.layers]
        for layer in self.wanted.layers:
            what = "missing" if layer in to_send else "skipped"
            why = plan.held.layers.get(layer.diff_id, plan.held.otherwise)
            if self._as_json:
                values = {"label": layer.label(), "digest": str(layer.diff_id), "size": layer.size, "why": why}
                print(json.dumps({"event": what, **values}))
            else:
                text = f"{layer.diff_id.hex[:12]} {size(layer.size):>9}  {shown(layer.created_by, 60)}: {why}"
                print("send" if layer in to_send else "keep", text)
        if not self._as_json:
            some, of = (size(sum(layer.size for layer in layers)) for layers in (to_send, self.wanted.layers))
            print(
                f"{len(to_send)} of {len(self.wanted.layers)} layers to be sent to {self.engine.title()}, {some} of {of}"
            )
        for reference in plan.missing(self.wanted):
            name, moves = self.engine.name_of(reference), plan.problems.get(reference, "").startswith(ANOTHER)
            if plan.source is None and not moves:
                continue  # it comes with the image
            if self._as_json:
                print(json.dumps({"event": "name", "reference": name, "source": plan.source, "moves": moves}))
            else:
                source = f", of what is {plan.source[:80]} there" if plan.source is not None else ""
                print(f"name {name}{source}{', which another image has now' if moves else ''}")

    def carry_out(self, plan: Plan) -> None:
        """Have the engine load what it lacks, and say how much that was."""
        where = f"{self.engine.title()}: "
        self._transfers = Transfers(self._verb, events=self._as_json, end="loaded", where=where)
        self._transfers.tally.started = self._started
        self._skip(plan.held.layers)
        try:
            with realising(self._transfers.say, self._verb) as fetch:
                if plan.source is None:
                    self._fetch_but(plan.held.layers, fetch)
                carry_out(self.engine, self.wanted, plan, self._write, partial(self._again, fetch))
        finally:
            self._transfers.stop()
        self._transfers.end(
            engine=self.engine.title(),
            references=[self.engine.name_of(reference) for reference in self.wanted.references],
            id=str(self.wanted.image_id),
            bytesWritten=self._written,
        )

    def _skip(self, held: Mapping[Digest, str]) -> None:
        self._transfers.tally = Tally(started=self._started)
        for layer in self.wanted.layers:
            if layer.diff_id in held:
                self._transfers.skipped(layer.label(), layer.diff_id, layer.size, held[layer.diff_id])

    def _fetch_but(self, held: Container[Digest], fetch: Fetch) -> None:
        """What a description that refers to nothing names may not be here: before the engine waits for its bytes."""
        layers = (layer for layer in self.wanted.layers if layer.diff_id not in held)
        fetch(file for layer in layers for file in files_of(layer.source))

    def _write(self, bundle: Bundle, write: Write) -> None:
        # Not for an image that is there already, which is the usual case.
        from dockertools_py.formats.archive import write_archive  # noqa: PLC0415
        from dockertools_py.store.produce import layer_chunks  # noqa: PLC0415

        def produce(layer: Layer) -> Iterator[Buffer]:
            position = 0
            self._transfers.begun(layer.label(), layer.size)
            for chunk in layer_chunks(layer, self._zstd):
                yield chunk
                position += len(chunk)
                self._transfers.moved(layer.label(), position)
            self._transfers.sent(layer.label(), layer.diff_id, layer.size)

        def counted(data: Buffer) -> None:
            write(data)
            self._written += len(data)

        write_archive(bundle, _Sink(counted), produce)

    def _again(self, fetch: Fetch, problem: str) -> None:
        """All is sent once more: what was sent or skipped before does not count."""
        self._transfers.say(f"{self.engine.title()}: {shown(problem, 300)}; sending all layers")
        self._skip({})
        self._fetch_but((), fetch)


class _Sink:
    """Whatever takes bytes, as write_archive wants it."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: Buffer) -> object:
        """The next bytes."""
        return self._write(data)

    def copy(self, source: BlobSource) -> None:
        """A stored blob."""
        from dockertools_py.store.produce import stored_chunks  # noqa: PLC0415

        for chunk in stored_chunks(source):
            self._write(chunk)
