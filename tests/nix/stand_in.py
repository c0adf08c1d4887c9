"""A package set of nothing but names, in the place of nixpkgs: whatever evaluates with it evaluates with any."""

from pathlib import Path

NAMES = ("bash", "coreutils", "hello", "nginx", "perl", "python3", "redis", "zstd")

_SET = """
{ system ? "x86_64-linux", overlays ? [ ] }:
let
  package = name: derivation { inherit name system; builder = "/none"; };
  text = name: value: derivation { inherit name system value; builder = "/none"; };
in
{ writeTextDir = path: text (baseNameOf path); writeText = text; }
  // builtins.listToAttrs (map (name: { inherit name; value = package name; }) [ NAMES ])
"""


def write_stand_in(folder: Path) -> Path:
    """The set as a folder: `import FOLDER { system = …; }`. Nothing in it can be built."""
    folder.mkdir()
    (folder / "default.nix").write_text(_SET.replace("NAMES", " ".join(f'"{name}"' for name in NAMES)))
    return folder
