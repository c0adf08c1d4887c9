"""Which images an archive or a layout has, and which of them is meant: by its name, or of an index by the platform.

There are two lists, and most archives have both. Docker's `manifest.json` has one image a name. `index.json` (OCI image spec
1.1, image-layout.md) may have an index under a name, and so an image for each of several platforms, of which Docker's list
then has one. So that list says which names there are, and the index which further images each of them has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.members import Reader
from dockertools_py.formats.named_by_digest import checked_json, digest_in
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import MAX_MANIFESTS_READ, Index
from dockertools_py.model.manifest import MAX_LAYERS_READ, Manifest
from dockertools_py.model.media_type import INDEXES, MANIFESTS
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import familiar
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


@dataclass(frozen=True, slots=True)
class Listed:
    """What some names lead to: one image, or those of an index that are there."""

    names: tuple[str, ...]
    images: tuple[StoredImage, ...]
    is_index: bool = False
    """Whether it names several, so that the platform decides, also where only one of them is there."""
    default: StoredImage | None = None
    """Of an index the image that Docker's list has."""

    def platforms(self) -> tuple[Platform, ...]:
        """Those of an index."""
        return tuple(image.platform for image in self.images if self.is_index and image.platform)

    def image_for(self, wanted: Platform) -> StoredImage | None:
        """The image that runs best on a platform, of equal ones the first; what is no index has one for all of them."""
        if not self.is_index:
            return self.images[0]
        best = wanted.best_of(self.platforms())
        return next((image for image in self.images if best and image.platform == best), None)

    def told(self) -> Iterator[str]:
        """Its names for an error, with the platforms."""
        for name in self.names or ("one without a name",):
            yield from (f"{shown(name)} for {shown(str(platform))}" for platform in self.platforms())
            if not self.platforms():
                yield shown(name)


def stored_images(reader: Reader) -> tuple[StoredImage, ...]:
    """All images, an index's too unless Docker's list is there, which has one of them. Raises DockertoolsError for none."""
    if reader.has(_DOCKER):
        return tuple(_archive_images(reader))
    return tuple(image for one in list_images(reader) for image in one.images)


def list_images(reader: Reader) -> tuple[Listed, ...]:
    """What there is, in the order in which it is listed. Raises DockertoolsError when it is no image at all."""
    if reader.has(_DOCKER):
        indexes: list[Listed] = []
        if reader.has(_INDEX):
            with suppress(DockertoolsError):  # Docker reads none of it, and neither need we
                indexes = [one for one in _layout_images(reader) if one.is_index and len(one.images) > 1]
        return tuple(_with_others(image, indexes) for image in _archive_images(reader))
    if reader.has(_INDEX):
        return tuple(_layout_images(reader))
    raise DockertoolsError(f"{reader.files.what}: {_what_it_is(reader)}")


def choose(
    listed: Sequence[Listed],
    what: str,
    *,
    name: str | None = None,
    tag: str | None = None,
    platform: Platform | None = None,
) -> Listed:
    """What has that name and tag, or the only one; of several the only one with an image for `platform`.

    Raises DockertoolsError with what there is.
    """
    wanted = [one for one in listed if (not name and not tag) or any(_matches(full, name, tag) for full in one.names)]
    if len(wanted) > 1 and platform:
        best = platform.best_of(image.platform for one in wanted for image in one.images if image.platform)
        wanted = [one for one in wanted if best and any(image.platform == best for image in one.images)] or wanted
    if len(wanted) == 1:
        return wanted[0]
    there = _told(listed)
    if not wanted:
        raise DockertoolsError(f"{what}: no image {name or '*'}:{tag or '*'} in it; there is: {there}")
    by = "fromImageName and fromImageTag, or --choose NAME:TAG"
    raise DockertoolsError(f"{what}: {len(wanted)} images in it: choose one ({by}); there is: {there}")


def image_of(one: Listed, what: str, find_platform: Callable[[], Platform]) -> StoredImage:
    """The only image, or that of an index for a platform, which is asked for then.

    Raises DockertoolsError with the platforms that there are.
    """
    if not one.is_index:
        return one.images[0]
    wanted = find_platform()
    if found := one.image_for(wanted):
        return found
    by = "`architecture`, --platform OS/ARCH, or `dockertools-py copy … --platform OS/ARCH` before"
    raise DockertoolsError(f"{what}: no image for {wanted} in it; choose one ({by}); there is: {_told([one])}")


def _told(listed: Iterable[Listed]) -> str:
    return ", ".join(text for one in listed for text in one.told()) or "nothing"


def _with_others(image: StoredImage, indexes: Sequence[Listed]) -> Listed:
    """An image of Docker's list, with the others of the index that has its name, if it is in one."""
    config = digest_in(image.config)
    for index in indexes:
        is_named = image.names == index.names or any(_is_same(one, other) for one in image.names for other in index.names)
        if is_named and any(config == digest_in(other.config) for other in index.images):
            images = tuple(replace(other, names=image.names) for other in index.images)
            return Listed(image.names, images, is_index=True, default=image)
    return Listed(image.names, (image,))


