"""Random sequences of file operations, for fileops.c: mostly such as succeed, some that must fail."""

import random

UNCHANGED = 0xFFFFFFFF
UIDS = (0, 0, 1, 33, 1000, 65534, 70000, 4294967294, UNCHANGED)
MODES = (0o644, 0o600, 0o755, 0o4755, 0o2755, 0o6755, 0o2644, 0o1777, 0o4000, 0o444, 0o2750, 0o0, 0o7777)
DIRECTORY_MODES = (0o755, 0o700, 0o2775, 0o1777, 0o2755, 0o755)
NAMES = ("a", "b", "c", "d", "e", "f")
CAPABLE = ("k", "p/k", "q/k")
"""Files that get capabilities. Nobody writes to them, which would take the capability away, and costs too much to see."""
FOLDERS = ("p", "q", "p/r", "q/s")
NO_FOLLOW, EMPTY, EXCHANGE, NO_REPLACE, WHITEOUT = 0x100, 0x1000, 2, 1, 4
CREATE, EXCLUSIVE, WRITE, TRUNCATE = 0o100, 0o200, 1, 0o1000
SEQUENCE = 32
CAPABILITIES = ("0x02000001", "0x02000000", "0x02000001", "0x05000001")


def _path(random_: random.Random) -> str:
    name = random_.choice(NAMES)
    return f"{random_.choice(FOLDERS)}/{name}" if random_.random() < 0.6 else name


def _any(random_: random.Random) -> str:
    return random_.choice(FOLDERS) if random_.random() < 0.15 else _path(random_)


def _owners(random_: random.Random) -> str:
    return f"{random_.choice(UIDS)} {random_.choice(UIDS)}"


def _operation_of_another(r: random.Random) -> str:
    """By one who is not root, on files that root leaves alone: whoever may not open a file is not our business."""
    who, path, mode = r.choice(("1000 1000", "1000 33", "33 33")), f"t/{r.choice(NAMES)}", r.choice(MODES)
    new = f"{CREATE | WRITE | EXCLUSIVE} {mode & 0o777}"  # a write would take set-id bits away, which costs too much to see
    operation = r.choice((
        f"openat {path} {new}",
        f"openat2 {path} {new}",
        f"tmpfile t {path}",
        f"mkdir {path} {r.choice(DIRECTORY_MODES)}",
        f"symlink nowhere {path}",
        f"mknod {path} {r.choice((0o010000, 0o100000, 0o020000)) | mode & 0o6777} 1 {r.randrange(9)}",
        f"lchown {path} {r.choice((33, 1000, UNCHANGED, 0))} {r.choice((33, 1000, UNCHANGED, 7))}",
        f"chmod {path} {mode}",
        f"setcap {path} 0 1 0",
        f"remcap {CAPABLE[0]}",
        f"stat {path}",
    ))  # fmt: skip
    return f"as {who} {operation}"


def _operation(r: random.Random) -> str:
    mode, device = r.choice(MODES), f"{r.randrange(12)} {r.randrange(300)}"
    kind = r.choice((0o020000, 0o060000, 0o010000, 0o100000, 0o140000))
    capability = f"{r.choice(CAPABILITIES)} {r.randrange(4096)} {r.choice((0, 0, 1, 2))}"
    new = f"{CREATE | WRITE | r.choice((0, EXCLUSIVE, TRUNCATE))} {mode & 0o777}"
    capable = r.choice(CAPABLE)
    operations = (
        (1, lambda: f"mknod {capable} {0o100755} 0 0"),
        (1, lambda: f"{r.choice(('chown', 'chmod'))} {capable} {r.choice(MODES)} {r.choice(UIDS)}"),
        (1, lambda: f"rename {capable} {r.choice(CAPABLE)}"),
        (1, lambda: f"link {capable} {r.choice(CAPABLE)}"),
        (3, lambda: f"create {_path(r)} 0 {r.choice((0, EXCLUSIVE))}"),
        (2, lambda: f"openat {_path(r)} {new}"),
        (1, lambda: f"openat2 {_path(r)} {new}"),
        (1, lambda: f"tmpfile . {_path(r)}"),
        (2, lambda: f"{r.choice(('mkdir', 'mkdirat'))} {_any(r)} {r.choice(DIRECTORY_MODES)}"),
        (1, lambda: f"symlink {r.choice((r.choice(NAMES), _path(r), '/etc/passwd', 'nowhere'))} {_path(r)}"),
        (1, lambda: f"symlinkat {r.choice(NAMES)} {_path(r)}"),
        (2, lambda: f"{r.choice(('mknod', 'mknodat'))} {_path(r)} {kind | mode & 0o6777} {device}"),
        (1, lambda: f"mknod {_path(r)} {0o020644} 0 0"),
        (4, lambda: f"{r.choice(('chown', 'lchown', 'fchown', 'fchown-path'))} {_any(r)} {_owners(r)}"),
        (2, lambda: f"fchownat {_any(r)} {_owners(r)} {r.choice((0, NO_FOLLOW, EMPTY, 0x400))}"),
        (4, lambda: f"{r.choice(('chmod', 'fchmod', 'fchmodat'))} {_any(r)} {mode}"),
        (1, lambda: f"fchmodat2 {_any(r)} {mode} {r.choice((0, NO_FOLLOW, 7))}"),
        (3, lambda: f"{r.choice(('setcap', 'lsetcap', 'fsetcap'))} {capable} {capability}"),
        (1, lambda: f"remcap {capable}"),
        (1, lambda: f"getcap {capable} {r.choice((0, 5, 100))}"),
        (1, lambda: f"{r.choice(('lgetcap', 'listxattr'))} {capable} {r.choice((0, 100))}"),
        (2, lambda: f"{r.choice(('link', 'link-opened'))} {_path(r)} {_path(r)}"),
        (3, lambda: f"rename {_any(r)} {_any(r)}"),
        (1, lambda: f"renameat2 {_path(r)} {_path(r)} {r.choice((EXCHANGE, NO_REPLACE, WHITEOUT))}"),
        (2, lambda: f"unlink {_path(r)}"),
        (1, lambda: f"rmdir {_any(r)}"),
        (1, lambda: f"truncate {_path(r)} {r.randrange(9)}"),
        (1, lambda: f"utime {_path(r)} {r.choice((0, NO_FOLLOW))}"),
        (1, lambda: f"umask {r.choice((0o22, 0o77, 0, 0o27))}"),
        (5, lambda: f"stat {_any(r)}"),
    )
    return r.choices([make for _, make in operations], [weight for weight, _ in operations])[0]()


def sequences(count: int, seed: int) -> str:
    """As standard input of fileops; each in a directory of its own."""
    r = random.Random(seed)
    lines = []
    for number in range(count):
        lines.append(f"in {number}")
        lines += [f"mkdir {folder} {0o755}" for folder in FOLDERS]
        lines += [f"mkdir t {0o755}", f"chmod t {r.choice((0o777, 0o2777))}", f"chown t 0 {r.choice((0, 50))}"]
        lines += [_operation_of_another(r) if r.random() < 0.25 else _operation(r) for _ in range(SEQUENCE)]
        # In the end, what all of them look like to a program.
        lines += [f"stat {name}" for name in (*NAMES, *FOLDERS, *(f"t/{name}" for name in NAMES))]
    return "\n".join(lines) + "\n"
