"""Thousands of short processes, some of which are killed in the middle of whatever they do; runs as a script in a tree.

    python3 stress.py SEED COUNT AT_ONCE

Prints "done" when all have ended and the calls of those that lived came out right.
"""

import os
import random
import signal
import sys
import threading
import time

CHOWNED = 12


def work(r: random.Random, name: str) -> None:
    """What one of them does, until it is killed: calls of all kinds, threads, children with fork and vfork, other ids."""
    while True:
        match r.randrange(9):
            case 0:
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
                os.chown(name, CHOWNED, 1)
                assert os.stat(name).st_uid == CHOWNED
            case 1:
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
                os.chmod(name, 0o4755)  # a signal to us, and a stop of ptrace
                assert os.stat(name).st_mode & 0o7777 == 0o4755
            case 2:
                if not (pid := os.fork()):
                    os.setuid(r.randrange(1, 9))
                    os._exit(0 if os.getuid() else 1)
                assert os.waitpid(pid, 0)[1] == 0
            case 3:
                os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)  # vfork
            case 4:
                threads = [threading.Thread(target=os.lstat, args=("/",)) for _ in range(2)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            case 5:
                if not os.fork():
                    os.setsid()
                    time.sleep(r.random() / 50)  # one that its parent does not wait for
                    os._exit(0)
            case 6:
                os.mknod(f"{name}.c", 0o20644, os.makedev(1, 3))
                os.unlink(f"{name}.c")
            case 7:
                os.kill(os.getpid(), signal.SIGSTOP) if r.random() < 0.3 else os.getgroups()
            case 8:
                if r.random() < 0.5:
                    os.execv("/bin/true", ["true"])
                os._exit(0)


def start(r: random.Random, number: int) -> int:
    seed = r.random()
    pid = os.fork()
    if pid:
        return pid
    try:
        work(random.Random(seed), f"f{number}")
    except BaseException as error:
        print(f"{number}: {error!r}", flush=True)
    os._exit(9)


def main(seed: int, count: int, at_once: int) -> None:
    r = random.Random(seed)
    os.makedirs("/w")
    os.chdir("/w")
    living: dict[int, int] = {}
    started = 0
    while started < count or living:
        while started < count and len(living) < at_once:
            living[start(r, started)] = started
            started += 1
        time.sleep(r.random() / 500)
        for victim in r.sample(sorted(living), min(len(living), 2)):
            os.kill(victim, r.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGCONT)))
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            living.pop(pid, None)
            code = os.waitstatus_to_exitcode(status)
            assert code in (0, -signal.SIGKILL, -signal.SIGTERM), code
    print("done", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
