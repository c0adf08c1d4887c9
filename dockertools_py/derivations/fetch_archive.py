"""An image of a registry as one docker archive: the fixed-output derivation of nixpkgs' `pullImage`.

Its bytes are fixed by the image, the name and `formats/archive.py`, and by no version of any other tool: each layer is the
blob that the registry has.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.fetch_blob import client_for, refuse_references
from dockertools_py.derivations.stored_blobs import read_stored
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.output import new_file
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.registry.lock import resolve
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.store.produce import layer_chunks

AT_ONCE = 4
"""Blobs in the making: a registry's storage seldom gives one connection all that a line can carry."""


def build(attributes: Attributes) -> None:
    """Spec: `image` (with a digest), `platform`, `name`, `tag`, `mirrors`, `tlsVerify`, `caFile`, `zstd`."""
    spec = attributes.spec
    image = RemoteImage.parse(spec["image"])
    client = client_for(image, spec)
    # As skopeo does it: what the digest names itself is taken, whatever platform it says.
    lock = resolve(client, image, Platform.from_json(spec["platform"]), strict=False)
    folder = attributes.build_top / "blobs"
    folder.mkdir()
    blobs = {layer.digest: layer for layer in lock.layers}
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        fetching = {digest: pool.submit(_fetch, client, descriptor, folder) for digest, descriptor in blobs.items()}
        try:
            files = {digest: future.result() for digest, future in fetching.items()}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    config = folder / "config"
    config.write_bytes(lock.config_blob)
    files[lock.config.digest] = config
    whole, _ = read_stored(str(image), lock.config.digest, [layer.digest for layer in lock.layers], files, spec["zstd"])
    named = NamedImage(whole, (Reference.of(spec["name"], spec["tag"]),))
    with new_file(attributes.out, in_place=True) as out:
        write_archive(bundle([named], {}), out, partial(layer_chunks, zstd=spec["zstd"]))
    if spec["refuseReferences"]:
        refuse_references(attributes.out, str(image))


def _fetch(client: Puller, descriptor: Descriptor, folder: Path) -> Path:
    file = folder / descriptor.digest.hex
    with file.open("w+b") as out:
        client.blob(descriptor, out)
    return file
