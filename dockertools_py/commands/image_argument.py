"""The image that a verb is given: a description that Nix built, or an archive or a layout of any origin; of an index one."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference, parse_all
from dockertools_py.pack.bundle import NamedImage
from dockertools_py.store import description

FindPlatform = Callable[[], Platform]


@dataclass(frozen=True, slots=True)
class Opened:
    """An image, and the platforms of the index that it was chosen from, if it was."""

    named: NamedImage
    platforms: tuple[Platform, ...] = ()


def parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments of a verb that writes or sends an image: which one, and under which names."""
    result = argparse.ArgumentParser(prog=f"dockertools-py {verb}", description=description)
    add_image(result)
    result.add_argument(
        "-t", "--tag", "--repo_tag", metavar="NAME:TAG", action="append", help="instead of its own names"
    )
    result.add_argument("--default-tag", metavar="NAME:TAG", help="where neither it nor --tag has one")
    return result


def add_image(result: argparse.ArgumentParser) -> None:
    """The arguments that say which image."""
    result.add_argument(
        "image", metavar="IMAGE", type=Path, help="a description that Nix built, an archive or a layout"
    )
    result.add_argument("--choose", metavar="NAME:TAG", help="which image, where there are several")
    add_platform(result)
    add_zstd(result)


def add_platform(result: argparse.ArgumentParser) -> None:
    """The argument that says which image of an index."""
    result.add_argument(
        "--platform", metavar="OS/ARCH[/VARIANT]", help="which image of an index; the one that runs here if not given"
    )


def this_platform() -> Platform:
    """What runs here."""
    return Platform.of_machine(os.uname().machine)


def named_image(options: argparse.Namespace, find_platform: FindPlatform = this_platform) -> NamedImage:
    """The image under the names that the arguments give it."""
    named = opened(options, find_platform).named
    names = options.tag or ([] if named.references else [options.default_tag] if options.default_tag else [])
    return replace(named, references=tuple(map(Reference.parse, names))) if names else named


def opened(options: argparse.Namespace, find_platform: FindPlatform = this_platform) -> Opened:
    """The image that the arguments of `add_image` say; `find_platform` is asked where they leave open which of an index.

    Raises DockertoolsError when there is none.
    """
    platform = Platform.parse(options.platform) if options.platform else None
    found = open_image(options.image, options.choose, options.zstd, platform, find_platform)
    own = found.named.image.config.platform
    if platform and not own.runs_on(platform):
        raise DockertoolsError(f"{options.image}: an image for {own}, not for {platform}")
    return found


def open_image(
    path: Path,
    choice: str | None = None,
    zstd: str | None = None,
    platform: Platform | None = None,
    find_platform: FindPlatform = this_platform,
) -> Opened:
    """The image at `path`; `choice` is NAME:TAG where it holds several. Raises DockertoolsError when there is none."""
    if not path.exists():
        raise DockertoolsError(f"{path}: no such file or directory")
    if path.is_dir():
        if description.is_index(path):
            return _of_index(path, platform or find_platform())
        if described := _described(path):
            return Opened(described)
    # What Nix described needs no reader of archives: a third of the milliseconds until `load` asks its first question.
    from dockertools_py.formats.image_reader import read_image  # noqa: PLC0415
    from dockertools_py.formats.members import Reader  # noqa: PLC0415
    from dockertools_py.formats.stored_images import are_one_index, called, choose, images_by_platform  # noqa: PLC0415

    reader = Reader.open(path)
    wanted = Reference.parse(choice) if choice else None
    name, tag = (wanted.name, wanted.tag) if wanted else (None, None)
    images = images_by_platform(reader)
    same = called(images, name, tag)
    is_index = are_one_index(same)
    if is_index and not platform:
        platform = find_platform()
    stored = choose(images, name, tag, str(path), platform)
    platforms = tuple(image.platform for image in same if image.platform) if is_index else ()
    return Opened(NamedImage(read_image(reader, stored, zstd), parse_all(stored.names)), platforms)


def _of_index(folder: Path, wanted: Platform) -> Opened:
    images, _ = description.read_index(folder)
    by_platform = dict(images)
    best = wanted.best_of(by_platform)
    named = _described(by_platform[best]) if best else None
    if named:
        return Opened(named, tuple(by_platform))
    there = ", ".join(map(str, by_platform))
    raise DockertoolsError(f"{folder}: no image for {wanted} in it; choose one (--platform OS/ARCH); there is: {there}")


def _described(folder: Path) -> NamedImage | None:
    """What a folder describes, without or with reference to its layers."""
    if description.is_image(folder):
        return NamedImage(description.read_image(folder), ())
    if description.is_lazy(folder):
        image, blobs = description.read_lazy(folder)
        layers = tuple(replace(layer, source=blobs.get(layer.diff_id, layer.source)) for layer in image.layers)
        return NamedImage(replace(image, layers=layers), ())
    return None
