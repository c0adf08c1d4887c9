"""The layer at `/` where scripts run as root: `runAsRoot`, then `extraCommands`, then `fakeRootCommands`, in one tree.

Which tree? A script whose `/` is the image's (`runAsRoot`, and `fakeRootCommands` with `enableFakechroot`) gets everything
that lies below, unpacked. Otherwise it gets the packages' files alone, as `extraCommands` does, and nothing of the base is
read. What scripts leave is a layer that no source can make again, so its tar is kept.

The store is there as in every build, with the closures of all that the spec names. Store paths which lie below as such are not
unpacked: they are among these. Where a foreign base has a store of its own, both are seen.

Root they are in one of two ways (`rootMode`): "emulated" for any builder, or "uid-range" where Nix gives real ids.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.bash import SYSTEM_PATH, Script, environment
from dockertools_py.derivations.owned import Owned
from dockertools_py.derivations.root import default_names
from dockertools_py.derivations.stored_layer import write_layer
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry
from dockertools_py.pack.flat import TOP
from dockertools_py.pack.layer import PathsSource, RootSource
from dockertools_py.pack.layer_content import content_of
from dockertools_py.pack.placing import place, without_what_is_there
from dockertools_py.pack.tree import Node, Tree
from dockertools_py.pack.verified import Buffer
from dockertools_py.root import uid_range
from dockertools_py.root.diff import Diff, snapshot
from dockertools_py.root.run import run
from dockertools_py.root.table import Table
from dockertools_py.root.tree import Content, unpack
from dockertools_py.store.below import Below
from dockertools_py.store.description import read_layers, write_layers, write_places
from dockertools_py.store.open_tree import Opener
from dockertools_py.store.produce import READ_SIZE, entries, same
from dockertools_py.store.tar_stream import tar_stream

FOLDER = ".scripts"
"""In the tree while a script runs that sees nothing else; with a number where an image has that one."""
STORE = "nix/store"
MOST_MOUNTS = 10_000
"""Well below what a namespace (fs.mount-max) and the descriptors of a process allow; a closure has some thousands at most."""
ORDER = ("runAsRoot", "extraCommands", "fakeRootCommands")


def build(attributes: Attributes) -> None:
    """Spec: `links`, `copies`, `openLinks`, `owner`, `mtime`, `scripts`, `bash`, `path` (of bin folders), `zstd`,
    `owners` (users, groups and permissions; scripts find the accounts, and all of it is applied last), `defaults` (of `links`
    those that leave what lies below as it is), `rootMode`.

    `below`: descriptions of what lies below outside the store; `stack`: of all that lies below, where a script sees it.
    """
    spec = attributes.spec
    if _has_real_ids(attributes):
        uid_range.require()
    source = RootSource(
        tuple(spec["links"]), tuple(spec["copies"]), attributes.owner(), spec["mtime"], spec["openLinks"]
    )
    attributes.out.mkdir()
    below = Below(attributes.paths("below"), attributes.build_top / "below", spec["zstd"])
    owned = None if spec["owners"] is None else Owned(attributes, below)
    own = tuple(without_what_is_there(entries(source), default_names(spec["defaults"]), below.tree))
    is_apart = spec["stack"] is None
    found = _apart(attributes, own, below.tree, owned) if is_apart else _on_stack(attributes, own, owned)
    if owned:
        found = owned.after(found)
    layers, content = [], content_of(found)
    if found:
        by = ", ".join(name for name in ORDER if spec["scripts"][name])
        layer = write_layer(attributes.out / "layer.tar", tar_stream(found), (), by)
        # In the store of a foreign base a script may have changed what nobody may take for the package any more.
        changed = content.hidden | content.touched | content.store_paths.keys()
        layers.append(replace(layer, hidden=tuple(sorted(changed))))
    write_layers(attributes.out, layers)
    write_places(attributes.out, [content.places])


def _apart(attributes: Attributes, own: tuple[Entry, ...], below: Tree, owned: Owned | None) -> tuple[Entry, ...]:
    """What scripts make of the packages' files alone, placed on what lies below."""
    if owned:
        own = owned.before(own, place(own, below, same))
    known = Tree()
    known.apply((entry, number) for number, entry in enumerate(own))
    found = _run_scripts(attributes, known, _stored_content).layer(Tree(), _stored_content)
    top = tuple(entry for entry in found if entry.name == TOP)
    return top + place(found[len(top) :], below, same)


