"""The layer at `/`: links and copies of packages' files, and what `extraCommands` does to them."""

import os
import subprocess
import sys
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.output import new_file
from dockertools_py.pack.layer import BlobSource, Layer, RootSource
from dockertools_py.pack.tar import with_parents
from dockertools_py.pack.verified import measure
from dockertools_py.store.describe import describe
from dockertools_py.store.description import write_layers
from dockertools_py.store.produce import entries
from dockertools_py.store.scratch import lay_out, scratch_entries
from dockertools_py.store.tar_stream import tar_stream


def build(attributes: Attributes) -> None:
    """Spec: `links`, `copies` (store paths), `owner`, `mtime`, `extraCommands`, `bash`, `path` (of bin folders)."""
    spec = attributes.spec
    source = RootSource(tuple(spec["links"]), tuple(spec["copies"]), attributes.owner(), spec["mtime"])
    attributes.out.mkdir()
    layer = _scripted(attributes, source) if spec["extraCommands"] else describe(source)
    is_empty = layer.size <= len(b"".join(tar_stream(())))
    write_layers(attributes.out, [] if is_empty else [layer])


def _scripted(attributes: Attributes, source: RootSource) -> Layer:
    """The layer that a script leaves: stored, since nothing but running it again could make it anew."""
    top = attributes.build_top / "root"
    top.mkdir()
    lay_out(entries(source), top)
    run_script(attributes, "extraCommands", top)
    file = attributes.out / "layer.tar"
    with new_file(file, in_place=True) as out:
        for chunk in tar_stream(with_parents(scratch_entries(top, source.owner, source.mtime))):
            out.write(chunk)
    size = file.stat().st_size
    with file.open("rb") as stored:
        digest, _ = measure(iter(lambda: stored.read(1 << 20), b""))
    return Layer(digest, size, BlobSource(str(file), 0, size, digest), (), "extraCommands")


def run_script(attributes: Attributes, name: str, folder: Path) -> None:
    """Run the bash script `name` of the spec in `folder`. Raises DockertoolsError when it fails."""
    script = attributes.build_top / name
    script.write_text(attributes.spec[name])
    environment = {
        "PATH": ":".join(attributes.spec["path"]),
        "HOME": "/homeless-shelter",
        "TMPDIR": str(attributes.build_top),
        "NIX_BUILD_TOP": str(attributes.build_top),
        "SOURCE_DATE_EPOCH": str(attributes.spec["mtime"]),
    }
    os.umask(0o022)
    sys.stderr.flush()
    done = subprocess.run([attributes.spec["bash"], "-e", str(script)], cwd=folder, env=environment, check=False)
    if done.returncode:
        how = (
            f"ended with exit code {done.returncode}" if done.returncode > 0 else f"killed by signal {-done.returncode}"
        )
        raise DockertoolsError(f"{name}: {how}; its last words are above")
