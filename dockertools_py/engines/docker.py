"""Docker, with either of its image stores, and Podman where it answers as Docker does (Docker Engine API 1.41 to 1.48).

What each store has, and what a missing layer may be left out for:

| store | image id is | a layer is there when | and an image is whole when |
|---|---|---|---|
| graph drivers | the config's digest | an image begins with the same layers up to it | it is there |
| containerd's | the manifest's digest | a manifest of ours names it | the API says `Available` (1.48), or lists it (before) |
| Podman | the config's digest | any image has it | it is there |
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from typing import Any

from dockertools_py.engines.api import Answer, Api
from dockertools_py.engines.engine import ANOTHER, Engine, Held, Refused, Wanted, WriteArchive
from dockertools_py.engines.record import Record
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference

MANIFESTS_SINCE = (1, 48)
"""`GET /images/{name}/json?manifests=1`. Before, `GET /images/json` overlooks an image whose blobs are not all there."""
WORTH_ASKING = 100_000
"""To ask for one image more takes about a millisecond, in which so many bytes could be sent: who has found something stops
asking when what is still missing is sent sooner."""
ASKED_ANYWAY = 20
"""Images of ours, which may be gone, that are asked for although nothing was found yet and little is missing."""


class Docker(Engine):
    """A daemon behind an Api; `client` is the program, with its options, that runs containers there.

    `default_platform` is what that program wants of an index, where the user said so.
    """

    def __init__(
        self, api: Api, record: Record, client: Sequence[str] = ("docker",), default_platform: Platform | None = None
    ) -> None:
        self._api, self._record, self._client, self._default_platform = api, record, client, default_platform
        self._headers: Mapping[str, str] = {}
        self._namesake: object = None
        """The id of another image that has the name which was asked for: as a rule the one before the edit."""

    def connect(self) -> None:
        """Raises Unreachable when nobody listens."""
        self._api.connect()

    def title(self) -> str:
        """See Engine."""
        product, _, version = self._headers.get("server", "").partition(" ")[0].partition("/")
        name = "Podman" if self._is_podman() else "Docker" if product in ("", "Docker") else shown(product, 30)
        return f"{name} {shown(version, 30)} at {self._api.endpoint.url}".replace("  ", " ")

    def platform(self) -> Platform:
        """See Engine. The daemon may be elsewhere; it says what its kernel calls the machine, and Podman what Go does."""
        if self._default_platform:
            return self._default_platform
        machine, system = self._info.get("Architecture"), self._info.get("OSType")
        if not isinstance(machine, str) or not machine:
            return super().platform()
        return replace(Platform.of_machine(machine), os=system if isinstance(system, str) and system else "linux")

    def lacks(self, reference: Reference, wanted: Wanted) -> str | None:
        """See Engine."""
        found = self._inspect(reference.normalised())
        if found is None:
            return "there is no image of that name"
        image_id = found.get("Id")
        if image_id == str(wanted.image_id):
            return None
        if image_id != str(wanted.manifest):
            self._namesake = image_id
            return f"{ANOTHER}, {shown(image_id, 71)}"
        if not self._is_whole(found, wanted):
            return "some of its layers are not in the image store"
        self._record.add(wanted.manifest)
        return None

    def elsewhere(self, wanted: Wanted) -> str | None:
        """See Engine."""
        if not self._has_containerd_store:
            images = (image for image in self._images if image["Id"] == str(wanted.image_id))
            return next((next(iter(_names(image)), str(wanted.image_id)) for image in images), None)
        found = self._inspect(str(wanted.manifest))
        return next(iter(_names(found)), None) if found and self._is_whole(found, wanted) else None

    def held(self, wanted: Wanted) -> Held:
        """See Engine."""
        if self._is_podman():
            return self._by_digest(wanted, self._stacks(wanted), "not there")
        if self._has_containerd_store:
            return self._by_digest(wanted, self._stacks_of_ours(wanted), "in no image of ours that was looked at")
        return self._by_prefix(wanted)

    def send(self, write_archive: WriteArchive) -> None:
        """See Engine."""
        answer = self._api.upload("/images/load", write_archive, {"quiet": "1"})
        self.__dict__.pop("_images", None)
        if answer.status != 200:
            raise Refused(answer.message())
        if error := _error_in(answer.data):
            raise Refused(error)

    def tag(self, source: str, reference: Reference) -> None:
        """See Engine."""
        name, _, tag = reference.normalised().rpartition(":")
        path = source if source.startswith("sha256:") else Reference.parse(source).normalised()
        answer = self._api.post(f"/images/{path}/tag", {"repo": name, "tag": tag})
        if answer.status not in (200, 201):
            raise DockertoolsError(f"{self.title()}: no name {reference} for {source}: {answer.message()}")

    def name_of(self, reference: Reference) -> str:
        """In full for Podman, which may ask which registry a short name means."""
        return reference.normalised() if self._is_podman() else str(reference)

    def run_command(
        self, reference: Reference, options: Sequence[str], arguments: Sequence[str], *, terminal: bool
    ) -> list[str]:
        """See Engine."""
        from shutil import which  # noqa: PLC0415

        # What was loaded, and never what a registry has under its name.
        flags = ["--pull=never", "--rm", "--interactive", *(["--tty"] if terminal else [])]
        client = self._client
        if self._is_podman() and which("podman"):
            # docker's own ended with 0 where the container (of Podman 4.3) had ended with 7.
            client = ("podman", "--url", self._api.endpoint.url)
        return [*client, "run", *flags, *options, self.name_of(reference), *arguments]

    def _by_prefix(self, wanted: Wanted) -> Held:
        """Layers are known by their chain_id: an image must begin as ours does. The best one is looked for."""
        sizes = {str(layer.diff_id): layer.size for layer in wanted.layers}
        stack = [str(diff_id) for diff_id in wanted.diff_ids]
        best, where = 0, ""
        for left, name, layers in self._stacks(wanted):
            depth = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(stack, layers, strict=False)))
            if depth > best:
                best, where = depth, name
            if best and sum(sizes[diff_id] for diff_id in set(stack[best:])) < WORTH_ASKING * left:
                break
        # One that comes again further up is read there.
        below = set(wanted.diff_ids[:best]) - set(wanted.diff_ids[best:])
        return Held(dict.fromkeys(below, f"in {where}"))

    def _by_digest(self, wanted: Wanted, stacks: Iterable[tuple[int, str, list[str]]], otherwise: str) -> Held:
        """Layers are known by the digest of their blob, in whatever image, and wherever in it."""
        every = {str(layer.diff_id): layer for layer in wanted.layers}
        held: dict[Digest, str] = {}
        for left, name, layers in stacks:
            for diff_id in every.keys() & set(layers):
                held.setdefault(every[diff_id].diff_id, f"in {name}")
            missing = sum(layer.size for layer in wanted.layers if layer.diff_id not in held)
            if held and missing < WORTH_ASKING * left:
                break
        return Held(held, otherwise)

    def _stacks(self, wanted: Wanted) -> Iterator[tuple[int, str, list[str]]]:
        """How many images are left then, and the name and the diff_ids of one after the other.

        Those that have one of our names, with another tag, come first.
        """
        names = {reference.normalised().rpartition(":")[0] for reference in wanted.references}
        likely = sorted(self._images, key=lambda image: names.isdisjoint(_repositories(image)))
        for number, image in enumerate(likely, 1):
            yield len(likely) - number, _name(image), _layers(self._inspect(image["Id"]) or {})

    def _stacks_of_ours(self, wanted: Wanted) -> Iterator[tuple[int, str, list[str]]]:
        """The same of images that we loaded: to list all takes 40 ms an image with containerd's store.

        The one that has our name, and then what was seen last first. Before API 1.48 only a list tells whether one has lost
        a blob; so little is that to be expected that it is found out after the load, as everything is.
        """
        size = sum(layer.size for layer in wanted.layers)
        noted = sorted(self._record.newest(), key=lambda manifest: str(manifest) != self._namesake)
        for number, manifest in enumerate(noted, 1):
            if number > ASKED_ANYWAY and size < WORTH_ASKING * number:
                return
            found = self._inspect(str(manifest))
            if found and (self._api_version() < MANIFESTS_SINCE or _is_available(found, manifest)):
                # Most of the notes are of images that are gone.
                yield min(len(noted) - number, ASKED_ANYWAY), _name(found), _layers(found)

    @cached_property
    def _images(self) -> list[Mapping[str, Any]]:
        answer = self._get("/images/json")
        images = answer.list(f"{self.title()}: its list of images")
        found = [image for image in images if isinstance(image, dict) and isinstance(image.get("Id"), str)]
        # Podman lists an image once for each of its names.
        return list({image["Id"]: image for image in found}.values())

    def _inspect(self, name: str) -> Mapping[str, Any] | None:
        answer = self._get(f"/images/{name}/json", {"manifests": "1"})
        if answer.status == 404:
            return None
        return answer.object(f"{self.title()}: image {name}")

    def _is_whole(self, found: Mapping[str, Any], wanted: Wanted) -> bool:
        """Whether containerd's store has every blob of the image that `found` describes."""
        if self._api_version() >= MANIFESTS_SINCE:
            return _is_available(found, wanted.manifest)
        answer = self._get("/images/json", {"filters": json.dumps({"reference": _names(found)})})
        listed = answer.list(f"{self.title()}: its list of images")
        return any(isinstance(image, dict) and image.get("Id") == str(wanted.manifest) for image in listed)

    @cached_property
    def _has_containerd_store(self) -> bool:
        if self._is_podman():
            return False
        return "io.containerd.snapshotter.v1" in json.dumps(self._info.get("DriverStatus"))

    @cached_property
    def _info(self) -> Mapping[str, Any]:
        return self._get("/info").object(f"{self.title()}: what it says of itself")

    def _is_podman(self) -> bool:
        return self._headers.get("server", "").startswith("Libpod/")

    def _api_version(self) -> tuple[int, ...]:
        parts = self._headers.get("api-version", "").split(".")
        return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (0,)

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        answer = self._api.get(path, query)
        self._headers = answer.headers
        return answer


