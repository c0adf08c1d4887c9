"""Artifacts about an image: where the registry lists them, and where we do."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.registry.content import Bytes
from dockertools_py.registry.referrers import Artifact, attach, referrers_tag
from dockertools_py.registry.remote import RemoteImage
from tests.oracle.image import INDEX, MANIFEST, encode
from tests.registry.images import digest, image
from tests.registry.pushing import Client, Seen
from tests.registry.served import Handler, Rules, status

EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""As the image spec has it."""

Put = Callable[[str], Any]


@pytest.fixture
def put(rules: Rules, host: str) -> Put:
    """Attaches a text to the image `1`; the descriptor."""
    subject = Descriptor.from_json(rules.content.publish(image(), "1"), "it")

    def push(text: str) -> Any:
        data = text.encode()
        file = Descriptor("text/plain", Digest.of(data), len(data), {"org.opencontainers.image.title": "it.txt"})
        artifact = Artifact(subject, "application/x.test", [(file, Bytes(data))], {"about": text})
        client = Client([f"http://{host}/team/app:1"])
        pusher = client.pusher(RemoteImage.parse(f"http://{host}/team/app:1"))
        return attach(pusher, artifact, Seen()).to_json()

    return push


def listed(rules: Rules) -> Any:
    tag = "sha256-" + digest(rules.content.manifests["1"][0])[7:]
    return rules.content.manifest(tag) if tag in rules.content.manifests else None


def test_the_manifest_is_as_the_spec_says(rules: Rules, put: Put) -> None:
    rules.referrers = True
    pushed = put("one")
    manifest = rules.content.manifest(pushed["digest"])
    subject = {"mediaType": MANIFEST, "digest": digest(rules.content.manifests["1"][0])}
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/x.test",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2},
        "layers": [
            {
                "mediaType": "text/plain",
                "digest": digest(b"one"),
                "size": 3,
                "annotations": {"org.opencontainers.image.title": "it.txt"},
            }
        ],
        "annotations": {"about": "one"},
        "subject": subject | {"size": len(rules.content.manifests["1"][0])},
    }
    assert rules.content.blobs[digest(b"one")] == b"one" and rules.content.blobs[EMPTY] == b"{}"
    assert listed(rules) is None, "the registry keeps the list"


def test_the_list_is_kept_under_a_tag(rules: Rules, put: Put) -> None:
    first, second = put("one"), put("two")
    entry = {"artifactType": "application/x.test", "annotations": {"about": "one"}}
    assert listed(rules)["manifests"] == [first | entry, second | entry | {"annotations": {"about": "two"}}]
    put("one")
    assert len(listed(rules)["manifests"]) == 2
    # What others wrote stays, whatever it is.
    theirs = listed(rules) | {"annotations": {"a": "b"}, "x": [1]}
    tag = "sha256-" + digest(rules.content.manifests["1"][0])[7:]
    rules.content.add(encode(theirs), INDEX, tag)
    put("three")
    assert listed(rules) == theirs | {"manifests": listed(rules)["manifests"]} and len(listed(rules)["manifests"]) == 3


def test_others_write_the_list_at_the_same_time(rules: Rules, put: Put) -> None:
    """What somebody else overwrites is written again."""

    def overwritten(handler: Handler, _: bytes) -> None:
        data = b"".join(handler.body())
        handler.send(201, {"Docker-Content-Digest": digest(data)}, b"")  # and theirs comes after it

    part = "PUT /v2/team/app/manifests/sha256-"
    rules.fail(part, overwritten)
    put("one")
    assert len(listed(rules)["manifests"]) == 1
    rules.fail(part, *[overwritten] * 5)
    with pytest.raises(DockertoolsError, match=r"the list sha256-.* is written by others at the same time: try again$"):
        put("two")


def test_a_tag_that_is_no_list(rules: Rules, put: Put) -> None:
    tag = referrers_tag(Digest.parse(digest(rules.content.manifests["1"][0])))
    rules.content.add(rules.content.manifests["1"][0], MANIFEST, tag)
    with pytest.raises(DockertoolsError, match=rf"{tag} is there and no list of referrers: remove that tag$"):
        put("one")
    full = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{}] * 1000}
    rules.content.add(encode(full), INDEX, tag)
    with pytest.raises(DockertoolsError, match=r"has 1000 entries, more than are read$"):
        put("one")


def test_a_registry_that_wants_no_artifacts(rules: Rules, put: Put) -> None:
    rules.fail("PUT /v2/team/app/manifests/", status(400))
    with pytest.raises(DockertoolsError, match=r"manifest sha256:.*: 127.0.0.1 answers 400$"):
        put("one")
    assert listed(rules) is None
    assert json.dumps(sorted(rules.content.manifests)).count("sha256-") == 0
