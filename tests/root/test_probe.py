"""What is said where there are no user namespaces: for each setting its name, and what to set it to."""

import errno
from pathlib import Path

import pytest

from dockertools_py.root.probe import WAY_OUT, explain

FINE = {
    "sys/user/max_user_namespaces": "15000",
    "self/mountinfo": "1 0 8:1 / / rw - ext4 x rw\n",
    "self/status": "Seccomp:\t0\n",
}
CASES = {
    "limit": ({"sys/user/max_user_namespaces": "0"}, "unshare", errno.ENOSPC, "user.max_user_namespaces is 0: set it higher"),
    "reached": ({}, "unshare", errno.ENOSPC, "user.max_user_namespaces (or a limit of its kin) is reached, it is 15000"),
    "kin": ({"sys/user/max_net_namespaces": "0"}, "unshare", errno.ENOSPC, "user.max_net_namespaces is 0"),
    "clone": (
        {"sys/kernel/unprivileged_userns_clone": "0"}, "unshare", errno.EPERM,
        "`sysctl -w kernel.unprivileged_userns_clone=1`",
    ),
    "apparmor": (
        {"sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "mount", errno.EACCES,
        "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    "chroot": ({"self/mountinfo": "1 0 8:1 / /proc rw - proc x rw\n"}, "unshare", errno.EPERM, "this is a chroot"),
    "seccomp": ({"self/status": "Name:\tx\nSeccomp:\t2\n"}, "unshare", errno.EPERM, "a seccomp filter forbids unshare(2)"),
    "kernel": ({}, "unshare", errno.EINVAL, "this kernel has none (CONFIG_USER_NS)"),
    "proc": ({}, "mount", errno.EPERM, "a new /proc may not be mounted, as in a container that hides parts of its own"),
    "unknown": ({}, "unshare", errno.EPERM, "Operation not permitted (unshare), for none of the reasons that we know"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_reasons(name: str, tmp_path: Path) -> None:
    files, step, number, text = CASES[name]
    for path, content in {**FINE, **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    said = explain(step, number, tmp_path)
    assert text in said
    assert said.startswith("scripts as root need user namespaces, which cannot be had here: ")
    assert said.endswith(WAY_OUT)
    assert "\n" not in said
