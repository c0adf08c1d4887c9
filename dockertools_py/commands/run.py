"""`run`: load an image into a container engine, then run a container of it, and remove the container at its end.

Everything after IMAGE goes to the container, up to a `--`. What follows that are options of the engine's own `run`, as in
`-- -p 8080:80 -v data:/data`, and --to, --namespace and --address of ours; --platform counts for both.
"""

import argparse
import os
import sys
from functools import cache, partial

from dockertools_py.commands.image_argument import add_platform, parser
from dockertools_py.commands.loading import Loading, add_engine, engines, platform_of, wanted_image
from dockertools_py.errors import DockertoolsError, shown


def run(arguments: list[str]) -> int:
    """Becomes the engine's program, whose exit code is the container's."""
    options_parser = parser("run", __doc__, "in the engine")
    options_parser.usage = "dockertools-py run [OPTION ...] IMAGE [ARGUMENT ...] [-- ENGINE-OPTION ...]"
    add_engine(options_parser)
    options_parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="of the container")
    ours, theirs = split(arguments)
    options = options_parser.parse_args(ours)
    engine_options = _chosen_after(options, theirs)
    find = cache(partial(engines, options))
    wanted, found = wanted_image(options, partial(platform_of, find)), find()
    if len(found) != 1:
        raise DockertoolsError("run: a cluster has several nodes; load the image, then use kubectl run")
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()
    loading = Loading(found[0], wanted, options.zstd, verb="run")
    plan = loading.plan(full=False)
    if plan.missing(wanted):
        loading.carry_out(plan)
    command = found[0].run_command(wanted.references[0], engine_options, options.arguments, terminal=terminal)
    try:
        os.execvp(command[0], command)
    except FileNotFoundError as error:
        raise DockertoolsError(f"{command[0]}: not on PATH; it runs containers, and the image is loaded") from error


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What comes before the last `--`, and what comes after it: options, or nothing. Raises DockertoolsError."""
    if "--" not in arguments:
        return arguments, []
    at = len(arguments) - 1 - arguments[::-1].index("--")
    theirs = arguments[at + 1 :]
    if theirs and not theirs[0].startswith("-"):
        raise DockertoolsError(
            f"{shown(theirs[0])} follows `--` and is no option of the engine; where the `--` is for the container, "
            "end with another `--`"
        )
    return arguments[:at], theirs


def _chosen_after(options: argparse.Namespace, theirs: list[str]) -> list[str]:
    """The engine's options without those that choose it; these, and --platform, are noted in `options`."""
    late = argparse.ArgumentParser(prog="dockertools-py run", allow_abbrev=False, add_help=False)
    add_engine(late)
    add_platform(late)
    chosen, rest = late.parse_known_args(theirs)
    for name in ("platform", "to", "namespace", "address"):
        if getattr(chosen, name) is not None:
            setattr(options, name, getattr(chosen, name))
    # Which image of an index we load, and which one the engine runs.
    return [*(["--platform", chosen.platform] if chosen.platform else []), *rest]
