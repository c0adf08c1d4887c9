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
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""Where most systems have them, and newer versions of Nix show their `ssl-cert-file` to fixed-output derivations."""


def session(
    environment: Mapping[str, str],
    *,
    tls_verify: bool = True,
    ca_file: str | None = None,
    default_ca_file: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Session:
    """For any registries. Raises DockertoolsError.

    Trusted are the certificates in `ca_file`, else in the file that `environment` names, else the system's, else those in
    `default_ca_file`.
    """
    named = [environment.get(name, "") for name in CA_VARIABLES]
    # A file that a sandbox hides is not there. The system's may have an own authority, which what everybody has lacks.
    files = (*named, SYSTEM_CA_FILE, default_ca_file or "")
    certificates = ca_file or next((file for file in files if file and os.path.isfile(file)), None)
    transport = Transport(Proxies.from_environment(environment), verify=tls_verify, ca_file=certificates)
    credentials = Credentials(environment, f"/run/containers/{os.getuid()}")
    return Session(transport, credentials, backoff or Backoff(), insecure=not tls_verify, say=say)


def puller(
    image: RemoteImage,
    environment: Mapping[str, str],
    *,
    mirrors: Sequence[str] = (),
    tls_verify: bool = True,
    default_ca_file: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Puller:
    """What pulls `image`; see `session`. Raises DockertoolsError."""
    own = session(environment, tls_verify=tls_verify, default_ca_file=default_ca_file, say=say, backoff=backoff)
    return Puller(own, image, [Endpoint.parse(mirror) for mirror in mirrors])
