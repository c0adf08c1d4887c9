"""The builder of a derivation: a tree of everything that a store path may hold and that a tar writer may get wrong."""

import os

out = os.fsencode(os.environ["out"])
NAMES = [
    *(
        b"plain",
        b"with space",
        b" leading",
        b"trailing ",
        b"-dash",
        b"--option",
        b"quote'\"",
        b"back\\slash",
        b"*?[]{}$`",
    ),
    *(
        b"new\nline",
        b"tab\t",
        b"\x01\x1b[31m",
        b"\xff\xfe",
        b"latin-\xe9",
        "ünïcödé €".encode(),
        "e\u0301".encode(),
        b"a=b",
    ),
    *(
        b"...",
        b"..x",
        b".hidden",
        b"~",
        b"#",
        b"100%",
        b"colon:",
        b"@PaxHeader",
        b".wh",
        b"n" * 99,
        b"n" * 100,
        b"n" * 101,
    ),
    *(b"n" * 254, b"\xff" * 255, "€".encode() * 85),
]
os.mkdir(out)
for number, name in enumerate(NAMES):
    with open(out + b"/" + name, "wb") as file:
        file.write(b"%d" % number * number)
os.mkdir(out + b"/empty directory")
with open(out + b"/empty file", "wb"):
    pass
with open(out + b"/program", "wb") as file:
    file.write(b"#!/bin/sh\n")
os.chmod(out + b"/program", 0o755)
# Sizes about those of a block and of a buffer
os.mkdir(out + b"/sizes")
for size in (1, 511, 512, 513, 1024, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20):
    with open(out + b"/sizes/%d" % size, "wb") as file:
        file.write(b"x" * size)
os.mkdir(out + b"/links")
for length in (1, 99, 100, 101, 255, 256, 1000, 4094, 4095):
    os.symlink((b"../" * 2000)[:length].rstrip(b"/").ljust(length, b"x"), out + b"/links/%d" % length)
os.symlink(b"\xff\n'", out + b"/links/odd")
os.symlink(b"nowhere", out + b"/links/dangling")
os.symlink(b".", out + b"/links/circle")
# Whole names of about 100, 155 and 255 bytes and far beyond
os.chdir(out)
for depth in range(1, 30):
    folder = b"d%0*d" % (depth * 5, depth)
    os.mkdir(folder)
    os.chdir(folder)
    with open(b"f", "wb") as file:
        file.write(b"%d" % depth)
