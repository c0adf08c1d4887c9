"""Images made by hand, with the standard library alone: to be read, to be damaged, and to compare ours with."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CREATED = "1970-01-01T00:00:01Z"

Files = dict[str, bytes]
"""The files of an archive or a layout by name, in their order."""


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(data: bytes) -> str:
    """The name of a blob."""
    return "blobs/sha256/" + hashlib.sha256(data).hexdigest()


def encode(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def layer_of(*names: str, text: bytes = b"content", tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    """A layer tar: directories where a name ends in `/`, files elsewhere."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name in names:
            info = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def descriptor(data: bytes, media_type: str, **rest: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **rest}


@dataclass
class Handmade:
    """An image; its parts may be changed before `files` puts them together."""

    layers: list[bytes] = field(default_factory=lambda: [layer_of("etc/", "etc/one"), layer_of("etc/", "etc/two")])
    config: dict[str, Any] = field(default_factory=lambda: {"Cmd": ["/bin/sh"], "Env": ["A=1"]})
    compressed: frozenset[int] = frozenset()
    names: tuple[str, ...] = ("handmade:1",)

    def stored(self) -> list[bytes]:
        """The layers as they lie in the file."""
        return [
            gzip.compress(layer, mtime=0) if number in self.compressed else layer
            for number, layer in enumerate(self.layers)
        ]

    def config_value(self) -> dict[str, Any]:
        history = [{"created": CREATED, "created_by": f"step {number}"} for number in range(len(self.layers))]
        return {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
            "history": history,
        }

    def manifest_value(self, config: bytes) -> dict[str, Any]:
        layers = [
            descriptor(data, LAYER + ("+gzip" if number in self.compressed else ""))
            for number, data in enumerate(self.stored())
        ]
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG), "layers": layers}

    def files(self) -> Files:
        """As an OCI layout that is a docker archive too."""
        config = encode(self.config_value())
        manifest = encode(self.manifest_value(config))
        notes = [
            {"io.containerd.image.name": f"docker.io/library/{name}", "org.opencontainers.image.ref.name": tag}
            for name, tag in ((name, name.rpartition(":")[2]) for name in self.names)
        ] or [{}]
        platform = {"architecture": "amd64", "os": "linux"}
        entries = [descriptor(manifest, MANIFEST, platform=platform, annotations=note) for note in notes]
        for entry in entries:
            if not entry["annotations"]:
                del entry["annotations"]
        archive = {"Config": blob(config), "RepoTags": list(self.names), "Layers": [blob(d) for d in self.stored()]}
        return {
            "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
            "index.json": encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}),
            "manifest.json": encode([archive]),
            blob(manifest): manifest,
            blob(config): config,
            **{blob(data): data for data in self.stored()},
        }

    def old_files(self) -> Files:
        """As `docker save` wrote it before 25: a folder a layer, and the config by its digest."""
        config = encode(self.config_value())
        folders = [f"{hashlib.sha256(b'%d' % number).hexdigest()}/layer.tar" for number in range(len(self.layers))]
        entry = {
            "Config": digest(config).partition(":")[2] + ".json",
            "RepoTags": list(self.names),
            "Layers": folders,
        }
        return {
            **dict(zip(folders, self.stored(), strict=True)),
            entry["Config"]: config,
            "manifest.json": encode([entry]),
        }


def write_tar(
    path: Path, files: Files, links: dict[str, str] | None = None, tar_format: int = tarfile.GNU_FORMAT
) -> Path:
    """Files, and symbolic links, as a tar."""
    with tarfile.open(path, "w", format=tar_format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def write_folder(path: Path, files: Files) -> Path:
    """Files as a directory."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
