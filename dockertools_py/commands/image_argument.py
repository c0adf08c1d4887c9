"""The image that a verb is given: a description that Nix built, or an archive or a layout of any origin; of an index one."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import DockertoolsError, shown
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
    is_lazy: bool = False
    """Whether its description refers to none of its layers: these may not be here."""


def parser(verb: str, description: str | None, where: str = "here") -> argparse.ArgumentParser:
    """The arguments of a verb that writes or sends an image: which one, and under which names; `where` it is to run."""
    result = argparse.ArgumentParser(prog=f"dockertools-py {verb}", description=description)
    add_image(result, where)
    result.add_argument(
        "-t", "--tag", "--repo_tag", metavar="NAME:TAG", action="append", help="instead of its own names"
    )
    result.add_argument("--default-tag", metavar="NAME:TAG", help="where neither it nor --tag has one")
    return result


def add_image(result: argparse.ArgumentParser, where: str = "here") -> None:
    """The arguments that say which image."""
    result.add_argument(
        "image", metavar="IMAGE", type=Path, help="a description that Nix built, an archive or a layout"
    )
    result.add_argument("--choose", metavar="NAME:TAG", help="which image, where there are several")
    add_platform(result, where)
    add_zstd(result)


def add_platform(result: argparse.ArgumentParser, where: str = "here") -> None:
    """The argument that says which image of an index."""
    result.add_argument(
        "--platform", metavar="OS/ARCH[/VARIANT]", help=f"which image of an index; what runs {where} if not given"
    )


def this_platform() -> Platform:
    """What runs here."""
    return Platform.of_machine(os.uname().machine)


def named_image(
    options: argparse.Namespace, find_platform: FindPlatform = this_platform, *, is_fetching: bool = False
) -> NamedImage:
    """The image under the names that the arguments give it. Raises DockertoolsError for a lazy one, which must be fetched."""
    found = chosen_image(options, find_platform)
    if found.is_lazy and not is_fetching:
        raise DockertoolsError(f"{options.image}: its layers need not be here: use `load`, `run` or `push`, which fetch them")
    named = found.named
    names = options.tag or ([] if named.references else [options.default_tag] if options.default_tag else [])
    return replace(named, references=tuple(map(Reference.parse, names))) if names else named


def chosen_image(options: argparse.Namespace, find_platform: FindPlatform = this_platform) -> Opened:
    """The image that the arguments of `add_image` say. Raises DockertoolsError when there is none."""
    platform = Platform.parse(options.platform) if options.platform else None
    return open_image(options.image, options.choose, options.zstd, platform, find_platform)


def open_image(
    path: Path,
    choice: str | None = None,
    zstd: str | None = None,
    platform: Platform | None = None,
    find_platform: FindPlatform = this_platform,
) -> Opened:
    """The image at `path`; `choice` is NAME:TAG where it holds several.

    It must be for `platform`, if that is given; else `find_platform` is asked which image of an index is meant.
    Raises DockertoolsError when there is none.
    """
    if not path.exists():
        is_remote = str(path).startswith(("docker:/", "http:/", "https:/"))
        hint = ": an image in a registry is copied first, with `dockertools-py copy`" if is_remote else ""
        raise DockertoolsError(f"{path}: no such file or directory{hint}")
    find = (lambda: platform) if platform else find_platform
    if path.is_dir() and (described := _of_description(path, platform, find)):
        if choice:
            raise DockertoolsError(f"--choose: {path} is a description, of one image or index, without a name: leave it out")
        return described
    # What Nix described needs no reader of archives: a third of the milliseconds until `load` asks its first question.
    from dockertools_py.formats.image_reader import read_config, read_image  # noqa: PLC0415
    from dockertools_py.formats.members import Reader  # noqa: PLC0415
    from dockertools_py.formats.stored_images import choose, image_of, list_images  # noqa: PLC0415

    reader, what = Reader.open(path), str(path)
    wanted = Reference.parse(choice) if choice else None
    name, tag = (wanted.name, wanted.tag) if wanted else (None, None)
    one = choose(list_images(reader), what, name=name, tag=tag, platform=platform)
    stored = image_of(one, what, find)
    if platform and not one.is_index:  # before all of it is read
        _check_platform(read_config(reader, stored).platform, platform, path)
    return Opened(NamedImage(read_image(reader, stored, zstd), parse_all(stored.names)), one.platforms())


def _check_platform(own: Platform, wanted: Platform | None, path: Path) -> None:
    if wanted and not own.runs_on(wanted):
        raise DockertoolsError(f"{path}: an image for {shown(str(own))}, not for {wanted}")


def _of_description(path: Path, platform: Platform | None, find: FindPlatform) -> Opened | None:
    if description.is_index(path):
        return _of_index(path, find())
    described = _described(path)
    if described:
        _check_platform(described.named.image.config.platform, platform, path)
    return described


def _of_index(folder: Path, wanted: Platform) -> Opened:
    by_platform = dict(description.read_index(folder)[0])
    best = wanted.best_of(by_platform)
    if best is None:
        there = ", ".join(map(str, by_platform))
        raise DockertoolsError(f"{folder}: no image for {wanted} in it; choose one (--platform OS/ARCH); there is: {there}")
    described = _described(by_platform[best])
    if described is None:
        raise DockertoolsError(f"{by_platform[best]}: not here, though {folder} refers to it: build or copy that again")
    return replace(described, platforms=tuple(by_platform))


def _described(folder: Path) -> Opened | None:
    """What a folder describes, with or without reference to its layers."""
    if description.is_image(folder):
        return Opened(NamedImage(description.read_image(folder), ()))
    if description.is_lazy(folder):
        image, blobs = description.read_lazy(folder)
        layers = tuple(replace(layer, source=blobs.get(layer.diff_id, layer.source)) for layer in image.layers)
        return Opened(NamedImage(replace(image, layers=layers), ()), is_lazy=True)
    return None
