#!/usr/bin/env python3
"""`useradd` in an image: a script of ours beside a virtual machine that does what nixpkgs' runAsRoot does.

`./dev bench vm [RUNS]`, as root: it installs QEMU, and unpacks Debian's cloud kernel into .cache/vm.

The machine is one that favours the machine: the kernel boots with an initrd of BusyBox and seven modules, and no service. It
makes an ext2 file system (nixpkgs: ext4) on a fresh disk, unpacks the base from a raw disk (nixpkgs: over 9p or virtiofs),
mounts an overlay, with the store of the host (here a disk that was made before, uncounted) over it, runs the script in a
chroot, and writes the tar of the upper directory to a third disk. `boot` is the same machine when it powers off at once. Only
QEMU is counted there, and no nix-build. Ours is the builder of the layer, from its start to its end, which is what an image
with a script has more than one without; and for comparison the whole nix-build.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from measuring import Case, alternate
from scripts import scripted
from verbs import CHECKOUT, nix

KERNEL = CHECKOUT / ".cache/vm/root"
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    "overlay",
)
SCRIPT = "groupadd -g 999 app\nuseradd -u 999 -g app -m app\n"
PATIENCE = 60
DISK, RESULT = 1 << 30, 64 << 20
"""Bytes of the file system (nixpkgs: diskSize 1024) and of the disk for the layer."""
INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /disk /store
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for each in {modules}; do insmod /modules/$each.ko; done
grep -q only-boot /proc/cmdline && poweroff -f
set -e
mke2fs /dev/vda >/dev/null; mount -t ext4 /dev/vda /disk
mount -t ext4 -o ro /dev/vdd /store
cd /disk; mkdir layer upper work mnt
tar -xpf /dev/vdb -C layer
mount -t overlay overlay -o lowerdir=layer,workdir=work,upperdir=upper mnt
mkdir -p mnt/proc mnt/dev mnt/nix/store
mount --rbind /dev mnt/dev; mount --bind /proc mnt/proc; mount --bind /store mnt/nix/store
{accounts}
cp /script mnt/script
PATH={path} chroot mnt {bash} -e /script
rm mnt/script
umount mnt/nix/store; umount mnt/proc; umount -l mnt/dev; umount mnt
tar -cf /dev/vdc -C upper .
cd /; umount /disk
poweroff -f
"""
ACCOUNTS = """mkdir -p {etc}
echo root:x:0:0::/root:/bin/sh > {etc}/passwd; echo root:x:0: > {etc}/group
echo 'root:!x:::::::' > {etc}/shadow; echo 'root:x::' > {etc}/gshadow
"""


def image(arguments: str) -> list[str]:
    """nix-build of an image on the bash image, one that was never built: the shell puts its process id in."""
    made = f"""let ours = import {CHECKOUT} {{ }}; inherit (ours.pkgs) writeTextDir shadow; in ours.dockerTools.build {{
      name = "useradd"; fromImage = ours.bash; copyToRoot = writeTextDir "etc/salt" "PID"; {arguments}
    }}"""
    build = 'exec nix-build --no-out-link -E "$(printf %s "$1" | sed "s/PID/$$-$(date +%N)/")" 2>/dev/null'
    return ["sh", "-c", build, "sh", made]


def layer(folder: Path) -> Case:
    """The builder of the script's layer on the bash image, without Nix."""
    described, shadow = (
        nix("nix-build", "--no-out-link", "-E", f"(import {CHECKOUT} {{ }}).{name}")[0]
        for name in ("bash.description", "pkgs.shadow")
    )
    text = f"{ACCOUNTS.format(etc='/etc')}PATH={shadow}/bin:$PATH\n{SCRIPT}"
    return scripted(folder, "layer with useradd", stack=[described], runAsRoot=text)


def machine(folder: Path, accelerator: str, *words: str) -> list[str]:
    """QEMU, as nixpkgs' vmTools starts it."""
    drives = [
        word
        for name in ("disk", "base", "result", "store")
        for word in ("-drive", f"file={folder / name},if=virtio,format=raw,cache=unsafe")
    ]
    (kernel,) = KERNEL.glob("boot/vmlinuz-*")
    # Without the last word a kernel on a busy host finds, now and then, that its timer does not tick
    append = " ".join(("console=ttyS0 panic=1 loglevel=4 no_timer_check", *words))
    # QEMU 7.2 gives up where the host, a virtual machine itself, has this bit and not the register
    processor = "max,arch-capabilities=off" if accelerator == "kvm" else "max"
    accelerated = ("-accel", accelerator, "-cpu", processor, "-m", "1024", "-no-reboot", "-nic", "none")
    console = ("-nographic", "-monitor", "none")
    booted = ("-kernel", str(kernel), "-initrd", str(folder / "initrd"), "-append", append)
    return ["qemu-system-x86_64", *accelerated, *console, *drives, *booted]


