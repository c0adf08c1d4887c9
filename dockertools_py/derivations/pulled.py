"""An image whose blobs were fetched one by one, described: every digest and diff_id is compared, no byte is copied."""

import base64
import hashlib
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_blobs import read_stored
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.manifest import Manifest
from dockertools_py.store.description import write_image, write_places


def build(attributes: Attributes) -> None:
    """Spec: `manifest` (its file), `config` (base64), `files` (of the layers, by digest), `container`, `platform`, `zstd`.

    The manifest is what counts: a lock file that says something else, by hand or by a merge, is an error.
    """
    spec = attributes.spec
    what = "pullImage: `lock`"
    manifest = Manifest.from_json(Path(spec["manifest"]).read_bytes(), f"{what}: manifest")
    files = {Digest.parse(digest): Path(file) for digest, file in spec["files"].items()}
    layers = [layer.digest for layer in manifest.layers]
    config = _decoded(spec["config"])
    wanted = manifest.config.digest
    is_config = hashlib.new(wanted.algorithm, config).hexdigest() == wanted.hex
    if set(layers) != files.keys() or not is_config:
        raise DockertoolsError(
            f"{what}: its config and layers are not those of its manifest: make it again with `dockertools-py lock`"
        )
    file = attributes.build_top / "config"
    file.write_bytes(config)
    image, places = read_stored(what, wanted, layers, files | {wanted: file}, spec["zstd"])
    said = {"container": image.config.container, "platform": image.config.platform.to_json()}
    for key, value in said.items():
        if spec[key] != value:
            raise DockertoolsError(
                f"{what}: its `{key}` is not that of its config: make it again with `dockertools-py lock`"
            )
    attributes.out.mkdir()
    write_image(attributes.out, image)
    write_places(attributes.out, places)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        return b""  # which is the config of nothing
