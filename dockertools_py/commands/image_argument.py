"""The image that a verb is given: a description that Nix built, or an archive or a layout of any origin."""

import argparse
from dataclasses import replace
from pathlib import Path

from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.reference import Reference, parse_all
from dockertools_py.pack.bundle import NamedImage
from dockertools_py.store import description


def parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments of a verb that writes or sends an image: which one, and under which names."""
    result = argparse.ArgumentParser(prog=f"dockertools-py {verb}", description=description)
    result.add_argument(
        "image", metavar="IMAGE", type=Path, help="a description that Nix built, an archive or a layout"
    )
    result.add_argument("--choose", metavar="NAME:TAG", help="which image, where there are several")
    result.add_argument(
        "-t", "--tag", "--repo_tag", metavar="NAME:TAG", action="append", help="instead of its own names"
    )
    result.add_argument("--default-tag", metavar="NAME:TAG", help="where neither it nor --tag has one")
    add_zstd(result)
    return result


def named_image(options: argparse.Namespace) -> NamedImage:
    """The image under the names that the arguments give it."""
    named = open_image(options.image, options.choose, options.zstd)
    names = options.tag or ([] if named.references else [options.default_tag] if options.default_tag else [])
    return replace(named, references=tuple(map(Reference.parse, names))) if names else named


def open_image(path: Path, choice: str | None = None, zstd: str | None = None) -> NamedImage:
    """The image at `path`; `choice` is NAME:TAG where it holds several. Raises DockertoolsError when there is none."""
    if not path.exists():
        raise DockertoolsError(f"{path}: no such file or directory")
    if path.is_dir() and description.is_image(path):
        return NamedImage(description.read_image(path), ())
    # What Nix described needs no reader of archives: a third of the milliseconds until `load` asks its first question.
    from dockertools_py.formats.image_reader import choose, read_image, stored_images  # noqa: PLC0415
    from dockertools_py.formats.members import Reader  # noqa: PLC0415

    reader = Reader.open(path)
    wanted = Reference.parse(choice) if choice else None
    name, tag = (wanted.name, wanted.tag) if wanted else (None, None)
    stored = choose(stored_images(reader), name, tag, str(path))
    return NamedImage(read_image(reader, stored, zstd), parse_all(stored.names))
