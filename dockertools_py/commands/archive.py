"""`archive`: write an image as one file for `docker load`, `podman load`, `ctr image import` and skopeo."""

import os
from pathlib import Path

from dockertools_py.commands.image_argument import named_image, parser
from dockertools_py.commands.writing import add_compressor, compressed, folder_beside, prepared
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.output import new_file

STORE = "/nix/store"


def run(arguments: list[str]) -> int:
    """Prints the name of the file; exit code 0 when it is whole."""
    options_parser = parser("archive", __doc__)
    options_parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help="replaced if it is there; of a link what it leads to",
    )
    options_parser.add_argument(
        "--oci", action="store_true", help="an OCI archive only: without Docker's manifest.json"
    )
    add_compressor(options_parser)
    options = options_parser.parse_args(arguments)
    target = _target(options.output)
    named = named_image(options)
    with folder_beside(target) as folder:
        stored = compressed(named, options, folder, os.cpu_count() or 1)
        whole, produce, progress = prepared(named, stored, "archive")
        try:
            with new_file(target) as out:
                write_archive(whole, out, produce, docker=not options.oci)
        finally:
            progress.end()
    print(options.output)
    return 0


def _target(output: Path) -> Path:
    """The file that is written: a link stays, and what it leads to is replaced, as cp does it. Raises DockertoolsError."""
    if output.exists() and not output.is_file():
        # Renaming onto a device would replace it: /dev/null as a file of some megabytes.
        raise DockertoolsError(f"--output: {output} is there and no file: name a file, or use `stream`")
    target = Path(os.path.realpath(output))
    if output.is_symlink() and target.is_relative_to(STORE):
        raise DockertoolsError(f"--output: {output} is a link to {target}, which nobody may change: name another file")
    return target
