"""Pushing in the tests' own process, without a moment's sleep, of images that need no Nix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import History, ImageConfig
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.model.platform import Platform
from dockertools_py.pack.compression import compress
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.registry.backoff import Backoff
from dockertools_py.registry.cache import Cache
from dockertools_py.registry.client import session
from dockertools_py.registry.layers import LayerPush, Outgoing, Reuse, claimed_by
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.pushing import Form, Shipment, push_all, push_layers, targets_of
from dockertools_py.registry.remote import RemoteImage

AMD64 = Platform("amd64")


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.skips: dict[str, str] = {}
        self.sends: dict[str, int] = {}
        self.positions: list[int] = []

    def skipped(self, label: str, digest: Digest, size: int, why: str) -> None:
        self.skips[label] = why

    def begun(self, label: str, size: int | None) -> None:
        pass

    def moved(self, label: str, position: int) -> None:
        self.positions.append(position)

    def sent(self, label: str, digest: Digest, size: int) -> None:
        self.sends[label] = size


@dataclass
class Made:
    """An image whose layers are made when they are wanted; `made` is a file that notes which were."""

    layers: Sequence[bytes]
    made: Path
    platform: Platform = AMD64
    compressor: str = "gz"

    def image(self) -> Image:
        layers = [
            Layer(Digest.of(data), len(data), BlobSource("/nowhere", 0, len(data), Digest.of(data)), (), f"layer {n}")
            for n, data in enumerate(self.layers)
        ]
        history = tuple(History(created_by=layer.created_by) for layer in layers)
        config = ImageConfig(self.platform, diff_ids=tuple(layer.diff_id for layer in layers), history=history)
        return Image(config, tuple(layers))

    def outgoing(self) -> list[Outgoing]:
        return [
            Outgoing(
                Digest.of(data),
                len(data),
                f"layer {number}",
                LAYER_OF_COMPRESSOR[self.compressor],
                partial(self.make, number),
            )
            for number, data in enumerate(self.layers)
        ]

    def make(self, number: int, threads: int) -> Iterable[bytes]:
        with self.made.open("a") as notes:
            notes.write(f"{number}\n")
        yield from compress([self.layers[number]], self.compressor, level=1, workers=threads)

    def were_made(self) -> Iterator[int]:
        """The numbers of the layers that were made since this was asked last."""
        lines = self.made.read_text().split() if self.made.exists() else []
        self.made.unlink(missing_ok=True)
        return iter(sorted(map(int, lines)))


@dataclass
class Client:
    """Pushes to what `names` say; `cache` is a folder, or nothing."""

    names: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    reuse: Sequence[str] = ()
    cache: Path | None = None
    is_checked: bool = False
    chunk: int | None = None
    tls_verify: bool = True
    seen: Seen = field(default_factory=Seen)
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        backoff = Backoff(sleep=self.slept.append, clock=lambda: 0.0)
        self.session = session(self.environment, tls_verify=self.tls_verify, say=self.said.append, backoff=backoff)

    def pusher(self, image: RemoteImage) -> Pusher:
        return Pusher(self.session, image, chunk=self.chunk)

    def push(self, made: Made, form: Form = Form(), cores: int = 2) -> Any:  # noqa: B008
        """The descriptor of the manifest, as JSON, when it is there."""
        targets = targets_of(self.names)
        first = self.pusher(targets[0].image)
        looked_at = [RemoteImage.parse(f"{targets[0].image.location()}:{tag}") for tag in targets[0].tags]
        looked_at += map(RemoteImage.parse, self.reuse)
        claimed = claimed_by(self.session, looked_at, first, made.platform, self.said.append)
        reuse = Reuse(claimed, Cache(self.cache), is_checked=self.is_checked)
        layers = LayerPush(first, reuse, self.seen, self.said.append, cores)
        shipment: Shipment = push_layers(made.image(), made.outgoing(), layers, form)
        push_all(shipment, targets, self.pusher, self.seen)
        return shipment.graph.root().descriptor.to_json()
