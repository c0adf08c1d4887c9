"""The capabilities of a process that says to be somebody else: what it may do, by the rules of security/commoncap.c.

As with ids, the real ones are never changed: every process keeps all that root of the namespace has. These here decide what
a process that set its ids or capabilities would be refused, and what capget tells. `setpriv`, for one, sets its uid first, and
relies on PR_SET_KEEPCAPS and capset to be allowed to set its groups thereafter.

Bounding and ambient sets are the kernel's own; a program that is started by another than root has none (so file capabilities
are kept for the image, but have no effect while a script runs).
"""

import errno
import os
from typing import NamedTuple

CHOWN, FOWNER, FSETID, SETGID, SETUID, SETPCAP = 1 << 0, 1 << 3, 1 << 4, 1 << 6, 1 << 7, 1 << 8
SYS_CHROOT, MKNOD, SETFCAP = 1 << 18, 1 << 27, 1 << 31
ALL = (1 << 41) - 1
"""Up to CAP_CHECKPOINT_RESTORE."""
_OF_FILES = CHOWN | 1 << 1 | 1 << 2 | FOWNER | FSETID | 1 << 9 | MKNOD | 1 << 32
"""CAP_FS_SET of linux/capability.h: what setfsuid takes and gives."""


class Capabilities(NamedTuple):
    """The sets of capset(2), as bits."""

    effective: int = ALL
    permitted: int = ALL
    inheritable: int = 0
    kept: bool = False
    """PR_SET_KEEPCAPS."""

    def set(self, new: "Capabilities") -> "Capabilities":
        """capset. Raises OSError EPERM."""
        may_inherit = self.inheritable | (ALL if self.effective & SETPCAP else self.permitted)
        if new.permitted & ~self.permitted or new.effective & ~new.permitted or new.inheritable & ~may_inherit:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return new._replace(kept=self.kept)

    def after_ids(self, old: tuple[int, ...], new: tuple[int, ...]) -> "Capabilities":
        """When real, effective and saved uid went from `old` to `new` (cap_emulate_setxuid)."""
        found = self
        if 0 in old[:3] and 0 not in new[:3] and not self.kept:
            found = found._replace(permitted=0, effective=0)
        if old[1] == 0 != new[1]:
            found = found._replace(effective=0)
        if old[1] != 0 == new[1]:
            found = found._replace(effective=found.permitted)
        return found

    def after_file_id(self, old: int, new: int) -> "Capabilities":
        """The same for setfsuid."""
        if old == 0 != new:
            return self._replace(effective=self.effective & ~_OF_FILES)
        if old != 0 == new:
            return self._replace(effective=self.effective | self.permitted & _OF_FILES)
        return self

    def executed(self, real: int, effective: int) -> "Capabilities":
        """After an execve, as whom (handle_privileged_root)."""
        permitted = ALL if 0 in (real, effective) else 0
        return Capabilities(permitted if effective == 0 else 0, permitted, self.inheritable)
