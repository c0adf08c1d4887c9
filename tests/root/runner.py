"""What a test starts as another user: runs the job that is told as JSON, and writes exit code and table to a descriptor.

    python3 runner.py CHECKOUT RESULT_FD < job
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Kind
from dockertools_py.root.run import run
from dockertools_py.root.table import Recorded, Table, file_id


def known(records: dict[str, list[int]]) -> Table:
    """A table to begin with: by path uid, gid and mode of a file."""
    return {file_id(path): Recorded(uid, gid, mode, Kind.FILE) for path, (uid, gid, mode) in records.items()}


def told(table: Table) -> list[object]:
    found: list[object] = []
    for key, record in table.items():
        xattrs = [[name, value.hex()] for name, value in record.xattrs]
        found.append([[*key[:3], key.handle.hex()], [*record[:3], record.kind.value.decode(), record.device, xattrs]])
    return found


if __name__ == "__main__":
    job = json.load(sys.stdin)
    table = known(job.pop("known"))
    result: dict[str, object] = {"code": None, "error": None}
    try:
        result["code"] = run(**job, table=table)
    except DockertoolsError as error:
        result["error"] = str(error)
    result["records"] = told(table)
    with open(int(sys.argv[2]), "w") as file:
        json.dump(result, file)
    os._exit(0)