def _on_stack(attributes: Attributes, own: tuple[Entry, ...], owned: Owned | None) -> tuple[Entry, ...]:
    """What scripts make of all that lies below and the packages' files together, less what lies below."""
    layers = [
        layer
        for folder in attributes.paths("stack")
        for layer in read_layers(folder)
        if not isinstance(layer.source, PathsSource)
    ]
    base = Opener(attributes.build_top / "layers", attributes.spec["zstd"]).open(layers)
    placed = place(own, base.tree, same)
    if owned:
        placed = owned.before(placed, placed)
    known = base.tree.copy() if placed else base.tree
    number_of_own = known.layers
    known.apply((entry, number) for number, entry in enumerate(placed))

    def content(node: Node) -> Iterator[Buffer]:
        return _stored_content(node) if node.origin == number_of_own else base.content(node)

    return _run_scripts(attributes, known, content).layer(base.tree, base.content)


def _stored_content(node: Node) -> Iterator[Buffer]:
    """Of a file that a package of the store has, or of accounts."""
    if node.entry.data:
        yield node.entry.data
        return
    with open(node.entry.path, "rb", buffering=0) as file:
        while data := file.read(READ_SIZE):
            yield data


def _run_scripts(attributes: Attributes, known: Tree, content: Content) -> Diff:
    """Lay `known` out, and run all scripts in it; how it looks then. Raises DockertoolsError when one fails."""
    top = attributes.build_top / "root"
    table: Table = {}
    top.mkdir()
    unpack(known, content, top, table)
    if _has_real_ids(attributes):
        uid_range.give(known, top, table)
    before = snapshot(top)
    scripts = attributes.spec["scripts"]
    for argument in ORDER:
        if scripts[argument]:
            has_own_root = argument == "runAsRoot" or (argument == "fakeRootCommands" and scripts["enableFakechroot"])
            if has_own_root:
                _run_with_own_root(attributes, argument, top, table, _store(known))
            else:
                _run_beside(attributes, argument, top, table)
    return Diff(top, before, known, table, attributes.spec["mtime"], real_ids=_has_real_ids(attributes))


def _has_real_ids(attributes: Attributes) -> bool:
    return bool(attributes.spec["rootMode"] == uid_range.NAME)


def _check(attributes: Attributes, script: Script, code: int) -> None:
    script.check(code, uid_range.HINT if _has_real_ids(attributes) else "")


def _store(known: Tree) -> list[str]:
    """What must be mounted so that the store is there: all of it, or beside a store in the tree path by path.

    Raises DockertoolsError where that is a whole machine's.
    """
    own = known.get(STORE.encode())
    if own is None or not own.children:
        return [f"/{STORE}"]
    names = sorted(name for name in os.listdir(f"/{STORE}") if name.encode() not in own.children)
    found = [path for name in names if name[0] != "." and os.path.exists(path := f"/{STORE}/{name}")]
    if len(found) > MOST_MOUNTS:
        raise DockertoolsError(
            f"scripts as root: the base has a store of its own, beside which {len(found)} store paths would have to be "
            f"mounted, and {MOST_MOUNTS} can be: build with Nix's `sandbox = true`, where only those are there that are needed"
        )
    return found


def _run_with_own_root(attributes: Attributes, argument: str, top: Path, table: Table, binds: list[str]) -> None:
    """Run one of the scripts as root, with `top` as its `/`. Raises DockertoolsError when it fails."""
    folder = _free_name(top)
    script = Script.write(argument, attributes.spec["scripts"][argument], top / folder, f"/{folder}")
    found = environment(attributes, script, "/tmp")
    found |= {"PATH": ":".join((found["PATH"], *SYSTEM_PATH)), "HOME": "/root"}
    command = script.command(attributes.spec["bash"])
    code = run(command, top=top, environment=found, table=table, binds=binds, real_ids=_has_real_ids(attributes))
    try:
        _check(attributes, script, code)
    finally:
        if script.folder.is_dir() and not script.folder.is_symlink():
            shutil.rmtree(script.folder)


def _free_name(top: Path) -> str:
    """A name for FOLDER that neither the image nor an earlier script has put there."""
    names = (f"{FOLDER}{number or ''}" for number in count())
    return next(name for name in names if not os.path.lexists(top / name))


def _run_beside(attributes: Attributes, argument: str, top: Path, table: Table) -> None:
    """Run one of the scripts as root in `top`, with the build's `/`. Raises DockertoolsError when it fails."""
    script = Script.write(argument, attributes.spec["scripts"][argument], attributes.build_top / f"of-{argument}")
    found = environment(attributes, script, str(attributes.build_top))
    command = script.command(attributes.spec["bash"])
    code = run(
        command,
        top=top,
        cwd=str(top),
        environment=found,
        table=table,
        chroot=False,
        writable=["/tmp"],
        real_ids=_has_real_ids(attributes),
    )
    _check(attributes, script, code)
