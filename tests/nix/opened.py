"""Images and tars as the tests look at them: with `tarfile`, `json` and `hashlib` alone, none of the code under test."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

MAGICS = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zstd"}


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compressor(data: bytes) -> str:
    return next((name for magic, name in MAGICS.items() if data.startswith(magic)), "none")


def plain(data: bytes) -> bytes:
    """`data` without its compression."""
    match compressor(data):
        case "gz":
            return gzip.decompress(data)
        case "zstd":
            return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
        case _:
            return data


@dataclass(frozen=True)
class Layer:
    """One layer, as the blob that it is in the file."""

    blob: bytes

    @cached_property
    def tar(self) -> bytes:
        return plain(self.blob)

    @cached_property
    def compressor(self) -> str:
        return compressor(self.blob)

    @cached_property
    def diff_id(self) -> str:
        return sha256(self.tar)

    @cached_property
    def members(self) -> list[tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.tar), mode="r:", errors="surrogateescape") as tar:
            return tar.getmembers()

    @property
    def names(self) -> list[str]:
        return [member.name for member in self.members]

    @property
    def store_paths(self) -> list[str]:
        """The members directly below nix/store, without hash."""
        return [name_of(name) for name in self.names if is_store_path(name)]

    def read(self, name: str) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(self.tar), mode="r:", errors="surrogateescape") as tar:
            file = tar.extractfile(name)
            assert file is not None, f"{name} is no file"
            return file.read()


@dataclass(frozen=True)
class Image:
    """One image of an archive or a layout."""

    names: list[str]
    config_bytes: bytes
    layers: list[Layer]

    @cached_property
    def json(self) -> Any:
        return json.loads(self.config_bytes)

    @property
    def config(self) -> Any:
        return self.json["config"]

    @property
    def id(self) -> str:
        return sha256(self.config_bytes)

    @cached_property
    def tree(self) -> dict[str, tarfile.TarInfo]:
        """What a container sees; of two members of one name the upper."""
        return {member.name: member for layer in self.layers for member in layer.members}

    @cached_property
    def all_store_paths(self) -> list[str]:
        """Every member directly below nix/store, with hash, as often as it is in some layer."""
        return [name for layer in self.layers for name in layer.names if is_store_path(name)]

    @property
    def store_names(self) -> list[str]:
        return sorted(map(name_of, self.all_store_paths))

    def read(self, name: str) -> bytes:
        layer = next(layer for layer in reversed(self.layers) if name in layer.names)
        return layer.read(name)

    def resolve(self, name: str) -> str:
        """The member that `name` leads to, links followed inside the image; KeyError when there is none."""
        done: list[str] = []
        todo = name.strip("/").split("/")
        for _ in range(200):
            if not todo:
                return "/".join(done)
            part = todo.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            member = self.tree["/".join([*done, part])]
            if member.issym():
                done = [] if member.linkname.startswith("/") else done
                todo = member.linkname.split("/") + todo
            else:
                done.append(part)
        raise KeyError(f"{name}: links in a circle")

    def check(self) -> "Image":
        """What holds for each image of ours; itself, so that no test forgets to ask."""
        assert self.json["rootfs"]["diff_ids"] == [layer.diff_id for layer in self.layers]
        filled = [entry for entry in self.json["history"] if not entry.get("empty_layer")]
        assert len(filled) == len(self.layers)
        assert len(self.layers) <= 125
        assert len(self.all_store_paths) == len(set(self.all_store_paths)), "a store path is in the image twice"
        for layer in self.layers:
            assert len(set(layer.names)) == len(layer.names), "a name is in a layer twice"
            for member in layer.members:
                if member.name in ("nix", "nix/store"):
                    assert member.isdir() and member.mode == 0o755
        return self


def is_store_path(name: str) -> bool:
    return name.count("/") == 2 and name.startswith("nix/store/")


def name_of(path: str | Path) -> str:
    """The name of a store path, without folder and hash."""
    return Path(path).name[33:]


def members_of(path: Path) -> dict[str, bytes]:
    """The files of an archive, or of a layout, by name."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with tarfile.open(path, "r:") as tar:
        found: dict[str, bytes] = {}
        for member in tar:
            file = tar.extractfile(member)
            assert member.name not in found, f"{member.name} is in the archive twice"
            if file is not None:
                found[member.name] = file.read()
        return found


def open_archive(path: Path) -> list[Image]:
    """All images of a docker archive, by its manifest.json."""
    files = members_of(path)
    images = [
        Image(entry["RepoTags"] or [], files[entry["Config"]], [Layer(files[name]) for name in entry["Layers"]]).check()
        for entry in json.loads(files["manifest.json"])
    ]
    assert images, f"no image in {path}"
    return images


def open_image(path: Path) -> Image:
    """The only image of a docker archive; its two sides, for Docker and for OCI, must say the same."""
    (image,) = open_archive(path)
    (other,) = open_oci(path)
    assert other.config_bytes == image.config_bytes
    assert [layer.blob for layer in other.layers] == [layer.blob for layer in image.layers]
    return image


def open_oci(path: Path) -> list[Image]:
    """All images of an OCI archive or layout, by its index.json; every digest, size and media type is compared."""
    files = members_of(path)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, data in files.items():
        assert not name.startswith("blobs/") or name == blob(sha256(data))

    def follow(descriptor: Any) -> bytes:
        data = files[blob(descriptor["digest"])]
        assert len(data) == descriptor["size"]
        return data

    images: dict[str, Image] = {}
    for entry in json.loads(files["index.json"])["manifests"]:
        manifest = json.loads(follow(entry))
        layers = [Layer(follow(descriptor)) for descriptor in manifest["layers"]]
        for layer, descriptor in zip(layers, manifest["layers"], strict=True):
            kind = descriptor["mediaType"].rpartition("tar")[2].removeprefix("+").removeprefix(".")
            assert {"": "none", "gzip": "gz", "zstd": "zstd"}[kind] == layer.compressor
        annotations = entry.get("annotations", {})
        name = annotations.get("io.containerd.image.name")
        image = images.setdefault(entry["digest"], Image([], follow(manifest["config"]), layers).check())
        if name:
            assert name.endswith(":" + annotations["org.opencontainers.image.ref.name"])
            image.names.append(name)
    assert images, f"no image in {path}"
    return list(images.values())


def blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def open_tar(path: Path) -> Layer:
    """A root file system tar of any compression."""
    return Layer(path.read_bytes())


def make_tar(files: dict[str, bytes | Callable[[tarfile.TarInfo], None]], mode: str = "w") -> bytes:
    """A tar made by `tarfile`: contents by name, or a function that makes a member something else than a file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if callable(content):
                content(member)
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_docker_archive(path: Path, layers: list[bytes], *, name: str = "base:1", **config: Any) -> Path:
    """A docker archive in the old form, `<id>/layer.tar`, as `docker save` made it for years."""
    body = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [sha256(plain(layer)) for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:01Z", "created_by": f"step {n}"} for n in range(len(layers))],
    }
    data = json.dumps(body).encode()
    config_name = sha256(data).removeprefix("sha256:") + ".json"
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    files = {config_name: data, **dict(zip(names, layers, strict=True)), "manifest.json": manifest}
    path.write_bytes(make_tar(dict(files)))
    return path


def lines(text: str) -> Iterator[str]:
    """The lines of a text that are not empty."""
    return (line for line in text.splitlines() if line.strip())
