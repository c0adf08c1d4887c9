"""Stands in for `ssh` in PATH: each host is a Nix store of its own on this machine, so nobody needs an sshd.

FARM is a folder with a folder for each host. A host with a file `gone` refuses connections. One with a file `dies` is killed,
with all its builds, when a build's log says what is in that file, and is gone from then on.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

(host,) = (path for word in sys.argv[1:] if (path := Path(os.environ["FARM"], word.rpartition("@")[2])).is_dir())
if (host / "gone").exists():
    sys.exit(f"ssh: connect to host {host.name} port 22: Connection refused")

# From 2.14 on Nix has ssh say so before anything else; and asks whether a connection is there that can be shared.
if "-O" in sys.argv:
    sys.exit(1)
if any("LocalCommand=echo started" in word for word in sys.argv) and os.getpid() != 1:  # once, see below
    os.write(1, b"started\n")
if "-N" in sys.argv:
    signal.pause()

options = {"sandbox": "true", "sandbox-fallback": "false", "substituters": "", "build-users-group": "nixbld"}
command = ["nix-store", "--serve", "--write", "--store", str(host / "store")]
for name, value in options.items():
    command += ["--option", name, value]
if not (host / "dies").exists():
    os.execvp(command[0], command)

namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.getpid() != 1:
    os.execvp(namespace[0], [*namespace, sys.executable, *sys.argv])
sign = (host / "dies").read_bytes().strip()
with subprocess.Popen(command, stderr=subprocess.PIPE) as serving:
    assert serving.stderr
    for line in serving.stderr:
        os.write(2, line)
        if sign in line:
            (host / "gone").touch()
            os._exit(1)  # the first process of its namespace: the kernel ends all others
sys.exit(serving.returncode)
