"""Why a script cannot be root here, in words that say what to set.

The kernel says no more than a number, and several settings give the same. So this looks at each of them, once something has
failed and not before: what works needs no probe.

    ENOSPC   a limit of user namespaces (or of mount, pid, ... ones) is 0, or reached
    EPERM    Debian's older switch; a chroot, in which the kernel allows no user namespace; a seccomp filter of a container
    later    AppArmor as of Ubuntu 23.10 allows the namespace and takes the rights in it; a container that hides parts of
             /proc thereby forbids a new one
"""

import errno
import os
from pathlib import Path

WAY_OUT = "owners and modes as data (perms, users, groups) need no script and work here as well"
_LIMITS = tuple(f"max_{name}_namespaces" for name in ("user", "mnt", "pid", "net", "uts", "ipc", "cgroup"))
_CLONE = "kernel/unprivileged_userns_clone"
_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"


def explain(step: str, number: int, proc: Path = Path("/proc")) -> str:
    """The error for a user: `step` is "unshare" or what failed after it, `number` its errno."""
    reason = _reason(step, number, proc)
    return f"scripts as root need user namespaces, which cannot be had here: {reason}. Or else: {WAY_OUT}"


def _reason(step: str, number: int, proc: Path) -> str:
    limits = {f"user.{name}": _setting(proc, f"user/{name}") for name in _LIMITS}
    forbidden = next((name for name, limit in limits.items() if limit == "0"), None)
    if forbidden is not None:
        return f"{forbidden} is 0: set it higher, `sysctl -w {forbidden}=15000`"
    if number == errno.ENOSPC:
        name, limit = next(iter(limits.items()))
        return f"{name} (or a limit of its kin) is reached, it is {limit}: set it higher, `sysctl -w {name}=…`"
    if _setting(proc, _CLONE) == "0":
        return "kernel.unprivileged_userns_clone is 0: set it to 1, `sysctl -w kernel.unprivileged_userns_clone=1`"
    if _setting(proc, _APPARMOR) == "1":
        return (
            "kernel.apparmor_restrict_unprivileged_userns is 1 (AppArmor): set it to 0, "
            "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or give Nix a profile that has `userns,`"
        )
    if step == "unshare" and number == errno.EPERM and not _root_is_a_mount(proc):
        return "this is a chroot, in which Linux allows none: enter the tree with pivot_root (bwrap, unshare, systemd-nspawn)"
    if step == "mount":
        return (
            "a new /proc may not be mounted, as in a container that hides parts of its own: "
            "start it with `--security-opt systempaths=unconfined` (Docker) or `--security-opt unmask=ALL` (Podman)"
        )
    if number == errno.EPERM and _status(proc, "Seccomp") == "2":
        return (
            "a seccomp filter forbids unshare(2), as that of a container: "
            "start it with `--security-opt seccomp=unconfined`, or with one that allows user namespaces"
        )
    if number == errno.EINVAL:
        return "this kernel has none (CONFIG_USER_NS)"
    return f"{os.strerror(number)} ({step}), for none of the reasons that we know"


def _setting(proc: Path, name: str) -> str | None:
    try:
        return (proc / "sys" / name).read_text().strip()
    except OSError:  # this kernel has no such switch
        return None


def _status(proc: Path, field: str) -> str | None:
    lines = (proc / "self/status").read_text().splitlines()
    return next((line.split()[1] for line in lines if line.startswith(f"{field}:")), None)


def _root_is_a_mount(proc: Path) -> bool:
    """A chroot to a directory which is no mount sees none at `/`."""
    return any(line.split(" ")[4] == "/" for line in (proc / "self/mountinfo").read_text().splitlines())
