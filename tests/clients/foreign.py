"""The root file system of bases that are not ours: what a child must not change, and what a second layer does to it."""

import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "cat", "id", "ls", "readlink", "stat", "test")

# Names, modes, owners and contents that a child of ours must not change. What ends in `/` is a directory; no content: a link.
FILES: dict[str, tuple[int, int, int, bytes]] = {
    "etc/": (0o711, 0, 42, b""),
    "etc/passwd": (0o640, 0, 42, b"root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"),
    "etc/group": (0o644, 0, 0, b"root:x:0:\nalice:x:1000:\n"),
    "tmp/": (0o1777, 0, 0, b""),
    "var/spool/mail/": (0o2775, 0, 8, b""),
    "var/log/": (0o750, 104, 4, b""),
    "home/alice/": (0o700, 1000, 1000, b""),
    "opt/directory/": (0o755, 0, 0, b""),
    "opt/directory/file": (0o644, 0, 0, b"of the base\n"),
    "opt/file": (0o644, 0, 0, b"of the base\n"),
    "opt/removed/": (0o755, 0, 0, b""),
    "opt/removed/file": (0o644, 0, 0, b"removed in the second layer\n"),
    "opt/emptied/": (0o755, 7, 7, b""),
    "opt/emptied/file": (0o644, 0, 0, b"removed in the second layer\n"),
    "opt/setuid": (0o4755, 0, 0, b"#!/bin/sh\n"),
    "usr/bin/": (0o755, 0, 0, b""),
}
LINKS = {"bin": "usr/bin", "opt/link": "directory", "opt/absolute": "/etc/passwd"}
CHANGE = "rm -r /opt/removed /opt/emptied/file && echo changed > /opt/changed"

ENV, LABEL = "WHO=base", "org.example.base"
CMD = ["/bin/sh", "-c", "id -u; pwd; echo $WHO"]
HEALTH = ["CMD-SHELL", "test -e /etc/passwd"]
CHANGES = [f"ENV {ENV}", f"LABEL {LABEL}=yes", "WORKDIR /home/alice", f"CMD {json.dumps(CMD)}"]
HEALTHCHECK = f"HEALTHCHECK --interval=7s {HEALTH[0].removesuffix('-SHELL')} {HEALTH[1]}"
# Last: what changes the image runs as root.
USER = "USER 1000:1000"


def root_file_system() -> bytes:
    """The tar of the first layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (mode, uid, gid, content) in FILES.items():
            _add(
                tar,
                name.rstrip("/"),
                tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE,
                mode,
                (uid, gid),
                content,
            )
        _add(tar, "usr/bin/busybox", tarfile.REGTYPE, 0o755, (0, 0), BUSYBOX.read_bytes())
        links = LINKS | {f"usr/bin/{applet}": "busybox" for applet in (*APPLETS, "rm")}
        for name, target in links.items():
            _add(tar, name, tarfile.SYMTYPE, 0o777, (0, 0), b"", target)
    return out.getvalue()


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, mode: int, owner: tuple[int, int], content: bytes, link: str = ""
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size, info.mtime = kind, mode, link, len(content), 86_400
    info.uid, info.gid = owner
    tar.addfile(info, io.BytesIO(content))
