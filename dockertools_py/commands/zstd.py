"""`--zstd`: the program for layers in zstd, which Python has of its own from 3.14 on."""

import argparse
import os


def add_zstd(parser: argparse.ArgumentParser) -> None:
    """The argument, which is the one on PATH if not given; None where there is none."""
    parser.add_argument(
        "--zstd",
        metavar="PROGRAM",
        default=_on_path(),
        help="for zstd, where Python is older than 3.14; the one on PATH if not given",
    )


def _on_path() -> str | None:
    # shutil.which, whose module loads three decompressors first: milliseconds of each `load`.
    candidates = (os.path.join(folder, "zstd") for folder in os.get_exec_path())
    return next((file for file in candidates if os.path.isfile(file) and os.access(file, os.X_OK)), None)
