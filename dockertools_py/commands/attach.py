"""`attach`: put files about an image beside it in its registry: a bill of materials, a signature, a report."""

import argparse
import hashlib
import re
from pathlib import Path

from dockertools_py.commands.registry_options import (
    add_registry_options,
    check_digest_file,
    new_session,
    parse_annotation,
    parse_size,
    write_digest,
)
from dockertools_py.commands.transfers import Transfers
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.media_type import INDEXES
from dockertools_py.model.platform import Platform
from dockertools_py.registry.choice import choose
from dockertools_py.registry.content import Content, FileRange
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.referrers import TITLE, Artifact, attach
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.upload import OCTETS

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TYPE = re.compile(rf"{_NAME}/{_NAME}")
"""RFC 6838, section 4.2, as the image spec wants it of `artifactType` and `mediaType`."""


def run(arguments: list[str]) -> int:
    """Prints the repository with the artifact's digest; exit code 0 when it is there and listed with the image."""
    options = _parser().parse_args(arguments)
    image = RemoteImage.parse(options.reference.removeprefix("docker://"))
    check_digest_file(options.digest_file)
    _check_type("--artifact-type", options.artifact_type)
    _check_type("--media-type", options.media_type or OCTETS)
    annotations = dict(map(parse_annotation, options.annotation))
    files = [_file(path, options.media_type) for path in options.files]
    transfers = Transfers("attach", events=options.json)
    try:
        pusher = Pusher(new_session(options, transfers.say), image, chunk=parse_size(options.chunk_size))
        subject = _subject(pusher, image, options.platform)
        artifact = Artifact(subject, options.artifact_type, files, annotations)
        digest = attach(pusher, artifact, transfers).digest
        name = f"{image.location()}@{digest}"
        transfers.end(digest=str(digest), references=[name], subject=str(subject.digest))
    finally:
        transfers.stop()
    if options.digest_file:
        write_digest(options.digest_file, digest)
    if not options.json:
        print(name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dockertools-py attach", description=__doc__)
    add = parser.add_argument
    add("reference", metavar="REF", help="the image: [http://]REGISTRY/NAME[:TAG][@DIGEST]")
    add("files", metavar="FILE", nargs="+", type=Path, help="what is put beside it")
    add("--artifact-type", metavar="TYPE", required=True, help="what it is, as in application/spdx+json")
    add("--media-type", metavar="TYPE", help="of each FILE; application/octet-stream if not given")
    add("--platform", metavar="OS/ARCH[/VARIANT]", help="of an index the image for it; the index itself if not given")
    add("--annotation", metavar="KEY=VALUE", action="append", default=[], help="of the artifact")
    add("--digest-file", metavar="FILE", type=Path, help="write the artifact's digest there")
    add_registry_options(parser)
    return parser


def _check_type(option: str, value: str) -> None:
    if not _TYPE.fullmatch(value):
        raise DockertoolsError(f"{option} {shown(value)!r}: write a media type, as in application/spdx+json")


def _file(path: Path, media_type: str | None) -> tuple[Descriptor, Content]:
    if not path.is_file():
        raise DockertoolsError(f"{shown(path)}: no such file")
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())
    return Descriptor(media_type or OCTETS, digest, size, {TITLE: path.name}), FileRange(str(path), 0, size)


def _subject(pusher: Pusher, image: RemoteImage, platform: str | None) -> Descriptor:
    """The manifest that REF names. Raises DockertoolsError when it is not there."""
    fetched = pusher.puller.manifest(str(image.digest) if image.digest else image.tag)
    while platform and fetched.descriptor.media_type in INDEXES:
        manifests = Index.from_json(fetched.data, f"{image}: index").manifests
        chosen = choose(manifests, Platform.parse(platform), str(image))
        fetched = pusher.puller.manifest(str(chosen.digest), chosen)
    return fetched.descriptor
