"""One blob or manifest of a registry: a fixed-output derivation, named by the digest that Nix and we compare."""

import os
import sys

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.registry.client import puller
from dockertools_py.registry.remote import RemoteImage


def build(attributes: Attributes) -> None:
    """Spec: `image`, `descriptor`, `isManifest`, `mirrors`, `tlsVerify`, `caFile`."""
    spec = attributes.spec
    image = RemoteImage.parse(spec["image"])
    descriptor = Descriptor.from_json(spec["descriptor"], "lock")
    client = puller(
        image, os.environ, mirrors=spec["mirrors"], tls_verify=spec["tlsVerify"], ca_file=spec["caFile"], say=say
    )
    with attributes.out.open("w+b") as out:
        if spec["isManifest"]:
            out.write(client.manifest(str(descriptor.digest), descriptor).data)
        else:
            client.blob(descriptor, out)


def say(line: str) -> None:
    """Tell who waits for the build."""
    print(line, file=sys.stderr, flush=True)
