#!/usr/bin/env python3
"""Scripts as root: what the set-up costs, and what a base of 1 GB does, against `tar x`. `bench/scripts.py [RUNS]`."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import Case, alternate
from verbs import CHECKOUT, derivation, nix

BASE_BYTES = 1 << 30
SET = "hostpkgs.packages"


def base_tar(folder: Path) -> Path:
    """A root file system of 1 GB: the packages of the embedded set, as often as it takes."""
    packages = f"builtins.attrValues (import {CHECKOUT}/nix/hostpkgs {{ }}).{SET}"
    paths = sorted(set(nix("nix-build", "--no-out-link", "-E", packages)))
    tar, top = folder / "base.tar", folder / "base"
    size = number = 0
    while size < BASE_BYTES:
        for path in paths:
            to = top / "usr/share" / str(number) / Path(path).name
            to.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", "--no-preserve=ownership", path, to], check=True)
        size = int(subprocess.check_output(["du", "-sb", top], text=True).split()[0])
        number += 1
    subprocess.run(["tar", "-C", top, "-cf", tar, "usr"], check=True)
    subprocess.run(["chmod", "-R", "u+w", top], check=True)
    shutil.rmtree(top)
    return tar


def scripted(folder: Path, name: str, *, stack: list[str] | None = None, **scripts: object) -> Case:
    """The derivation of a script layer, without Nix."""
    none = {"runAsRoot": None, "extraCommands": "", "fakeRootCommands": "", "enableFakechroot": False}
    made = {"links": [], "copies": [], "openLinks": False, "owner": [0, 0], "owners": None, "mtime": 1, "zstd": None}
    made |= {"defaults": [], "again": False, "rootMode": "emulated"}
    case = derivation(
        folder,
        name,
        {"verb": "scripts", "scripts": none | scripts, **made, **tools(), "below": stack or [], "stack": stack or []},
    )
    return emptied(case, folder / name)


def plain(folder: Path, name: str) -> Case:
    """The same of extraCommands alone, which needs no root."""
    made = {"links": [], "copies": [], "owner": [0, 0], "mtime": 1, "below": [], "extraCommands": ":"}
    return emptied(derivation(folder, name, {"verb": "root", **made, **tools()}), folder / name)


def emptied(case: Case, top: Path) -> Case:
    """A case that finds nothing of its last run."""

    def before() -> None:
        for path in top.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    case.before = before
    return case


def tools() -> dict[str, object]:
    found = [
        nix("nix-build", "--no-out-link", str(CHECKOUT / "nix/hostpkgs"), "-A", name)[0]
        for name in ("bash", "coreutils")
    ]
    return {"bash": f"{found[0]}/bin/bash", "path": [f"{path}/bin" for path in found]}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small = [plain(folder, "extraCommands"), scripted(folder, "runAsRoot", runAsRoot=":")]
        small.append(scripted(folder, "chown", runAsRoot="mkdir /a; chown 5:6 /a"))
        alternate(small, runs * 4)
        tar = base_tar(folder)
        described = derivation(folder, "described", {"verb": "tar_layer", "tarball": str(tar), "zstd": None})
        described.run()
        described.before = lambda: None
        target = folder / "unpacked"

        def empty() -> None:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()

        on_base = scripted(folder, "runAsRoot on 1 GB", stack=[str(folder / "described/out")], runAsRoot="echo > /made")
        large = [on_base, Case("tar x", ["tar", "-xpf", str(tar), "-C", str(target)], {}, empty)]
        alternate(large, runs)
        print(f"{tar.stat().st_size >> 20} MiB, {os.cpu_count()} cores")
        for case in (*small, *large):
            figures = case.median("wall"), case.median("cpu"), case.median("memory")
            print("{:20} {:7.3f} s wall {:7.3f} s CPU {:5.0f} MB".format(case.name, *figures))
        print(
            f"unpacking and a script against tar x: {large[0].median('wall') / large[1].median('wall'):.2f} times the time"
        )


if __name__ == "__main__":
    main()
