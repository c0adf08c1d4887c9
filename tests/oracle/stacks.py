"""Random stacks of layers as tars, laid out on disk by obvious code and GNU tar, as root: what a container would see."""

import gzip
import hashlib
import io
import os
import random
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.pack.layer import BlobSource, Layer

NAMES = ["a", "a-b", "b", "c.d", "é", "n" * 120]
OPAQUE = ".wh..wh..opq"
XATTR = "user.note"


@dataclass
class StackOnDisk:
    """A folder, and the layers that were laid out in it."""

    top: Path
    layers: list[bytes]

    def add(self, generator: random.Random, *, all_parents: bool = False) -> None:
        """One more random layer."""
        layer = random_layer(generator, self.top, all_parents=all_parents)
        lay_out(layer, self.top)
        self.layers.append(layer)

    def copy(self, to: Path) -> "StackOnDisk":
        """The same, to be changed in another way."""
        subprocess.run(["cp", "-a", self.top, to], check=True)
        return StackOnDisk(to, list(self.layers))


def random_layer(generator: random.Random, top: Path, *, all_parents: bool = False) -> bytes:
    """A layer for what is below `top`: new things, replaced ones, hard links, whiteouts, opaque directories.

    Unless `all_parents`, directories that are there have no entry: containerd leaves them as they are, as GNU tar does,
    but Docker's overlay2 makes them root's, 0755.
    """
    buffer = io.BytesIO()
    there = sorted(str(path.relative_to(top)) for path in top.rglob("*"))
    new: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:

        def add(member: tarfile.TarInfo, data: bytes = b"") -> None:
            member.uid, member.gid = generator.choice([(0, 0), (1000, 100), (3_000_000, 5)])
            member.mtime = generator.randint(0, 1_700_000_000)
            if member.islnk():  # what else a tar could say is nonsense, of which Docker makes another one than GNU tar
                target = new[member.linkname]
                member.uid, member.gid, member.mode, member.mtime = target.uid, target.gid, target.mode, target.mtime
            tar.addfile(member, io.BytesIO(data))

        for _ in range(generator.randint(1, 12)):
            parts = [generator.choice(NAMES) for _ in range(generator.randint(1, 4))]
            above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
            name = "/".join(parts)
            below = any(other.startswith(name + "/") for other in new)
            if name in new or below or any(parent in new and not new[parent].isdir() for parent in above):
                continue
            for parent in above:
                # What is there as a directory need not be said again.
                if parent not in new and (all_parents or not _is_directory(top / parent) or generator.random() < 0.5):
                    new[parent] = tarfile.TarInfo(parent)
                    new[parent].type, new[parent].mode = tarfile.DIRTYPE, generator.choice([0o755, 0o700, 0o1777])
                    add(new[parent])
            member, data = _random_member(generator, name, new, there)
            new[name] = member
            add(member, data)
        said = set(new)
        for name in there:
            parent, _, last = name.rpartition("/")
            lives = not any(above in new and not new[above].isdir() for above in _above(name))
            # A whiteout below what the layer empties is nonsense, of which engines make an empty directory.
            emptied = any(f"{above}/{OPAQUE}" in said for above in _above(name))
            if not lives or emptied or (all_parents and any(above not in new for above in _above(name))):
                continue
            mentioned = any(one == name or one.startswith(name + "/") for one in said)
            if generator.random() < 0.15 and not mentioned:
                member = tarfile.TarInfo(f"{parent}/.wh.{last}".lstrip("/"))
                said.add(member.name)
                add(member)
            elif generator.random() < 0.1 and _is_directory(top / name) and (name in new or not all_parents):
                said.add(f"{name}/{OPAQUE}")
                add(tarfile.TarInfo(f"{name}/{OPAQUE}"))
    return buffer.getvalue()


