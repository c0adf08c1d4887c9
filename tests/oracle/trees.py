"""Random trees, the same for the same seed: what may be in a store path, and the worst of it more often than in life."""

import os
import random
from dataclasses import dataclass

ALPHABETS = (
    b"abcdefghijklmnopqrstuvwxyz0123456789.-_",
    b" '\"\\$`!*?[]{}()<>|&;#~=%,:@^+",
    b"\n\t\r\x01\x1b\x7f",
    "äß→日本語\U0001f600".encode(),
    bytes(set(range(1, 256)) - {0x2F}),
)
NAME_LENGTHS = (1, 2, 5, 8, 20, 60, 99, 100, 101, 155, 200, 255)
SIZES = (0, 0, 1, 10, 511, 512, 513, 4096, 70_000)
LINK_LENGTHS = (1, 3, 40, 99, 100, 101, 255, 256, 1000, 4095)
MAX_PATH_BELOW = 3600
"""Bytes of a path below its top, so that the folder it is made in still fits in PATH_MAX."""


@dataclass(frozen=True)
class Node:
    """Something in a tree; `path` is relative and has no slash at its end."""

    path: bytes
    kind: str
    data: bytes = b""
    executable: bool = False
    link: bytes = b""


def random_tree(seed: int, count: int = 60, lengths: tuple[int, ...] = NAME_LENGTHS) -> list[Node]:
    """About `count` nodes, each folder before what is in it; names are as long as one of `lengths`."""
    dice = random.Random(seed)
    folders, nodes, taken = [b""], [], set()
    for _ in range(count):
        # Mostly the newest folder, so that trees are deep.
        folder = folders[-1] if dice.random() < 0.6 else dice.choice(folders)
        name = _name(dice, dice.choice(lengths))
        path = folder + b"/" + name if folder else name
        if path in taken or len(path) > MAX_PATH_BELOW:
            continue
        taken.add(path)
        node = _node(dice, path)
        nodes.append(node)
        if node.kind == "directory":
            folders.append(path)
    return nodes


def write_tree(nodes: list[Node], top: str) -> None:
    """Make the tree below `top`, which is made too; with modes of every kind, since ours must not follow them."""
    os.mkdir(top)
    for number, node in enumerate(nodes):
        path = os.fsencode(top) + b"/" + node.path
        if node.kind == "directory":
            os.mkdir(path)
        elif node.kind == "link":
            os.symlink(node.link, path)
        else:
            with open(path, "xb") as file:
                file.write(node.data)
            os.chmod(path, (0o744, 0o555, 0o711)[number % 3] if node.executable else (0o600, 0o444, 0o664)[number % 3])


def _name(dice: random.Random, length: int) -> bytes:
    alphabet = dice.choice(ALPHABETS)
    name = bytes(dice.choice(alphabet) for _ in range(length))
    return name if name not in (b".", b"..") else b"dot"


def _node(dice: random.Random, path: bytes) -> Node:
    draw = dice.random()
    if draw < 0.35:
        return Node(path, "directory")
    if draw < 0.55:
        alphabet = dice.choice(ALPHABETS) + b"/"
        return Node(path, "link", link=bytes(dice.choice(alphabet) for _ in range(dice.choice(LINK_LENGTHS))))
    return Node(path, "file", data=dice.randbytes(dice.choice(SIZES)), executable=dice.random() < 0.4)
