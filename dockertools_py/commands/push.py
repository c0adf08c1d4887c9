"""`push`: get an image into registries, sending what is missing there."""

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from dockertools_py.commands.image_argument import open_image
from dockertools_py.commands.outgoing import outgoing
from dockertools_py.commands.realising import realising
from dockertools_py.commands.registry_options import (
    add_registry_options,
    check_digest_file,
    new_session,
    parse_annotation,
    parse_size,
    write_digest,
)
from dockertools_py.commands.stored_graph import INDEX, StoredGraph, read_graph
from dockertools_py.commands.transfers import Transfers
from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import DOCKER_INDEX, DOCKER_MANIFEST, INDEXES, compressor_of
from dockertools_py.pack.compression import COMPRESSORS, check_level
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource
from dockertools_py.registry.cache import Cache
from dockertools_py.registry.layers import Fetch, LayerPush, Reuse, claimed_by
from dockertools_py.registry.media_types import FORMATS
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.pushing import Form, Shipment, Target, join, push_all, push_layers, targets_of
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.session import Session
from dockertools_py.store.compressed import Compression
from dockertools_py.store.description import is_image, is_index, is_lazy, read_blobs, read_image, read_index, read_lazy


def run(arguments: list[str]) -> int:
    """Prints each repository with the digest that the image has there; exit code 0 when all have it."""
    options = _parser().parse_intermixed_args(arguments)
    targets = targets_of(options.references or _own_name(options.default_reference), by_digest=options.by_digest)
    check_digest_file(options.digest_file)
    form = Form(options.format or "oci", dict(map(parse_annotation, options.annotation)))
    where = f"{len(targets)} repositories, layers counted in each: " if len(targets) > 1 else ""
    transfers = Transfers("push", events=options.json, where=where)
    try:
        session = new_session(options, transfers.say)
        open_pusher = partial(Pusher, session, chunk=parse_size(options.chunk_size))
        with realising(transfers.say, "push") as fetch:
            shipment = Push(options, session, open_pusher(targets[0].image), transfers, form, fetch).prepare(targets)
            push_all(shipment, targets, open_pusher, transfers)
        digest = shipment.graph.root().descriptor.digest
        names = [f"{target.image.location()}@{digest}" for target in targets]
        transfers.end(digest=str(digest), references=names)
    finally:
        transfers.stop()
    if options.digest_file:
        write_digest(options.digest_file, digest)
    if not options.json:
        print("\n".join(names))
    return 0


