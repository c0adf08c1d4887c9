"""The one dispatch: a verb and its arguments; a known error is one line and exit code 1, a bug shows its traceback."""

import errno
import gc
import os
import signal
import sys
from typing import NoReturn

if not __package__:  # run as a folder, `python3 -I -S …/dockertools_py`: the package is the folder itself
    sys.path[0] = os.path.dirname(sys.path[0])

from dockertools_py.errors import DockertoolsError, shown

PROGRAM = "dockertools-py"
VERBS = {
    "archive": "write an image that is described, or another archive or layout, as one file for `docker load`",
    "attach": "put files about an image beside it in its registry, such as a bill of materials",
    "copy": "an image or an index as it is: between registries, layouts and archives",
    "inspect": "show what is in an image: config, layers, sizes, store paths",
    "layout": "write it as an OCI layout directory",
    "load": "bring it into Docker, Podman or containerd: only the layers that are not there",
    "lock": "record what an image in a registry is made of, for pullImage",
    "push": "get it into registries, sending what is missing there",
    "run": "load it and run a container of it",
    "stream": "write it to standard output",
    "validate": "recompute every digest and size of an archive or a layout",
}
GARBAGE = 50_000
"""Objects after which Python looks for garbage in circles. A verb imports less than that, and none of it is garbage."""
NIX_VERB = "derivation"
"""What nix/internal/runBuilder.nix calls; of no use by hand."""


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = arguments[0] if arguments else "--help"
    signal.signal(signal.SIGTERM, _interrupted)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell has programs in the background overlook it
        signal.signal(signal.SIGINT, _interrupted)
    if sys.stderr is None:  # closed; what takes its number must be nothing of ours
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        try:
            return _run(verb, arguments[1:])
        finally:
            # What is still in Python's buffer can fail too, and here it is told as everything else is.
            if sys.stdout:
                sys.stdout.flush()
    except DockertoolsError as error:
        return _failed(verb, str(error))
    except KeyboardInterrupt as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses twice sees one line too
        return _failed(verb, "interrupted", 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT))
    except BrokenPipeError:
        _drop_output()
        return _failed(verb, "the reader of our output has gone before its end")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _drop_output()
            return _failed(verb, f"no space left on the device{_where(error)}; free some, or write elsewhere")
        if error.filename is None:
            raise
        return _failed(verb, f"{error.strerror}{_where(error)}")


def _run(verb: str, arguments: list[str]) -> int:
    # Each verb imports its own modules only: a Nix build of ours lasts tens of milliseconds.
    if verb == NIX_VERB:
        from dockertools_py.derivations.run import run  # noqa: PLC0415

        return run()
    if verb in VERBS:
        from importlib import import_module  # noqa: PLC0415

        return int(import_module(f"dockertools_py.commands.{verb}").run(arguments))
    if verb == "--version":
        from dockertools_py import __version__  # noqa: PLC0415

        print(PROGRAM, __version__)
        return 0
    print(_usage(), file=sys.stdout if verb in ("--help", "-h", "help") else sys.stderr)
    return 0 if verb in ("--help", "-h", "help") else 2


def _interrupted(number: int, frame: object) -> None:
    """Leave nothing behind, whichever signal it is."""
    # A thread that is just being started loses the lock that it shares with its starter, and would say so at length.
    sys.unraisablehook = lambda _: None
    raise KeyboardInterrupt(number)


def _usage() -> str:
    verbs = "\n".join(f"  {verb:<10}{text}" for verb, text in VERBS.items())
    return f"usage: {PROGRAM} VERB [argument ...]\n\n{verbs}\n\n`{PROGRAM} VERB --help` tells more of one."


def _failed(verb: str, message: str, code: int = 1) -> int:
    # One line, whatever a file name in it holds.
    print(f"{PROGRAM} {verb}: {shown(message, limit=100_000)}", file=sys.stderr)
    return code


def _drop_output() -> None:
    # Python closes standard output at its end, and what is left in the buffer must not fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _where(error: OSError) -> str:
    return f": {shown(error.filename)}" if error.filename is not None else ""


def program() -> NoReturn:
    """Run a verb and end at once: all that must be closed is closed by then.

    To take itself down Python needs as long as for a small layer. Transfers that nobody waits for any more may also be in
    OpenSSL, which would go with it.
    """
    gc.set_threshold(GARBAGE)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    program()
