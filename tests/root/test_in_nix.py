"""In a sandboxed build of Nix, behind Nix's own filter, sequences come out as with real root too."""

import json
import os
import shutil
from pathlib import Path

from tests.conftest import CHECKOUT, Nix
from tests.root.looking import differences, look
from tests.root.sandboxed import COMMAND
from tests.root.sequences import sequences
from tests.root.trees import HERE, run_real

SEQUENCES, SEED = 100, 7


def test_sequences_in_the_sandbox(nix: Nix, fileops: Path, folder: Path) -> None:
    files = {
        "fileops": fileops.read_bytes(),
        "busybox": Path("/bin/busybox").read_bytes(),
        "operations": sequences(SEQUENCES, SEED) + f"# {os.urandom(8).hex()}: never built before\n",
    }
    plain = folder / "files"
    plain.mkdir()
    for name, content in files.items():
        (plain / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (plain / name).chmod(0o755)
    program = folder / "program"
    shutil.copytree(CHECKOUT / "dockertools_py", program / "dockertools_py", ignore=shutil.ignore_patterns("__pycache__"))
    out = nix.build(
        f"""derivation {{
          name = "sequences"; inherit (pkgs.python3) system; builder = "${{pkgs.python3}}/bin/python3";
          args = [ "-I" "-B" {HERE}/sandboxed.py ];
          program = {program}; looking = {HERE}/looking.py; files = {plain};
        }}"""
    )
    built = json.loads(out.read_text())
    assert built["code"] == 0
    assert built["user"] != 0
    real_tree = shutil.copytree(plain, folder / "real")
    real = run_real(real_tree, COMMAND)
    assert real.code == 0, real
    assert built["talk"].splitlines() == (real_tree / "talk").read_text().splitlines()
    expected = json.loads(json.dumps(look(real_tree, real)))

    def compared(tree: dict[str, object]) -> dict[str, object]:
        return {name: entry for name, entry in tree.items() if name.startswith(("w/", "talk"))}

    assert len(compared(expected)) > 500
    assert compared(built["tree"]) == compared(expected), differences(compared(expected), compared(built["tree"]))
