"""Builder of symlinkJoin and buildEnv: links in $out to the files of several store paths.

With $pathsToLink it does as nixpkgs' buildEnv: a directory which one path alone has becomes one link, and two different files
of one name are an error. Without, as its symlinkJoin: every directory is made, and the first file of a name wins.
"""

import filecmp
import os
import sys
from pathlib import Path

OUT = Path(os.environ["out"] + os.environ.get("extraPrefix", ""))
JOIN = "pathsToLink" not in os.environ
WANTED = [place.strip("/") for place in os.environ.get("pathsToLink", "/").split()]
IGNORE_COLLISIONS = bool(os.environ.get("ignoreCollisions"))


def is_wanted(name: str) -> bool:
    """Says whether `name`, relative to a path, is one of the paths to link, or below one."""
    return any(name == place or f"{name}/".startswith(f"{place}/") or not place for place in WANTED)


def leads_to_wanted(name: str) -> bool:
    return not name or any(place.startswith(f"{name}/") for place in WANTED)


def is_folder(file: Path) -> bool:
    return file.is_dir() and not (JOIN and file.is_symlink())


def link(name: str, providers: list[Path]) -> None:
    """Makes `name` in $out of the files or directories which the paths have there, in their order."""
    if not is_wanted(name) and not leads_to_wanted(name):
        return
    first = providers[0]
    folders = [file for file in providers if is_folder(file)]
    if not folders:
        if is_wanted(name):
            check(name, providers)
            (OUT / name).symlink_to(first)
    elif len(folders) < len(providers):
        sys.exit(f"collision: {name} is a directory in {folders[0]}, and none in another path")
    elif len(folders) == 1 and name and is_wanted(name) and not JOIN:
        (OUT / name).symlink_to(first)
    else:
        (OUT / name).mkdir(parents=True, exist_ok=True)
        for child in sorted({child.name for folder in folders for child in folder.iterdir()}):
            link(f"{name}/{child}" if name else child, [f / child for f in folders if os.path.lexists(f / child)])


def check(name: str, providers: list[Path]) -> None:
    if JOIN or IGNORE_COLLISIONS:
        return
    for other in providers[1:]:
        same = other.resolve() == providers[0].resolve() or (
            other.is_file() and providers[0].is_file() and filecmp.cmp(other, providers[0], shallow=False)
        )
        if not same:
            sys.exit(f"collision between {providers[0]} and {other}; ignoreCollisions = true takes the first")


link("", [Path(path) for path in dict.fromkeys(os.environ["paths"].split())])
