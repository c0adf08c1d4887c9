"""Which images an archive or a layout has, and which of them is meant: by its name, or of an index by the platform."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.members import Reader
from dockertools_py.formats.named_by_digest import checked_json
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import MAX_MANIFESTS_READ, Index
from dockertools_py.model.manifest import MAX_LAYERS_READ, Manifest
from dockertools_py.model.media_type import INDEXES, MANIFESTS
from dockertools_py.model.platform import Platform
from dockertools_py.pack.bundle import CONTAINERD_NAME, REF_NAME, blob_name

_MAX_NESTING = 4
_DOCKER, _INDEX = "manifest.json", "index.json"
REFERENCE_TYPE, ATTESTATION = "vnd.docker.reference.type", "attestation-manifest"
"""How buildx marks what is about an image but is none (moby/buildkit, docs/attestations/attestation-storage.md)."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in an archive or a layout: its names, its config and the names of the files that are its layers."""

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]
    platform: Platform | None = None
    """As the index says; an archive's manifest says nothing of it."""

    def told(self) -> list[str]:
        """Its names for an error, with the platform where there is one."""
        suffix = f" for {self.platform}" if self.platform else ""
        return [name + suffix for name in self.names or ("one without a name",)]


def stored_images(reader: Reader) -> tuple[StoredImage, ...]:
    """All images, in the order in which they are listed. Raises DockertoolsError when it is no image at all."""
    if reader.has(_DOCKER):
        return tuple(_archive_images(reader))
    if reader.has(_INDEX):
        return tuple(_layout_images(reader))
    raise DockertoolsError(f"{reader.files.what}: {_what_it_is(reader)}")


def images_by_platform(reader: Reader) -> tuple[StoredImage, ...]:
    """The same, and of an index all its images, where Docker's list, which knows one image a name, has only one of them."""
    listed = stored_images(reader)
    indexed = tuple(_layout_images(reader)) if reader.has(_DOCKER) and reader.has(_INDEX) else ()
    return indexed if len(indexed) > len(listed) and all(image.platform for image in indexed) else listed


def called(images: Iterable[StoredImage], name: str | None, tag: str | None) -> list[StoredImage]:
    """Those of that name and tag, as far as these are given."""
    return [image for image in images if (not name and not tag) or any(_matches(n, name, tag) for n in image.names)]


def are_one_index(images: Sequence[StoredImage]) -> bool:
    """Whether several have the same names: only the platform tells them apart."""
    return len(images) > 1 and len({frozenset(image.names) for image in images}) == 1


def choose(
    images: Sequence[StoredImage], name: str | None, tag: str | None, what: str, platform: Platform | None = None
) -> StoredImage:
    """The image of that name and tag, or the only one; of several the only one for `platform`.

    Raises DockertoolsError with what there is.
    """
    wanted = called(images, name, tag)
    if len(wanted) > 1 and platform:
        wanted = fitting(wanted, platform) or wanted
    if len(wanted) == 1:
        return wanted[0]
    there = ", ".join(shown(n) for image in images for n in image.told()) or "nothing"
    if not wanted:
        raise DockertoolsError(f"{what}: no image {name or '*'}:{tag or '*'} in it; there is: {there}")
    by = "fromImageName and fromImageTag, or --choose NAME:TAG"
    if are_one_index(wanted):
        by = "`architecture`, or --platform OS/ARCH"
        if platform:
            raise DockertoolsError(f"{what}: no image for {platform} in it; choose one ({by}); there is: {there}")
    raise DockertoolsError(f"{what}: {len(wanted)} images in it: choose one ({by}); there is: {there}")


def fitting(images: Sequence[StoredImage], wanted: Platform) -> list[StoredImage]:
    """Those for the platform that runs best on another one."""
    best = wanted.best_of(image.platform for image in images if image.platform)
    return [image for image in images if best and image.platform == best]


