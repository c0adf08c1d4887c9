"""`stream`: write an image to standard output, for `docker load`, without storing anything."""

import sys

from dockertools_py.commands.image_argument import named_image, parser
from dockertools_py.commands.writing import prepared
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.output import Output


def run(arguments: list[str]) -> int:
    """Exit code 0 when all of the archive was written."""
    options = parser("stream", __doc__).parse_args(arguments)
    if sys.stdout is None:
        raise DockertoolsError("standard output is closed")
    if sys.stdout.isatty():
        raise DockertoolsError("standard output is a terminal; pipe it, as in `… | docker load`")
    whole, produce, progress = prepared(named_image(options), {}, "stream")
    try:
        write_archive(whole, Output(sys.stdout.fileno()), produce)
    finally:
        progress.end()
    return 0
