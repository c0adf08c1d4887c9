"""An image of ours, described from a small tree on disk: what tests of writing and of commands write."""

from pathlib import Path
from random import Random

from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import PathsSource
from dockertools_py.store.describe import describe
from dockertools_py.store.description import write_image, write_index

CREATED = "1970-01-01T00:00:01Z"
AMD64 = Platform("amd64")
PLATFORMS = ("linux/amd64", "linux/arm64")
HASH = "0123456789abcdfghijklmnpqrsvwxyz"


def store_path(folder: Path, name: str, files: dict[str, bytes]) -> str:
    """A directory with a name like a store path's, and files in it."""
    top = folder / f"{HASH}-{name}"
    for file, data in files.items():
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).write_bytes(data)
    return str(top)


def described(
    folder: Path, *, layers: int = 2, size: int = 3000, random: bool = False, platform: Platform = AMD64
) -> Image:
    """An image of a few layers from trees that are made in `folder`."""
    paths = [
        store_path(
            folder,
            f"p{number}",
            {
                "bin/run": b"#!/bin/sh\n",
                "share/data": Random(number).randbytes(size) if random else bytes([number]) * size,
            },
        )
        for number in range(layers)
    ]
    image = Image(ImageConfig(platform), ()).append(
        (describe(PathsSource((path,))) for path in paths), CREATED
    )
    return image.with_config({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, CREATED)


def description(folder: Path, *, layers: int = 2, size: int = 3000, random: bool = False) -> Path:
    """The folder of its description, as a derivation makes one."""
    folder.mkdir(exist_ok=True)
    image = described(folder, layers=layers, size=size, random=random)
    (folder / "image").mkdir()
    write_image(folder / "image", image)
    return folder / "image"


def description_of_index(folder: Path) -> Path:
    """The same of an index, of an image for each of PLATFORMS."""
    images = []
    for name in PLATFORMS:
        own = folder / name.replace("/", "-")
        (own / "image").mkdir(parents=True)
        write_image(own / "image", described(own, platform=Platform.parse(name)))
        images.append((Platform.parse(name), own / "image"))
    write_index(folder, images, {})
    return folder


def named(folder: Path, *names: str) -> NamedImage:
    """The image under names."""
    return NamedImage(described(folder), tuple(map(Reference.parse, names)))
