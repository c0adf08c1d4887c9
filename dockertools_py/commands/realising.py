"""Store paths that are not here yet, fetched when it turns out that they are needed."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.references_graph import is_store_path, store_path_of

Fetch = Callable[[Iterable[str]], None]
"""Has Nix fetch the store paths of files that are not here."""
PROGRAM = "nix-store"
_SHOWN = 3


@contextmanager
def realising(say: Callable[[str], None], verb: str) -> Iterator[Fetch]:
    """A function that has Nix fetch the store paths of files that are not here, for `verb`. Until the end Nix keeps them."""
    with ExitStack() as kept:

        def realise(files: Iterable[str]) -> None:
            paths = {store_path_of(file) for file in files}
            missing = sorted(path for path in paths if is_store_path(path) and not os.path.lexists(path))
            if missing:
                import tempfile  # noqa: PLC0415 - seldom needed

                say(f"fetching {_listed(missing)}")
                # Made only now: nothing stays of a push or a load that needs none and is killed.
                folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="dockertools-py."))
                _realise(missing, Path(folder, "root"), verb)

        yield realise


def _realise(paths: list[str], root: Path, verb: str) -> None:
    """Raises DockertoolsError when there is no Nix, or when it finds a path nowhere."""
    import shutil  # noqa: PLC0415
    import subprocess  # noqa: PLC0415

    program = shutil.which(PROGRAM)
    if not program:
        raise DockertoolsError(f"{_listed(paths)}: not here, and there is no {PROGRAM} in PATH that could fetch it")
    command = [program, "--realise", *paths, "--add-root", str(root), "--indirect"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        # A cache that has it and is not trusted comes as a warning, before an error that says nothing of it.
        why = next((line for line in lines if "signature" in line or "signed" in line), lines[-1])
        raise DockertoolsError(
            f"{_listed(paths)}: neither here nor in a cache that Nix asks ({shown(why, 300)}): copy `image.lazyPush.layers` "
            f"to one, or use `image.{verb}`, which has what it needs"
        )


def _listed(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