def _random_member(
    generator: random.Random, name: str, new: dict[str, tarfile.TarInfo], there: list[str]
) -> tuple[tarfile.TarInfo, bytes]:
    member, data = tarfile.TarInfo(name), b""
    member.mode = generator.choice([0o644, 0o755, 0o4711, 0o600])
    files = [other for other, made in new.items() if made.isreg() or made.islnk()]
    kind = generator.choice(["file"] * 5 + ["directory", "symlink", "device", "fifo", "hardlink", "hardlink"])
    if kind == "hardlink" and files:
        member.type, member.linkname = tarfile.LNKTYPE, generator.choice(files)
    elif kind == "directory":
        member.type = tarfile.DIRTYPE
    elif kind == "symlink":
        member.type, member.linkname = tarfile.SYMTYPE, generator.choice(["a", "/b/c", "../é", "x" * 150])
    elif kind == "device":
        member.type = generator.choice([tarfile.CHRTYPE, tarfile.BLKTYPE])
        member.devmajor, member.devminor = generator.randint(1, 200), generator.randint(0, 200)
    elif kind == "fifo":
        member.type = tarfile.FIFOTYPE
    else:
        data = generator.choice([b"", b"same", generator.randbytes(generator.randint(1, 70_000))])
        member.size = len(data)
    if kind == "file" and generator.random() < 0.3:
        member.pax_headers = {f"SCHILY.xattr.{XATTR}": generator.choice(["one", "two"])}
    return member, data


def lay_out(layer: bytes, top: Path) -> None:
    """The obvious way: take away what the layer hides or replaces, then let GNU tar unpack it."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = tar.getmembers()
    for member in members:
        parent, _, last = member.name.rpartition("/")
        folder = top / parent
        if last == OPAQUE:
            for path in folder.iterdir() if _is_directory(folder) else ():
                remove(path)
        elif last.startswith(".wh."):
            remove(folder / last.removeprefix(".wh."))
    for member in members:
        for name in _above(member.name):
            if not _is_directory(top / name):
                remove(top / name)
        if not (member.isdir() and _is_directory(top / member.name)):
            remove(top / member.name)
    unpack(layer, top, "--exclude=.wh.*")


def members_of(layer: bytes) -> list[str]:
    """The names of what is in a layer, without whiteouts."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return [name for name in tar.getnames() if not name.rpartition("/")[2].startswith(".wh.")]


def unpack(tar: bytes, top: Path, *options: str) -> None:
    """By GNU tar, with all that it can restore."""
    command = ["tar", "-x", "-p", "--same-owner", "--numeric-owner", "--xattrs", "--xattrs-include=*", *options]
    done = subprocess.run([*command, "-C", top], input=tar, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def seen(top: Path, *, times: bool = True) -> dict[str, tuple[object, ...]]:
    """All that is below a folder: kind, mode, owner, link, device, content, xattrs, first of its names, time.

    Times of no directory: they follow from how things were put in it.
    """
    found: dict[str, tuple[object, ...]] = {}
    firsts: dict[tuple[int, int], str] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(top))
        is_file, is_link, is_folder = (test(status.st_mode) for test in (stat.S_ISREG, stat.S_ISLNK, stat.S_ISDIR))
        found[name] = (
            stat.S_IFMT(status.st_mode),
            0 if is_link else stat.S_IMODE(status.st_mode),
            (status.st_uid, status.st_gid),
            os.readlink(path) if is_link else "",
            0 if is_folder else status.st_rdev,
            hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "",
            {key: os.getxattr(path, key) for key in os.listxattr(path)} if is_file else {},
            "" if is_folder else firsts.setdefault((status.st_dev, status.st_ino), name),
            int(status.st_mtime) if times and not is_folder else 0,
        )
    return found


def remove(path: Path) -> None:
    """Whatever it is, if it is there."""
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def stored(layer: bytes, folder: Path, compressor: str = "none") -> Layer:
    """A layer as we describe one whose tar lies in a file."""
    blob = gzip.compress(layer, 1) if compressor == "gz" else layer
    digest = Digest("sha256", hashlib.sha256(blob).hexdigest())
    file = folder / digest.hex
    file.write_bytes(b"before" + blob + b"behind")
    source = BlobSource(str(file), 6, len(blob), digest, LAYER_OF_COMPRESSOR[compressor])
    return Layer(Digest("sha256", hashlib.sha256(layer).hexdigest()), len(layer), source, (), "a random layer")


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
