"""Capabilities of files: from text as setcap(8) takes it to the bytes of the attribute `security.capability`.

The text is that of cap_from_text(3): clauses such as `cap_net_bind_service,cap_net_raw=ep`, names and what is done to their
flags: `e`ffective, `p`ermitted, `i`nheritable are raised (`+`), lowered (`-`) or set while the others are lowered (`=`).

The bytes are `struct vfs_cap_data` of linux/capability.h: a word with revision and the effective bit, then the permitted
and the inheritable set, low words before high words, all little endian. Revision 2 is what setcap writes; revision 3
adds the root of a user namespace, which nothing outside of one may say.
"""

import re
import struct

from dockertools_py.errors import DockertoolsError, shown

XATTR = "security.capability"
"""The extended attribute that the kernel reads when the file is executed (capabilities(7), "File capabilities")."""

NAMES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service "
    "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin "
    "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override "
    "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
"""By their numbers in linux/capability.h, without `cap_`; the last is of Linux 5.9."""

REVISION_2 = 0x02000000
EFFECTIVE = 0x000001

_LOW = (1 << 32) - 1
_NUMBERS = {f"cap_{name}": number for number, name in enumerate(NAMES.split())}
_ALL = (1 << len(_NUMBERS)) - 1
_CLAUSE = re.compile(r"(?P<names>[a-z0-9_,]*)(?P<actions>(?:[=+-][eip]*)+)")
_ACTION = re.compile(r"([=+-])([eip]*)")


def encode(text: str) -> bytes:
    """The value of the attribute. Raises DockertoolsError for what setcap would refuse too."""
    sets = {"e": 0, "p": 0, "i": 0}
    for clause in text.split():
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise _wrong(text, f"{shown(clause)} is no clause such as cap_net_bind_service+ep")
        mask = _mask(found["names"], text)
        for operator, flags in _ACTION.findall(found["actions"]):
            if operator == "=":
                sets = {flag: has & ~mask for flag, has in sets.items()}
            for flag in flags:
                sets[flag] = sets[flag] & ~mask if operator == "-" else sets[flag] | mask
    permitted, inheritable = sets["p"], sets["i"]
    if not permitted | inheritable:
        raise _wrong(text, "it leaves no capability permitted or inheritable; write +ep")
    if sets["e"] not in (0, permitted | inheritable):
        raise _wrong(text, "of a file all capabilities are effective or none; write the same flags for all")
    magic = REVISION_2 | (EFFECTIVE if sets["e"] else 0)
    return struct.pack("<5I", magic, permitted & _LOW, inheritable & _LOW, permitted >> 32, inheritable >> 32)


def _mask(names: str, text: str) -> int:
    if names in ("", "all"):
        return _ALL
    mask = 0
    for name in names.split(","):
        if name not in _NUMBERS:
            hint = f"write cap_{name}" if f"cap_{name}" in _NUMBERS else "see capabilities(7)"
            raise _wrong(text, f"there is no capability {shown(name)}; {hint}")
        mask |= 1 << _NUMBERS[name]
    return mask


def _wrong(text: str, why: str) -> DockertoolsError:
    return DockertoolsError(f"capabilities {shown(text)}: {why}")
