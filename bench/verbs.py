"""Verbs of the builder as processes to be measured: what Nix would run, without Nix."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from measuring import Case

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHON = ["/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable, "-I", "-S", "-B"]


def nix(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout.split()


def program(folder: Path) -> list[str]:
    """The program as derivations run it: byte-compiled, since without that Python's compiler would be measured too."""
    compiled = folder / "program"
    if not compiled.exists():
        environment = {"src": str(CHECKOUT / "dockertools_py"), "out": str(compiled)}
        script = CHECKOUT / "nix/internal/compileProgram.py"
        subprocess.run([*PYTHON, str(script)], check=True, env=os.environ | environment)
    return [*PYTHON, str(compiled / "dockertools_py")]


def closure(paths: list[str]) -> list[dict[str, object]]:
    """The references graph of some paths, as Nix writes it for a builder."""
    every = nix("nix-store", "--query", "--requisites", *paths)
    sizes = dict(zip(every, map(int, nix("nix-store", "--query", "--size", *every)), strict=True))
    return [
        {"path": path, "narSize": sizes[path], "references": nix("nix-store", "--query", "--references", path)}
        for path in every
    ]


def derivation(folder: Path, name: str, spec: dict[str, object], **graphs: object) -> Case:
    """A case that runs a verb as Nix would, without Nix."""
    top = folder / name
    top.mkdir()
    out = top / "out"
    attributes = {
        "spec": spec,
        "outputs": {"out": str(out)},
        "exportReferencesGraph": {key: [] for key in graphs},
        **graphs,
    }
    (top / ".attrs.json").write_text(json.dumps(attributes))

    def before() -> None:
        if out.is_dir():
            shutil.rmtree(out)
        out.unlink(missing_ok=True)

    cores = str(os.cpu_count() or 1)
    return Case(name, [*program(folder), "derivation"], {"NIX_BUILD_TOP": str(top), "NIX_BUILD_CORES": cores}, before)
