"""`validate`: recompute every digest and size of archives and layouts."""

import argparse
import json
from pathlib import Path

from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import DockertoolsError, MissingProgramError
from dockertools_py.formats.members import Reader
from dockertools_py.formats.validate import lines, validate


def run(arguments: list[str]) -> int:
    """Exit code 0 when nothing differs, 1 when anything does."""
    parser = argparse.ArgumentParser(prog="dockertools-py validate", description=__doc__)
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="an archive, or a layout directory")
    add_zstd(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list with an object for each image")
    options = parser.parse_args(arguments)
    reports = []
    for path in options.images:
        if not path.exists():
            raise DockertoolsError(f"{path}: no such file or directory")
        try:
            reports.append((str(path), validate(Reader.open(path), options.zstd)))
        except MissingProgramError as error:
            raise DockertoolsError(f"{path}: {error}") from error
    if options.json:
        keys = ("images", "blobs", "mismatches")
        print(json.dumps([{"path": path} | {key: getattr(report, key) for key in keys} for path, report in reports]))
    else:
        for path, report in reports:
            for line in lines(report):
                print(f"{path}: {line}")
    return 1 if any(report.mismatches for _, report in reports) else 0
