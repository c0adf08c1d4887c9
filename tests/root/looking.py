"""What there is in a tree after a run, so that two can be compared. Needs no pytest: it is used in Nix's sandbox too."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockertools_py.root.table import FileId, file_id

DEVICE_FLAGS = {"3": stat.S_IFCHR, "4": stat.S_IFBLK}
MOUNTS = ("proc", "dev", "usr")


@dataclass
class Ran:
    """What came of a run: exit code or error, both outputs together, and what was recorded."""

    code: int | None
    output: str
    error: str | None = None
    records: dict[FileId, Any] | None = None
    """By file; None of real root, who needs none."""


def look(top: Path, ran: Ran) -> dict[str, tuple[Any, ...]]:
    """All of a tree: by path the kind, mode, owner, device, capability, content and the other names of the file."""
    found: dict[str, os.stat_result] = {}
    names: dict[int, list[str]] = {}
    seen: dict[int, os.stat_result] = {}
    for folder, folders, files in os.walk(top):
        if folder == str(top):
            folders[:] = [name for name in folders if name not in MOUNTS]
        for name in folders + files:
            path = os.path.relpath(os.path.join(folder, name), top)
            status = os.lstat(top / path)
            found[path] = status = seen.setdefault(status.st_ino, status)
            names.setdefault(status.st_ino, []).append(path)
            if os.getuid() and stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR):
                os.chmod(top / path, status.st_mode | 0o700)  # whatever a script thought of that
    ours = (os.lstat(top).st_uid, os.lstat(top).st_gid)
    return {
        path: (*_entry(top / path, status, ran, ours), tuple(sorted(names[status.st_ino])))
        for path, status in found.items()
    }


def differences(real: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """What is not equal, for a message."""
    return "\n".join(
        f"{name}: real {real.get(name)}\n{' ' * len(name)}  ours {ours.get(name)}"
        for name in sorted({*real, *ours})
        if real.get(name) != ours.get(name)
    )


def _entry(path: Path, status: os.stat_result, ran: Ran, ours: tuple[int, int]) -> tuple[Any, ...]:
    kind, mode, owner = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
    xattrs = os.listxattr(path, follow_symlinks=False)
    capability = "".join(os.getxattr(path, name, follow_symlinks=False).hex() for name in xattrs)
    if ran.records is not None:
        assert owner == ours, f"{path} belongs to {owner}"
        assert not xattrs
        owner = (0, 0)
        record = ran.records.get(file_id(path))
        if record is not None:
            uid, gid, mode, flag, recorded_device, recorded_xattrs = record
            owner, capability = (uid, gid), "".join(value for _, value in recorded_xattrs)
            if flag in DEVICE_FLAGS:
                kind, device = DEVICE_FLAGS[flag], tuple(recorded_device)
    content = ""
    if kind == stat.S_IFLNK:
        content = os.readlink(path)
    elif kind == stat.S_IFREG:
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return kind, mode, owner, device, capability, content
