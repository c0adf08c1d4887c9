"""Images of a few small layers, and loading them as the command line does, into whatever engine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dockertools_py.engines.engine import Engine, Wanted, Write
from dockertools_py.engines.loading import carry_out, plan
from dockertools_py.formats.archive import write_archive
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import Bundle, NamedImage
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer, PathsSource
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.describe import describe
from dockertools_py.store.produce import layer_chunks, stored_chunks
from tests.formats.images import CREATED, store_path


def layer(folder: Path, name: str, size: int = 2000) -> Layer:
    """A layer of random bytes."""
    return describe(PathsSource((store_path(folder, name, {"data": os.urandom(size)}),)))


def image(*layers: Layer) -> Image:
    return Image(ImageConfig(Platform("amd64")), ()).append(layers, CREATED).with_config({"Cmd": ["/x"]}, CREATED)


def wanted(image: Image, *names: str) -> Wanted:
    return Wanted.of(NamedImage(image, tuple(map(Reference.parse, names))))


@dataclass
class Sink:
    """What write_archive writes to."""

    take: Write

    def write(self, data: Buffer) -> object:
        return self.take(data)

    def copy(self, source: BlobSource) -> None:
        for chunk in stored_chunks(source):
            self.take(chunk)


@dataclass
class Told:
    """What a load came to: names of the layers that were sent, and why all were sent once more."""

    sent: set[str] = field(default_factory=set)
    again: list[str] = field(default_factory=list)


def load(engine: Engine, wanted: Wanted, *, full: bool = False) -> Told:
    told = Told()

    def write(bundle: Bundle, take: Write) -> None:
        def produce(layer: Layer) -> Iterator[Buffer]:
            return layer_chunks(layer)

        write_archive(bundle, Sink(take), produce)

    sent = carry_out(engine, wanted, plan(engine, wanted, full=full), write, told.again.append)
    told.sent = {layer.created_by.partition(": ")[2] for layer in wanted.layers if layer.diff_id in sent}
    return told
