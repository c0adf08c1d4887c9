"""`lock`: what an image in a registry is made of, with all digests, for `pullImage { lock = …; }`."""

import argparse
import os
import sys

from dockertools_py.model.platform import Platform
from dockertools_py.registry.client import puller
from dockertools_py.registry.lock import resolve
from dockertools_py.registry.remote import RemoteImage

DEFAULT_PLATFORM = "linux/amd64"
"""Not the machine's own: a lock file must not depend on who made it."""


def run(arguments: list[str]) -> int:
    """Prints the lock file; exit code 0."""
    parser = argparse.ArgumentParser(prog="dockertools-py lock", description=__doc__)
    parser.add_argument("image", metavar="IMAGE", help="[http://][REGISTRY/]NAME[:TAG][@DIGEST], as in alpine:3.20")
    parser.add_argument(
        "--platform", default=DEFAULT_PLATFORM, metavar="OS/ARCH[/VARIANT]", help="%(default)s if not given"
    )
    parser.add_argument("--mirror", metavar="URL", action="append", default=[], help="ask it before the registry")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate, and plain http")
    options = parser.parse_args(arguments)
    image, platform = RemoteImage.parse(options.image), Platform.parse(options.platform)
    client = puller(image, os.environ, mirrors=options.mirror, tls_verify=not options.insecure, say=_say)
    sys.stdout.write(resolve(client, image, platform).to_bytes().decode())
    return 0


def _say(line: str) -> None:
    print(f"lock: {line}", file=sys.stderr)
