"""`layout`: write an image as an OCI layout directory, for skopeo, umoci and crane."""

import os
from pathlib import Path

from dockertools_py.commands.image_argument import named_image, parser
from dockertools_py.commands.writing import add_compressor, compressed, folder_beside, prepared
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.layout import write_layout


def run(arguments: list[str]) -> int:
    """Prints the name of the directory; exit code 0 when it is whole."""
    options_parser = parser("layout", __doc__)
    options_parser.add_argument(
        "-o", "--output", metavar="DIRECTORY", type=Path, required=True, help="must not be there"
    )
    add_compressor(options_parser)
    options = options_parser.parse_args(arguments)
    if options.output.exists():
        raise DockertoolsError(f"--output: {options.output} is there already; name a new directory, or remove it")
    named = named_image(options)
    with folder_beside(options.output) as folder:
        stored = compressed(named, options, folder, os.cpu_count() or 1)
        whole, produce, progress = prepared(named, stored, "layout")
        try:
            write_layout(whole, folder / "layout", produce)
        finally:
            progress.end()
        (folder / "layout").rename(options.output)
    print(options.output)
    return 0
