"""A client as an environment wants it: its proxies, its certificates, its credentials."""

import os
from collections.abc import Callable, Mapping, Sequence

from dockertools_py.registry.backoff import Backoff
from dockertools_py.registry.credentials import Credentials
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import Endpoint, RemoteImage
from dockertools_py.registry.session import Session
from dockertools_py.registry.transport import Proxies, Transport

CA_VARIABLES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")
NIX_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""Where newer versions of Nix show their `ssl-cert-file` to fixed-output derivations; most systems have theirs there."""


def session(
    environment: Mapping[str, str],
    *,
    tls_verify: bool = True,
    ca_file: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Session:
    """For any registries; `ca_file` is for where `environment` names no certificates. Raises DockertoolsError."""
    given = [environment.get(name, "") for name in CA_VARIABLES]
    # A file that a sandbox hides is not there; one of an own authority comes before what everybody has.
    certificates = next((file for file in (*given, ca_file or "", NIX_CA_FILE) if file and os.path.isfile(file)), None)
    transport = Transport(Proxies.from_environment(environment), verify=tls_verify, ca_file=certificates)
    return Session(transport, Credentials(environment), backoff or Backoff(), insecure=not tls_verify, say=say)


def puller(
    image: RemoteImage,
    environment: Mapping[str, str],
    *,
    mirrors: Sequence[str] = (),
    tls_verify: bool = True,
    ca_file: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Puller:
    """What pulls `image`; see `session`. Raises DockertoolsError."""
    own = session(environment, tls_verify=tls_verify, ca_file=ca_file, say=say, backoff=backoff)
    return Puller(own, image, [Endpoint.parse(mirror) for mirror in mirrors])
