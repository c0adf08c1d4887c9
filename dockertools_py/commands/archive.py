"""`archive`: write an image as one file for `docker load`, `podman load`, `ctr image import` and skopeo."""

import os
import tempfile
from pathlib import Path

from dockertools_py.commands.image_argument import named_image, parser
from dockertools_py.commands.writing import add_compressor, compressed, folder_of, prepared
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.output import new_file


def run(arguments: list[str]) -> int:
    """Prints the name of the file; exit code 0 when it is whole."""
    options_parser = parser("archive", __doc__)
    options_parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="replaced if it is there"
    )
    options_parser.add_argument(
        "--oci", action="store_true", help="an OCI archive only: without Docker's manifest.json"
    )
    add_compressor(options_parser)
    options = options_parser.parse_args(arguments)
    if options.output.exists() and not options.output.is_file():
        # Renaming onto a device would replace it: /dev/null as a file of some megabytes.
        raise DockertoolsError(f"--output: {options.output} is there and no file: name a file, or use `stream`")
    named = named_image(options)
    with tempfile.TemporaryDirectory(prefix=".dockertools-py.", dir=folder_of(options.output)) as folder:
        stored = compressed(named, options, Path(folder), os.cpu_count() or 1)
        whole, produce, progress = prepared(named, stored, "archive")
        try:
            with new_file(options.output) as out:
                write_archive(whole, out, produce, docker=not options.oci)
        finally:
            progress.end()
    print(options.output)
    return 0