def _error_in(data: bytes) -> str | None:
    """The error in the stream of messages that answers a load: by then its status was 200 already.

    Docker 28 with containerd's store writes "Error unpacking image" among its other words, as if all were well.
    """
    for line in data.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return f"its answer is no list of messages: {shown(line)}"
        if not isinstance(message, dict):
            return f"its answer is no list of messages: {shown(line)}"
        if error := message.get("error"):
            return shown(error, 1000)
        for key in ("stream", "status"):
            if "rror unpacking" in str(message.get(key)):
                return shown(str(message[key]).strip(), 1000)
    return None


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _names(image: Mapping[str, Any]) -> list[str]:
    return [name for name in _texts(image.get("RepoTags")) if "<none>" not in name]


def _name(image: Mapping[str, Any]) -> str:
    return shown(next(iter(_names(image)), str(image.get("Id"))[7:19]), 80)


def _layers(image: Mapping[str, Any]) -> list[str]:
    root = image.get("RootFS")
    return _texts(root.get("Layers")) if isinstance(root, dict) else []


def _repositories(image: Mapping[str, Any]) -> set[str]:
    """Of its names, in full."""
    found = set()
    for name in _names(image):
        with suppress(DockertoolsError):
            found.add(Reference.parse(name).normalised().rpartition(":")[0])
    return found


def _is_available(found: Mapping[str, Any], manifest: Digest) -> bool:
    manifests = found.get("Manifests")
    return isinstance(manifests, list) and any(
        isinstance(entry, dict) and entry.get("ID") == str(manifest) and entry.get("Available") is True
        for entry in manifests
    )
