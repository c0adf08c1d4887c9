"""What `load` and `run` have in common: which engine, what is sent to it, and what is said of it."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator

from dockertools_py.commands.image_argument import named_image
from dockertools_py.commands.progress import Progress, size
from dockertools_py.engines.choice import FORMS, Choice, choose
from dockertools_py.engines.engine import Engine, Wanted, Write
from dockertools_py.engines.loading import Plan, carry_out, plan
from dockertools_py.errors import shown
from dockertools_py.model.digest import Digest
from dockertools_py.pack.bundle import Bundle
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.verified import Buffer


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose an engine."""
    parser.add_argument("--to", metavar="ENGINE", help=f"{FORMS}; the first one that answers if not given")
    parser.add_argument("--namespace", metavar="NAME", help="of containerd; k8s.io in kind and k3s if not given")
    parser.add_argument("--address", metavar="SOCKET", help="of containerd")


def engines(options: argparse.Namespace) -> list[Engine]:
    """Those that the arguments name, or that answer."""
    return choose(Choice(options.to, options.namespace, options.address), os.environ)


def wanted_image(options: argparse.Namespace) -> Wanted:
    """The image that the arguments name."""
    return Wanted.of(named_image(options))


class Loading:
    """One image on its way into one engine: what is done, and what of it is told."""

    def __init__(self, engine: Engine, wanted: Wanted, zstd: str | None, *, verb: str, as_json: bool = False) -> None:
        self.engine, self.wanted = engine, wanted
        self._zstd, self._verb, self._as_json = zstd, verb, as_json
        self._started = time.monotonic()
        self._written = 0

    def plan(self, *, full: bool) -> Plan:
        """Ask the engine."""
        return plan(self.engine, self.wanted, full=full)

    def tell(self, plan: Plan) -> None:
        """On standard output: what would be sent, by layer, with the reason."""
        self._event("plan", engine=self.engine.title(), there=[str(reference) for reference in plan.there])
        for layer in self.wanted.layers:
            reason = plan.held.layers.get(layer.diff_id)
            is_sent = reason is None
            reason = plan.held.otherwise if reason is None else reason
            self._event("layer", diffId=str(layer.diff_id), size=layer.size, sent=is_sent, reason=reason)
            if not self._as_json:
                what = "send" if is_sent else "keep"
                text = f"{layer.diff_id.hex[:12]} {size(layer.size):>9}  {shown(layer.created_by, 60)}: {reason}"
                print(f"{what}  {text}")
        to_send = frozenset(layer.diff_id for layer in self.wanted.layers if layer.diff_id not in plan.held.layers)
        if not self._as_json:
            print(self._amounts(to_send, "to be sent"))

    def carry_out(self, plan: Plan) -> None:
        """Have the engine load what it lacks, and say how much that was."""
        sent = carry_out(self.engine, self.wanted, plan, self._write, self._again)
        seconds = time.monotonic() - self._started
        of = {layer.diff_id: layer.size for layer in self.wanted.layers}
        names = [self.engine.name_of(reference) for reference in self.wanted.references]
        self._event(
            "loaded",
            engine=self.engine.title(),
            references=names,
            id=str(self.wanted.image_id),
            layersSent=len(sent),
            layers=len(of),
            bytesSent=sum(of[diff_id] for diff_id in sent),
            bytes=sum(of.values()),
            bytesWritten=self._written,
            seconds=round(seconds, 3),
        )
        if not self._as_json:
            say(self._verb, f"{self.engine.title()}: {self._amounts(sent, 'sent')}, {seconds:.2f} s")

    def _write(self, bundle: Bundle, write: Write) -> None:
        # Not for an image that is there already, which is the usual case.
        from dockertools_py.formats.archive import write_archive  # noqa: PLC0415
        from dockertools_py.store.produce import layer_chunks  # noqa: PLC0415

        total = sum(blob.descriptor.size for blob in bundle.blobs if isinstance(blob.content, Layer))
        progress = Progress(self._verb, total)

        def produce(layer: Layer) -> Iterator[Buffer]:
            return progress.counted(layer_chunks(layer, self._zstd))

        def counted(data: Buffer) -> None:
            write(data)
            self._written += len(data)

        try:
            write_archive(bundle, _Sink(counted), produce)
        finally:
            progress.end()

    def _again(self, problem: str) -> None:
        self._event("again", reason=problem)
        if not self._as_json:
            say(self._verb, f"{self.engine.title()}: {shown(problem, 300)}; sending all layers")

    def _amounts(self, sent: frozenset[Digest], done: str) -> str:
        layers = self.wanted.layers
        of = sum(layer.size for layer in layers)
        some = sum(layer.size for layer in layers if layer.diff_id in sent)
        return f"{len(sent)} of {len(layers)} layers {done}, {size(some)} of {size(of)}"

    def _event(self, event: str, **fields: object) -> None:
        if self._as_json:
            print(json.dumps({"event": event, **fields}), flush=True)


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


def say(verb: str, line: str) -> None:
    """To people."""
    print(f"{verb}: {line}", file=sys.stderr)
