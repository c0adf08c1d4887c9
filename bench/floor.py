"""The floor: read and hash every file of some trees, on as many processes as asked for, and nothing else."""

import hashlib
import os
import sys


def hash_trees(trees: list[str]) -> None:
    hasher = hashlib.sha256()
    for tree in trees:
        for folder, _, names in os.walk(tree):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    with open(path, "rb", buffering=0) as file:
                        while data := file.read(1 << 20):
                            hasher.update(data)


workers, paths = int(sys.argv[1]), sys.argv[2:]
children = []
for worker in range(workers):
    if not (pid := os.fork()):
        hash_trees(paths[worker::workers])
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