def _archive_images(reader: Reader) -> Iterator[StoredImage]:
    what = reader.what(_DOCKER)
    for entry in canonical_json.decode_list(reader.json(_DOCKER), what):
        match entry:
            case {"Config": str(config), "Layers": list(layers)} if len(layers) <= MAX_LAYERS_READ and _strings(layers):
                tags = entry.get("RepoTags") or []
                if not isinstance(tags, list) or not _strings(tags):
                    raise DockertoolsError(f"{what}: RepoTags is {shown(tags)}, not a list of names")
                yield StoredImage(tuple(tags), config, tuple(layers))
            case _:
                raise DockertoolsError(
                    f"{what}: an entry without `Config` and a list of at most {MAX_LAYERS_READ} `Layers`: {shown(entry)}"
                )


def _strings(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _layout_images(reader: Reader) -> Iterator[StoredImage]:
    """One that several entries name has the names of all of them."""
    found: dict[tuple[Digest, Platform | None], StoredImage] = {}
    for entry, names in _layout_manifests(reader):
        key = (entry.digest, entry.platform)
        if before := found.get(key):
            found[key] = replace(before, names=tuple(dict.fromkeys([*before.names, *names])))
            continue
        file = blob_name(entry.digest)
        manifest = Manifest.from_json(checked_json(reader, file), reader.what(file))
        layers = tuple(blob_name(layer.digest) for layer in manifest.layers)
        found[key] = StoredImage(names, blob_name(manifest.config.digest), layers, entry.platform)
    yield from found.values()


def _layout_manifests(reader: Reader) -> Iterator[tuple[Descriptor, tuple[str, ...]]]:
    """The manifests of all images, however deep in indexes, each with its names."""
    pending = _index_entries(reader, _INDEX, (), 0)
    count = 0
    while pending:
        count += 1
        if count > MAX_MANIFESTS_READ:  # each level of indexes may multiply them
            raise DockertoolsError(f"{reader.what(_INDEX)}: more than {MAX_MANIFESTS_READ} images")
        entry, names, depth = pending.pop()
        if entry.annotations.get(REFERENCE_TYPE) == ATTESTATION:
            continue
        file = blob_name(entry.digest)
        if depth > 1 and not reader.has(file):
            continue  # who has only the images of some platforms saves the index of all of them nevertheless
        if entry.media_type in INDEXES:
            pending += _index_entries(reader, file, names, depth)
        elif entry.media_type in MANIFESTS:
            yield entry, names


def _index_entries(
    reader: Reader, file: str, names: tuple[str, ...], depth: int
) -> list[tuple[Descriptor, tuple[str, ...], int]]:
    """The entries of an index, last first, with their names and the depth of what is below them."""
    if depth > _MAX_NESTING:
        raise DockertoolsError(f"{reader.what(file)}: indexes more than {_MAX_NESTING} deep")
    entries = []
    for entry in reversed(Index.from_json(checked_json(reader, file), reader.what(file)).manifests):
        given = [entry.annotations[key] for key in (CONTAINERD_NAME, REF_NAME) if key in entry.annotations]
        entries.append((entry, tuple(given[:1]) or names, depth + 1))
    return entries


def _matches(full: str, name: str | None, tag: str | None) -> bool:
    head, colon, tail = full.rpartition(":")
    own_name, own_tag = (head, tail) if colon and "/" not in tail else (full, "latest")
    short = own_name.removeprefix("docker.io/").removeprefix("library/")
    # In a layout the whole name may be a tag: `skopeo copy … oci:folder:1.0`.
    return (not name or name in (own_name, short)) and (not tag or tag in (own_tag, full))


def _what_it_is(reader: Reader) -> str:
    """Why something is no image, for somebody who thought that it was one."""
    names = set(reader.files.names())
    tops = sorted({name.partition("/")[0] for name in names})
    if {"bin", "etc", "nix", "usr", "lib"} & set(tops):
        return (
            "no image, but a root file system (it has " + ", ".join(map(shown, tops[:6])) + "): pass it as addTarball"
        )
    if "repositories" in names:
        return (
            "no image that is read here: Docker before 1.10 wrote it, without manifest.json; load it and save it again"
        )
    if not names:
        return "no image: it is empty"
    return "no image: neither manifest.json nor index.json in it, but " + ", ".join(map(shown, tops[:6]))