class Push:
    """One call of `push`, as its options say."""

    def __init__(
        self,
        options: argparse.Namespace,
        session: Session,
        pusher: Pusher,
        transfers: Transfers,
        form: Form,
        fetch: Fetch,
    ) -> None:
        self._options, self._session, self._pusher = options, session, pusher
        self._transfers, self._form, self._fetch = transfers, form, fetch
        self._cores = os.cpu_count() or 1
        chosen = options.compressor or "gz"
        self._how = Compression(chosen, check_level(chosen, options.level), options.zstd)
        usable = {options.compressor} if options.compressor else {"gz", "zstd"}
        self._usable = frozenset(usable - {"zstd"} if options.format == "docker" else usable)

    def prepare(self, targets: Sequence[Target]) -> Shipment:
        """What is to be sent; the layers of what is only described are in the first repository then."""
        path, options = self._options.image, self._options
        if path.is_dir() and is_index(path):
            images, annotations = read_index(path)
            form = replace(self._form, annotations={**annotations, **self._form.annotations})
            child = replace(self._form, annotations={})
            return join([(self._described(folder, targets, child), platform) for platform, folder in images], form)
        if path.is_dir() and (is_image(path) or is_lazy(path)):
            return self._described(path, targets, self._form)
        if path.exists():
            reader = Reader.open(path)
            if reader.has(INDEX) and (stored := self._as_it_is(read_graph(reader, options.choose))):
                return stored
        named = open_image(path, options.choose, options.zstd).named
        return self._image(named.image, _stored_blobs(options.blobs), targets, self._form)

    def _as_it_is(self, found: StoredGraph) -> Shipment | None:
        """An archive or a layout whose manifests need no change; None for one of which another manifest is made."""
        options, root = self._options, found.graph.root().descriptor
        is_asked = options.format not in (
            None,
            "docker" if root.media_type in (DOCKER_INDEX, DOCKER_MANIFEST) else "oci",
        )
        if options.annotation or is_asked or (found.has_plain_layers() and options.compressor != "none"):
            if root.media_type in INDEXES:
                raise DockertoolsError(
                    f"{options.image}: an index goes as it is, and this one has uncompressed layers, or --annotation or "
                    "--format want another: leave these out, or say --compressor none"
                )
            return None
        return Shipment(found.graph, found.contents)

    def _described(self, folder: Path, targets: Sequence[Target], form: Form) -> Shipment:
        image, blobs = read_lazy(folder) if is_lazy(folder) else (read_image(folder), _stored_blobs(self._options.blobs))
        return self._image(image, blobs, targets, form)

    def _image(
        self, image: Image, blobs: Mapping[Digest, BlobSource], targets: Sequence[Target], form: Form
    ) -> Shipment:
        blobs = {diff_id: blob for diff_id, blob in blobs.items() if compressor_of(blob.media_type) in self._usable}
        layers = [outgoing(layer, self._how, blobs) for layer in image.layers]
        reuse, say = self._reuse(image, targets), self._transfers.say
        push = LayerPush(self._pusher, reuse, self._transfers, say, self._cores, self._fetch)
        return push_layers(image, layers, push, form)

    def _reuse(self, image: Image, targets: Sequence[Target]) -> Reuse:
        options = self._options
        looked_at = [RemoteImage.parse(text.removeprefix("docker://")) for text in options.reuse]
        first = targets[0]
        own = [RemoteImage.parse(f"{first.image.location()}:{tag}") for tag in first.tags]
        images = [] if options.no_reuse else [*own, *looked_at]
        claimed = claimed_by(self._session, images, self._pusher, image.config.platform, self._transfers.say)
        cache = Cache.from_environment(os.environ)
        return Reuse(claimed, cache, self._usable, options.check_reused, options.zstd)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dockertools-py push", description=__doc__)
    add = parser.add_argument
    add("image", metavar="IMAGE", type=Path, help="a description that Nix built, an archive or a layout")
    add("references", metavar="REF", nargs="*", help="where to: [http://]REGISTRY/NAME[:TAG][@DIGEST]")
    add("--default-reference", metavar="REF", default="", help="where no REF is given and this one names a registry")
    add("--choose", metavar="NAME:TAG", help="which image, where there are several")
    add("--compressor", choices=COMPRESSORS, help="for layers that are not compressed yet; gz if not given")
    add("--level", type=int, help="of compression: 1 to 9 for gz, 1 to 19 for zstd")
    add_zstd(parser)
    add("--blobs", metavar="FOLDER", type=Path, action="append", default=[], help="compressed layers, if it is there")
    add("--reuse", metavar="REF", action="append", default=[], help="an image whose layers are known to be the same")
    add("--no-reuse", action="store_true", help="look at no image that is there, not even at the tag's")
    add("--check-reused", action="store_true", help="fetch layers that others pushed, and compare their diff_id")
    add("--annotation", metavar="KEY=VALUE", action="append", default=[], help="of the manifest, or of the index")
    add("--format", choices=FORMATS, help="whose media types; oci if not given")
    add("--by-digest", action="store_true", help="set no tag")
    add("--digest-file", metavar="FILE", type=Path, help="write the digest there")
    add_registry_options(parser)
    return parser


def _own_name(reference: str) -> list[str]:
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return [reference]
    raise DockertoolsError("REF is missing: write where to push, as in registry.example.org/team/app:1")


def _stored_blobs(folders: Sequence[Path]) -> dict[Digest, BlobSource]:
    """The compressed layers that Nix has built anyway: nothing is built for it."""
    found: dict[Digest, BlobSource] = {}
    for folder in folders:
        with suppress(OSError):
            found = {**read_blobs([folder]), **found}
    return found
