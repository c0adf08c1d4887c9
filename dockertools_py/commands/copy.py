"""`copy`: an image or an index from one place to another as it is: registries, layouts, archives. All digests stay."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dockertools_py.commands.registry_options import add_registry_options, new_session, parse_size
from dockertools_py.commands.stored_graph import read_graph
from dockertools_py.commands.transfers import Transfers
from dockertools_py.commands.writing import folder_beside
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.members import Reader
from dockertools_py.formats.output import new_file
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.media_type import INDEXES
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference, parse_all
from dockertools_py.pack.bundle import Blob
from dockertools_py.pack.graph_bundle import graph_bundle
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.verified import Buffer, verified
from dockertools_py.registry.choice import choose
from dockertools_py.registry.content import Content, FileRange
from dockertools_py.registry.graph import Graph, walk
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.pushing import Shipment, push_all, targets_of
from dockertools_py.registry.relay import Relay
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.session import Session
from dockertools_py.registry.together import together
from dockertools_py.registry.watching import label_of

REGISTRY = ("docker://", "http://", "https://")
LAYOUT, ARCHIVE = "oci:", "archive:"
OTHERS = ("oci-archive:", "docker-archive:", "docker-daemon:", "containers-storage:", "dir:")
"""skopeo's words for places, which are no names of files here."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: `remote` where it comes from a registry."""

    graph: Graph
    contents: Mapping[Digest, Content]
    names: tuple[str, ...]
    remote: RemoteImage | None = None


def run(arguments: list[str]) -> int:
    """Prints where it is then; exit code 0 when it is whole."""
    options = _parser().parse_args(arguments)
    platform = Platform.parse(options.platform) if options.platform else None
    _check_words(options.source, options.target)
    transfers = Transfers("copy", events=options.json, past="copied")
    try:
        session = new_session(options, transfers.say)
        source = _read(options, session, platform)
        if options.target.startswith(REGISTRY):
            written = _to_registry(options, session, source, transfers)
        else:
            written = _to_path(options, source, transfers)
        transfers.end(digest=str(source.graph.root().descriptor.digest), references=[written])
    finally:
        transfers.stop()
    if not options.json:
        print(written)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dockertools-py copy", description=__doc__)
    place = "docker://NAME, http://NAME without TLS; a path"
    parser.add_argument("source", metavar="SRC", help=f"{place} of an archive or a layout")
    parser.add_argument("target", metavar="DST", help=f"{place}: an archive where it ends in .tar, else a layout")
    parser.add_argument(
        "--platform", metavar="OS/ARCH[/VARIANT]", help="of an index only what is for it; all if not given"
    )
    parser.add_argument("--choose", metavar="NAME:TAG", help="which image, where SRC has several")
    parser.add_argument(
        "-t", "--tag", metavar="NAME:TAG", action="append", default=[], help="its names in DST, where that is a path"
    )
    add_registry_options(parser)
    return parser


def _check_words(*places: str) -> None:
    for place in places:
        if place.startswith(OTHERS):
            raise DockertoolsError(
                f"{shown(place)}: for an archive write archive:PATH, for a layout oci:PATH, for a registry docker://NAME; "
                "into an engine an image gets by `load`"
            )


def _read(options: argparse.Namespace, session: Session, platform: Platform | None) -> Source:
    if not options.source.startswith(REGISTRY):
        path = Path(options.source.removeprefix(LAYOUT).removeprefix(ARCHIVE))
        if not path.exists():
            raise DockertoolsError(f"{path}: no such file or directory; for a registry write docker://NAME")
        found = read_graph(Reader.open(path), options.choose, platform)
        return Source(found.graph, found.contents, found.names)
    image = RemoteImage.parse(options.source.removeprefix("docker://"))
    puller = Puller(session, image)
    fetched = puller.manifest(str(image.digest) if image.digest else image.tag)
    while platform and fetched.descriptor.media_type in INDEXES:
        chosen = choose(Index.from_json(fetched.data, f"{image}: index").manifests, platform, str(image))
        fetched = puller.manifest(str(chosen.digest), chosen)

    def fetch(descriptor: Descriptor) -> bytes:
        return puller.manifest(str(descriptor.digest), descriptor).data

    graph = walk(fetched, fetch, str(image))
    names = (f"{image.familiar_name()}:{image.tag}",) if image.tag else ()
    return Source(graph, {blob.digest: Relay(puller, blob) for blob in graph.blobs}, names, image)


def _to_registry(options: argparse.Namespace, session: Session, source: Source, transfers: Transfers) -> str:
    (target,) = targets_of([options.target])
    is_near = source.remote is not None and source.remote.registry == target.image.registry
    sources = (source.remote.repository,) if source.remote and is_near else ()
    open_pusher = partial(Pusher, session, chunk=parse_size(options.chunk_size))
    push_all(Shipment(source.graph, source.contents), [target], open_pusher, transfers, sources)
    return f"{target.image.location()}@{source.graph.root().descriptor.digest}"


def _to_path(options: argparse.Namespace, source: Source, transfers: Transfers) -> str:
    is_archive = options.target.startswith(ARCHIVE) or (
        options.target.endswith(".tar") and not options.target.startswith(LAYOUT)
    )
    output = Path(options.target.removeprefix(LAYOUT).removeprefix(ARCHIVE))
    if output.exists() and not (is_archive and output.is_file()):
        raise DockertoolsError(f"{shown(output)} is there already; name a new one, or remove it")
    references = tuple(map(Reference.parse, options.tag)) or parse_all(source.names)
    with folder_beside(output) as folder:
        tasks = [
            partial(_fetch, blob, source.contents[blob.digest], folder, transfers) for blob in source.graph.blobs
        ]
        manifests = [(manifest.descriptor, manifest.data) for manifest in source.graph.manifests]
        whole = graph_bundle(manifests, together(tasks), references)
        if is_archive:
            with new_file(output) as out:
                write_archive(whole, out, _none_are_made)
        else:
            write_layout(whole, folder / "layout", _none_are_made)
            (folder / "layout").rename(output)
    return str(output)


def _fetch(blob: Descriptor, content: Content, folder: Path, transfers: Transfers) -> Blob:
    """A blob at hand, compared with its digest."""
    label = label_of(blob)
    transfers.begun(label, blob.size)
    moved = partial(transfers.moved, label)
    if isinstance(content, FileRange):
        file, offset = Path(content.file), content.offset
        position = 0
        for chunk in verified(content.chunks(0, None), blob.digest, blob.size, f"blob {blob.digest}"):
            position += len(chunk)
            moved(position)
    else:
        assert isinstance(content, Relay)
        file, offset = folder / f"{blob.digest.algorithm}-{blob.digest.hex}", 0
        content.save(file, moved)
    transfers.sent(label, blob.digest, blob.size)
    return Blob(blob, BlobSource(str(file), offset, blob.size, blob.digest, blob.media_type))


def _none_are_made(layer: Layer) -> Iterator[Buffer]:
    raise AssertionError(layer)