def prepare(folder: Path) -> None:
    """The base as a tar, the store as a disk, and the initrd."""
    packages = [f"(import {CHECKOUT} {{ }}).pkgs.{name}" for name in ("bash", "shadow")]
    bash, shadow = (nix("nix-build", "--no-out-link", "-E", package)[0] for package in packages)
    inside = [path[1:] for path in nix("nix-store", "-qR", bash)]
    subprocess.run(["tar", "-C", "/", "-cf", folder / "base", *inside], check=True)
    store = folder / "store-files"
    store.mkdir()
    paths = nix("nix-store", "-qR", bash, shadow)
    subprocess.run(["cp", "-a", *paths, store], check=True)
    subprocess.run(["mke2fs", "-qF", "-t", "ext4", "-d", store, folder / "store", "512M"], check=True)
    shutil.rmtree(store)
    initrd = folder / "initrd-files"
    (initrd / "bin").mkdir(parents=True)
    (initrd / "modules").mkdir()
    shutil.copy("/bin/busybox", initrd / "bin/busybox")
    for name in MODULES:
        (module,) = KERNEL.glob(f"lib/modules/*/kernel/**/{name}.ko")
        shutil.copy(module, initrd / "modules")
    accounts = ACCOUNTS.format(etc="mnt/etc")
    text = INIT.format(modules=" ".join(MODULES), accounts=accounts, bash=f"{bash}/bin/bash", path=f"{shadow}/bin")
    (initrd / "init").write_text(text)
    (initrd / "init").chmod(0o755)
    (initrd / "script").write_text(SCRIPT)
    packed = "cd $1 && find . | busybox cpio -o -H newc > $2"
    subprocess.run(["sh", "-c", packed, "sh", initrd, folder / "initrd"], check=True, stderr=subprocess.DEVNULL)


def blank(folder: Path) -> None:
    """Disks of which nothing is written."""
    for name, size in (("disk", DISK), ("result", RESULT)):
        (folder / name).unlink(missing_ok=True)
        with (folder / name).open("xb") as file:
            file.truncate(size)


def boots(folder: Path, accelerator: str) -> bool:
    """Whether a machine starts: under some hypervisors there is a /dev/kvm in which it stands still."""
    blank(folder)
    try:
        command = machine(folder, accelerator, "only-boot")
        done = subprocess.run(command, timeout=PATIENCE, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        print(f"{accelerator}: here is none that starts within {PATIENCE} s")
        return False
    if done.returncode:
        print(f"{accelerator}: {done.stderr.decode(errors='replace').strip()}")
    return not done.returncode


def check(folder: Path) -> None:
    """That the machine really made a user."""
    with tarfile.open(folder / "result", "r:") as layer:
        passwd = layer.extractfile("./etc/passwd")
        assert passwd and b"app:x:999:999:" in passwd.read()


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="dockertools-py-bench.") as scratch:
        folder = Path(scratch)
        prepare(folder)
        accelerators = ["kvm", "tcg"] if boots(folder, "kvm") else ["tcg"]
        ours = layer(folder)
        script = f"''${{ours.dockerTools.shadowSetup}}\nPATH=${{shadow}}/bin:$PATH\n{SCRIPT}''"
        cases = [ours, Case("nix-build, useradd", image(f"runAsRoot = {script};"))]
        for accelerator in accelerators:
            for name, *words in (("boot", "only-boot"), ("useradd",)):
                command = machine(folder, accelerator, *words)
                cases.append(Case(f"{accelerator}, {name}", command, before=lambda: blank(folder)))
        for case in cases:
            alternate([case], 1)
            if case.name.endswith(", useradd") and not case.name.startswith("nix"):
                check(folder)
            case.costs.clear()
        alternate(cases, runs)
    seconds = {case.name: case.median("wall") for case in cases}
    for case in cases:
        print(f"{case.name:22} {case.median('wall'):8.3f} s wall {case.median('cpu'):8.3f} s CPU")
    added, whole = seconds[ours.name], seconds["nix-build, useradd"]
    for accelerator in accelerators:
        for name in ("boot", "useradd"):
            theirs = seconds[f"{accelerator}, {name}"]
            ratios = f"1/{theirs / added:.0f} of its time is the layer's, 1/{theirs / whole:.1f} the whole nix-build's"
            print(f"{accelerator}, {name}: {ratios}")


if __name__ == "__main__":
    main()
