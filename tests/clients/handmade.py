"""Small images made without the code under test, with which the harness proves that it can fail."""

import dataclasses
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
CREATED = "1970-01-01T00:00:01Z"


@dataclass
class HandmadeImage:
    """An image with a busybox and two layers, of which no engine has seen any before: each holds random bytes.

    Its archive is an OCI layout and a docker archive at once. `omit` names members to leave out of it by digest,
    `falsify` layers, by number, of which one byte is changed while everything that names them stays as it is.
    """

    name: str = "handmade"
    tag: str = "1"
    config: dict[str, Any] = field(default_factory=lambda: {"Cmd": ["/bin/busybox", "cat", "/salt-1"]})
    layers: list[bytes] = field(default_factory=lambda: [_layer(0, with_busybox=True), _layer(1)])
    wrong_diff_id: bool = False
    omit: frozenset[str] = frozenset()
    falsify: frozenset[int] = frozenset()

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.tag}"

    @property
    def diff_ids(self) -> list[str]:
        found = [digest(layer) for layer in self.layers]
        return [*found[:-1], digest(b"another layer")] if self.wrong_diff_id else found

    @property
    def history(self) -> list[dict[str, Any]]:
        return [{"created": CREATED, "created_by": f"layer {number}"} for number in range(len(self.layers))]

    def write(self, archive: Path) -> Path:
        """Write the archive and return its path."""
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": CREATED,
                "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                "history": self.history,
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
                "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in self.layers],
            }
        )
        listed = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
        listed["annotations"] = {
            "io.containerd.image.name": f"docker.io/library/{self.reference}",
            "org.opencontainers.image.ref.name": self.tag,
        }
        members = {
            "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
            "index.json": _json({"schemaVersion": 2, "manifests": [listed]}),
            "manifest.json": _json(
                [
                    {
                        "Config": _member(config),
                        "RepoTags": [self.reference],
                        "Layers": [_member(layer) for layer in self.layers],
                    }
                ]
            ),
            _member(manifest): manifest,
            _member(config): config,
        }
        for number, layer in enumerate(self.layers):
            if digest(layer) not in self.omit:
                # The salt is the first file of a layer: its bytes follow the header of 512 bytes.
                stored = layer[:512] + bytes([layer[512] ^ 1]) + layer[513:] if number in self.falsify else layer
                members[_member(layer)] = stored
        archive.write_bytes(_tar(members))
        return archive

    def salt(self, number: int) -> bytes:
        """Return the random bytes of a layer, which the image has as file `/salt-NUMBER`."""
        with tarfile.open(fileobj=io.BytesIO(self.layers[number])) as tar:
            content = tar.extractfile(f"salt-{number}")
            assert content
            return content.read()

    def variant(self, **changes: Any) -> "HandmadeImage":
        """Return an image of the same layers, otherwise changed."""
        return dataclasses.replace(self, **changes)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(number: int, *, with_busybox: bool = False) -> bytes:
    members = {f"salt-{number}": os.urandom(32).hex().encode()}
    if with_busybox:
        members["bin/busybox"] = BUSYBOX.read_bytes()
    return _tar(members)


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _member(blob: bytes) -> str:
    return "blobs/" + digest(blob).replace(":", "/")


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}
