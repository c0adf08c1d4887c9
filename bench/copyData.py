"""Builder of data.nix: one part of the files of a closure, each changed a little, without its references."""

import json
import os
import re
from pathlib import Path

attributes = json.loads((Path(os.environ["NIX_BUILD_TOP"]) / ".attrs.json").read_bytes())
spec, out = attributes["spec"], Path(attributes["outputs"]["out"])
salt = f"{spec['copy']:08}".encode()
# Nix finds references by their hashes: these here get another one, so that a copy refers to nothing.
hashes = re.compile(rb"(/nix/store/)[0-9a-z]{8}([0-9a-z]{24}-)")

files = []
for item in attributes["closure"]:
    top = Path(item["path"])
    for folder, folders, names in os.walk(top):
        folders.sort()
        files += [(Path(folder, name), Path(top.name[33:], os.path.relpath(Path(folder, name), top))) for name in names]
files.sort()
for number, (source, relative) in enumerate(files):
    if number % spec["parts"] != spec["part"]:
        continue
    target = out / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(re.sub(hashes, rb"\g<1>" + salt + rb"\2", os.fsencode(os.readlink(source))))
        continue
    target.write_bytes(hashes.sub(rb"\g<1>" + salt + rb"\2", source.read_bytes()) + salt)
    target.chmod(source.stat().st_mode)