def _archive_images(reader: Reader) -> Iterator[StoredImage]:
    what = reader.what(_DOCKER)
    if reader.has("version"):
        raise DockertoolsError(f"{reader.files.what}: a `dir:` folder of skopeo or podman: write the image as `oci:` instead")
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


def _layout_images(reader: Reader) -> list[Listed]:
    """What several entries of `index.json` name has the names of all of them."""
    tops: dict[Digest, tuple[Descriptor, tuple[str, ...]]] = {}
    for entry in _entries(reader, _INDEX):
        _, names = tops.get(entry.digest, (entry, ()))
        own = tuple(dict.fromkeys([*names, *_names(entry)]))
        tops[entry.digest] = (entry if entry.platform or entry.digest not in tops else tops[entry.digest][0], own)
    found: list[Listed] = []
    budget = iter(range(MAX_MANIFESTS_READ))  # each level of indexes may multiply them
    for entry, names in tops.values():
        named: dict[tuple[str, ...], dict[tuple[Digest, Platform | None], StoredImage | None]] = {}
        for manifest, own, is_there in _manifests(reader, entry, names, budget):
            image = _stored_image(reader, manifest, own) if is_there else None
            named.setdefault(own, {})[manifest.digest, manifest.platform] = image
        for own, images in named.items():
            there = tuple(image for image in images.values() if image)
            found.append(Listed(own, there, is_index=len(images) > 1 or not there))
    return _joined(found)


def _joined(found: Sequence[Listed]) -> list[Listed]:
    """As some write an index: its entries are those of `index.json`, under one name or none, each for another platform."""
    same: dict[tuple[str, ...], list[Listed]] = {}
    for one in found:
        same.setdefault(one.names, []).append(one)
    joined: list[Listed] = []
    for one in found:
        several = same[one.names]
        images = tuple(image for other in several for image in other.images)
        platforms = {image.platform for image in images}
        are_one = len(several) > 1 and len(platforms) == len(images) and None not in platforms
        if not are_one or any(other.is_index for other in several):
            joined.append(one)
        elif one is several[0]:
            joined.append(Listed(one.names, images, is_index=True))
    return joined


def _manifests(
    reader: Reader, top: Descriptor, names: tuple[str, ...], budget: Iterator[int]
) -> Iterator[tuple[Descriptor, tuple[str, ...], bool]]:
    """The manifests that an entry leads to, however deep, each with its names, and whether it is there.

    Who has only the images of some platforms saves the index of all of them nevertheless.
    """
    pending = [(top, names, 0)]
    while pending:
        entry, own, depth = pending.pop()
        if next(budget, None) is None:
            raise DockertoolsError(f"{reader.what(_INDEX)}: more than {MAX_MANIFESTS_READ} images")
        file = blob_name(entry.digest)
        if entry.media_type in MANIFESTS:
            yield entry, own, depth == 0 or reader.has(file)
        elif entry.media_type in INDEXES and (depth == 0 or reader.has(file)):
            if depth == _MAX_NESTING:
                raise DockertoolsError(f"{reader.what(file)}: indexes more than {_MAX_NESTING} deep")
            pending += [(child, _names(child) or own, depth + 1) for child in reversed(_entries(reader, file))]


def _stored_image(reader: Reader, entry: Descriptor, names: tuple[str, ...]) -> StoredImage:
    file = blob_name(entry.digest)
    manifest = Manifest.from_json(checked_json(reader, file), reader.what(file))
    layers = tuple(blob_name(layer.digest) for layer in manifest.layers)
    return StoredImage(names, blob_name(manifest.config.digest), layers, entry.platform)


def _entries(reader: Reader, file: str) -> list[Descriptor]:
    """Of an index, but for those that are about an image and are none."""
    entries = Index.from_json(checked_json(reader, file), reader.what(file)).manifests
    return [entry for entry in entries if entry.annotations.get(REFERENCE_TYPE) != ATTESTATION]


def _names(entry: Descriptor) -> tuple[str, ...]:
    """The name that an entry has: the full one, if it has that."""
    return tuple(entry.annotations[key] for key in (CONTAINERD_NAME, REF_NAME) if key in entry.annotations)[:1]


def _is_same(full: str, other: str) -> bool:
    """Whether a name of Docker's list and one of `index.json`, which may be a tag alone, are the same."""
    tag = full.rpartition(":")[2]
    return other == tag or familiar(full) == familiar(other)


def _matches(full: str, name: str | None, tag: str | None) -> bool:
    head, colon, tail = full.rpartition(":")
    own_name, own_tag = (head, tail) if colon and "/" not in tail else (full, "latest")
    # In a layout the whole name may be a tag: `skopeo copy … oci:folder:1.0`.
    return (not name or familiar(name) == familiar(own_name)) and (not tag or tag in (own_tag, full))


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
