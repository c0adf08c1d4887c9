"""Capabilities of files as bytes: compared with what setcap writes, and getcap reads."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.capability import NAMES, XATTR, encode
from tests.clients.engines.engine import SYSTEM_PATH
from tests.clients.need import lack, need, need_root

NAMED = NAMES.split()
# (text, revision and effective bit, permitted, inheritable)
TEXTS = [
    ("cap_net_bind_service+ep", 0x02000001, 1 << 10, 0),
    ("cap_net_bind_service=ep", 0x02000001, 1 << 10, 0),
    ("cap_chown,cap_net_raw=p", 0x02000000, 1 << 0 | 1 << 13, 0),
    ("cap_net_raw=eip", 0x02000001, 1 << 13, 1 << 13),
    ("cap_net_raw=ei", 0x02000001, 0, 1 << 13),
    ("cap_perfmon,cap_checkpoint_restore+p", 0x02000000, 1 << 38 | 1 << 40, 0),
    ("cap_net_raw=eip cap_net_raw-i", 0x02000001, 1 << 13, 0),
    ("cap_net_raw+p-p+i cap_kill+p", 0x02000000, 1 << 5, 1 << 13),
    ("cap_kill=eip cap_kill=p", 0x02000000, 1 << 5, 0),
    ("=p", 0x02000000, (1 << 41) - 1, 0),
    ("all=p cap_sys_admin-p", 0x02000000, (1 << 41) - 1 - (1 << 21), 0),
    ("  cap_kill+p \n", 0x02000000, 1 << 5, 0),
]


def decoded(value: bytes) -> tuple[int, int, int]:
    words = [int.from_bytes(value[at : at + 4], "little") for at in range(0, 20, 4)]
    assert len(value) == 20
    return words[0], words[1] | words[3] << 32, words[2] | words[4] << 32


@pytest.mark.parametrize(("text", "magic", "permitted", "inheritable"), TEXTS)
def test_text_to_bytes(text: str, magic: int, permitted: int, inheritable: int) -> None:
    assert decoded(encode(text)) == (magic, permitted, inheritable)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cap_net_row+ep", "capabilities cap_net_row+ep: there is no capability cap_net_row; see capabilities(7)"),
        ("net_raw+ep", "capabilities net_raw+ep: there is no capability net_raw; write cap_net_raw"),
        ("cap_net_raw", "capabilities cap_net_raw: cap_net_raw is no clause such as cap_net_bind_service+ep"),
        ("cap_net_raw+x", "capabilities cap_net_raw+x: cap_net_raw+x is no clause such as cap_net_bind_service+ep"),
        ("cap_kill+e", "capabilities cap_kill+e: it leaves no capability permitted or inheritable; write +ep"),
        ("cap_kill=", "capabilities cap_kill=: it leaves no capability permitted or inheritable; write +ep"),
        (
            "cap_kill=p cap_chown=ep",
            "capabilities cap_kill=p cap_chown=ep: of a file all capabilities are effective or none; "
            "write the same flags for all",
        ),
    ],
)
def test_what_is_refused(text: str, error: str) -> None:
    with pytest.raises(DockertoolsError) as caught:
        encode(text)
    assert str(caught.value) == error


def test_setcap_writes_the_same_and_getcap_reads_it(tmp_path: Path) -> None:
    need_root()
    need("setcap", "getcap")
    file = tmp_path / "program"
    file.write_bytes(b"")
    seeded = random.Random(5)
    texts = [text.strip() for text, *_ in TEXTS if text != "=p" and "all" not in text]
    for _ in range(30):
        names = seeded.sample(NAMED, seeded.randint(1, 4))
        flags = seeded.choice(["p", "i", "ip", "ep", "ei", "eip"])
        texts.append(",".join(f"cap_{name}" for name in names) + seeded.choice("+=") + flags)
    for text in texts:
        written = encode(text)
        try:
            subprocess.run(["setcap", text, file], check=True, capture_output=True, env={"PATH": SYSTEM_PATH})
        except subprocess.CalledProcessError as error:
            if b"Operation not permitted" in error.stderr:
                lack("no capabilities can be set in this container")
            raise
        assert os.getxattr(file, XATTR) == written, text
        shown = subprocess.run(["getcap", file], check=True, capture_output=True, text=True, env={"PATH": SYSTEM_PATH})
        os.setxattr(file, XATTR, written)
        assert subprocess.check_output(["getcap", file], text=True, env={"PATH": SYSTEM_PATH}) == shown.stdout != ""
