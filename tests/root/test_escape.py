"""A script cannot leave its tree: neither its files nor its processes nor its network, nor through the supervisor."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.root.trees import HERE, SOMEBODY, give_away, make_tree, run_ours

pytestmark = pytest.mark.xdist_group("root")  # they look for processes of the one user that all of them use

EXPECTED = {
    "host file": {"ENOENT"},
    "host file by dots": {"ENOENT"},
    "connect to the host": {"ECONNREFUSED"},
    "connect to the world": {"ENETUNREACH"},
    "raw socket to the host": {"ENETUNREACH"},
    "abstract socket of the host": {"ECONNREFUSED"},
    "kill of a host's process": {"ESRCH"},
    "write to a bind": {"EROFS"},
    "chmod in a bind": {"EROFS"},
    "clone3": {"ENOSYS"},
    "io_uring": {"ENOSYS"},
    "a second listener": {"EBUSY"},
    "kernel memory": {"EACCES", "EPERM", "ENOENT"},
    "sysctl": {"EACCES", "EPERM", "ENOENT", "EROFS"},
    "sysrq": {"EACCES", "EPERM", "ENOENT", "EROFS"},
}
"""What is told to each attempt; EPERM or EACCES to all others."""


def test_attempts(folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text("of the host")
    os.chown(secret, SOMEBODY, SOMEBODY)
    top = make_tree(folder / "tree", {"escape.py": (HERE / "escape.py").read_text()})
    give_away(top)
    user = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    with (
        subprocess.Popen([*user, "sleep", "300"]) as victim,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        port = server.getsockname()[1]
        abstract.bind(f"\0escape-{port}")
        abstract.listen()
        os.kill(victim.pid, 0)
        socket.create_connection(("127.0.0.1", port)).close()  # it would be found from here
        try:
            ran = run_ours(top, ("/usr/bin/python3", "-I", "/escape.py", str(secret), str(victim.pid), str(port)))
            assert victim.poll() is None
        finally:
            victim.kill()
    assert ran.code == 0, ran
    found = json.loads(ran.output)
    wrong = {name: told for name, told in found["told"].items() if told not in EXPECTED.get(name, {"EPERM", "EACCES"})}
    assert not wrong
    assert len(found["told"]) > 30
    assert found["chroots"] == sorted({*os.listdir(top), "dev", "proc", "jail"} - {"sda"})
    assert found["processes"] == [1, 2]
    assert found["interfaces"] == ["lo"]
    assert found["descriptors"] == [0, 1, 2, 3]  # 3 is listdir's
    assert found["alive"] == 0
    assert found["device"] == os.makedev(8, 0)
    assert set(found.get("signals", [])) <= {1}
    assert secret.read_text() == "of the host"
    assert not Path("/usr/escaped").exists()
