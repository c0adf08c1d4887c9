"""What the verbs that write to registries have in common: how a registry is spoken to."""

import argparse
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.registry.client import session
from dockertools_py.registry.session import Session

_SIZE = re.compile(r"([0-9]{1,9})([kMG]?)B?")
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}


def add_registry_options(parser: argparse.ArgumentParser) -> None:
    """The arguments that `new_session` looks at, and --chunk-size and --json."""
    parser.add_argument("--insecure", action="store_true", help="accept any certificate, and plain http")
    parser.add_argument("--ca-file", metavar="FILE", help="certificates to trust, and no others")
    # What image.push knows: the package set's, for machines that have none.
    parser.add_argument("--default-ca-file", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--chunk-size", metavar="SIZE", help="the largest body to send, as in 50M")
    parser.add_argument("--json", action="store_true", help="events on standard output, a JSON object a line")


def new_session(options: argparse.Namespace, say: Callable[[str], None]) -> Session:
    """A session with the environment's credentials, certificates and proxies."""
    if options.ca_file and not os.path.isfile(options.ca_file):
        raise DockertoolsError(f"--ca-file {shown(options.ca_file)}: no such file")
    return session(
        os.environ,
        tls_verify=not options.insecure,
        ca_file=options.ca_file,
        default_ca_file=options.default_ca_file,
        say=say,
    )


def parse_size(text: str | None) -> int | None:
    """Bytes of `50M`. Raises DockertoolsError."""
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise DockertoolsError(f"--chunk-size {shown(text)!r}: write a number of bytes, or one of k, M, G as in 50M")
    return int(match[1]) * _UNITS[match[2]]


def parse_annotation(text: str) -> tuple[str, str]:
    """Key and value of `KEY=VALUE`. Raises DockertoolsError."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise DockertoolsError(f"--annotation {shown(text)!r}: write KEY=VALUE")
    return key, value


def check_digest_file(path: Path | None) -> None:
    """Whether --digest-file can be written, before anything is sent. Raises DockertoolsError."""
    if path and not path.absolute().parent.is_dir():
        raise DockertoolsError(f"--digest-file {shown(path)}: {shown(path.absolute().parent)} is no directory")


def write_digest(path: Path, digest: Digest) -> None:
    """The file that --digest-file names, there as a whole or not at all. Raises DockertoolsError.

    What is no plain file (a link, a pipe, /dev/stdout) stays what it is, and is written to.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(f"{digest}\n")
            return
        temporary.write_text(f"{digest}\n")
        temporary.rename(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise DockertoolsError(f"--digest-file {shown(path)}: {error.strerror}; what was pushed is there") from error
