"""Pulling in the tests' own process, without a moment's sleep."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.platform import Platform
from dockertools_py.registry.backoff import Backoff
from dockertools_py.registry.client import puller
from dockertools_py.registry.lock import Lock, resolve
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import RemoteImage

AMD64 = Platform("amd64")


@dataclass
class Client:
    """A client, and how long it would have slept."""

    image: RemoteImage
    puller: Puller
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def lock(self, platform: Platform = AMD64) -> Lock:
        return resolve(self.puller, self.image, platform)

    def blob(self, descriptor: Mapping[str, Any]) -> bytes:
        out = io.BytesIO()
        self.puller.blob(Descriptor.from_json(descriptor, "it"), out)
        return out.getvalue()


def client(
    name: str,
    environment: Mapping[str, str] | None = None,
    *,
    mirrors: Sequence[str] = (),
    tls_verify: bool = True,
    default_ca_file: str | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Client:
    """For the image `name`, with an environment of its own: nothing of the machine's is looked at."""
    slept: list[float] = []
    said: list[str] = []
    image = RemoteImage.parse(name)
    made = puller(
        image,
        environment or {},
        mirrors=mirrors,
        tls_verify=tls_verify,
        default_ca_file=default_ca_file,
        say=said.append,
        backoff=Backoff(sleep=slept.append, clock=clock),
    )
    return Client(image, made, slept, said)
