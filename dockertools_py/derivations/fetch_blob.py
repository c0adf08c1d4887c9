"""One blob or manifest of a registry: a fixed-output derivation, named by the digest that Nix and we compare."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.registry.client import puller
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import RemoteImage

_STORE = Path("/nix/store")
_STORE_PATH = re.compile(rb"/nix/store/([0-9a-z]{32})-")
_LONGEST = 44
_PIECE = 1 << 20


def build(attributes: Attributes) -> None:
    """Spec: `image`, `descriptor`, `isManifest`, `mirrors`, `tlsVerify`, `caFile`."""
    spec = attributes.spec
    image = RemoteImage.parse(spec["image"])
    descriptor = Descriptor.from_json(spec["descriptor"], "lock")
    client = client_for(image, spec)
    with attributes.out.open("w+b") as out:
        if spec["isManifest"]:
            out.write(client.manifest(str(descriptor.digest), descriptor).data)
        else:
            client.blob(descriptor, out)
    if spec["refuseReferences"]:
        refuse_references(attributes.out, str(image))


def client_for(image: RemoteImage, spec: Mapping[str, Any]) -> Puller:
    """The client as `mirrors`, `tlsVerify` and `caFile` of a spec and the environment want it. Raises DockertoolsError."""
    return puller(
        image,
        os.environ,
        mirrors=spec["mirrors"],
        tls_verify=spec["tlsVerify"],
        default_ca_file=spec["caFile"],
        say=_say,
    )


def _say(line: str) -> None:
    """Tell who waits for the build."""
    print(line, file=sys.stderr, flush=True)


def refuse_references(file: Path, what: str) -> None:
    """Raise DockertoolsError when a file names a store path that this build needs too.

    A fixed output must not, and Nix before 2.18 cannot be told to overlook it: it fails with words that help nobody, or
    crashes (NixOS/nix#6660). In the sandbox exactly those paths are in the store.
    """
    needed = {os.fsencode(path.name[:32]): path.name for path in _STORE.iterdir()}
    with file.open("rb") as opened:
        rest = b""
        while data := opened.read(_PIECE):
            for match in _STORE_PATH.finditer(rest + data):
                if name := needed.get(match[1]):
                    raise DockertoolsError(
                        f"{what}: has /nix/store/{name} in it, uncompressed, and fetching needs that path too: "
                        "Nix before 2.18 refuses this; use a newer one, or a lock file and compressed layers"
                    )
            rest = data[-_LONGEST:]
