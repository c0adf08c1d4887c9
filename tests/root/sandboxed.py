"""A build in Nix's sandbox: lets real sequences run in a tree there, and tells what came of it as JSON in $out.

The environment has `program` (a folder with dockertools_py), `looking` (this folder's file) and `files` (what the tree has).
"""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

COMMAND = ["/busybox", "sh", "-c", "/busybox mkdir /w && cd /w && exec /fileops < /operations > /talk 2>&1"]

if __name__ == "__main__":
    sys.path.insert(0, os.environ["program"])
    looking = runpy.run_path(os.environ["looking"])

    from dockertools_py.root.run import run
    from dockertools_py.root.table import Table

    top = Path(os.environ["NIX_BUILD_TOP"]) / "tree"
    shutil.copytree(os.environ["files"], top)
    top.chmod(0o755)
    table: Table = {}
    code = run(COMMAND, top=top, environment={}, table=table, binds=["/nix/store"])
    records = {
        key: [*record[:3], record.kind.value.decode(), record.device, [(name, value.hex()) for name, value in record.xattrs]]
        for key, record in table.items()
    }
    found = looking["look"](top, looking["Ran"](code, "", None, records))
    told = {"code": code, "user": os.getuid(), "tree": found, "talk": (top / "talk").read_text()}
    Path(os.environ["out"]).write_text(json.dumps(told))
