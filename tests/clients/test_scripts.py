"""Scripts as root on a Debian: its own tools do their work in the build, and containers see what these saw."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.available import ENGINES, engine_parameters
from tests.clients.bases import Bases
from tests.clients.engines.engine import SYSTEM_PATH, Engine
from tests.clients.need import need
from tests.conftest import Nix
from tests.nix.building import Outputs, evaluate

# What is asked in the build at the end of the script, and again in a container.
LOOK = r"""
cd /
find srv home/alice home/bob usr/local/bin var/lib/tool etc/first etc/second | sort | while read -r name; do
  # Links and size of a directory follow the file system.
  if [ -d "$name" ]; then stat -c '%n %A %u:%g %U' "$name"; else stat -c '%n %A %u:%g %U %t,%T %h %s' "$name"; fi
done
getcap /usr/local/bin/*
su -c 'id; echo $HOME; whoami' alice
su -s /bin/sh -c 'test -w /var/lib/tool && id -un' tool
ls /usr/share/man 2>&1 | head -n 1; test ! -e /etc/motd; test -d /usr/share/moved
dpkg -s local-tool | grep Status; dpkg --audit; dpkg --verify local-tool
cat /opt/src/answer
"""

IMAGE = r"""
build {
  name = "scripts-debian"; tag = "1"; compressor = "none";
  fromImage = build { name = "debian"; addTarball = TAR; };
  copyToRoot = writeTextDir "opt/src/mod.py" "ANSWER = 42\n";
  runAsRoot = ''
    groupadd -g 1500 staff2
    useradd -m -u 1500 -g staff2 -s /bin/bash alice
    adduser --disabled-password --gecos "" --uid 1600 bob
    mkdir -p /srv/www/sub; touch /srv/www/a /srv/www/sub/b; chmod 2770 /srv/www/sub
    chown -R alice:staff2 /srv/www
    install -o bob -g bob -m 4750 /bin/true /usr/local/bin/mytrue
    cp /bin/true /usr/local/bin/setid; chmod u+s,g+s /usr/local/bin/setid
    mknod /srv/null c 1 3; mknod /srv/loop b 7 0; mkfifo -m 600 /srv/pipe
    chown 5:6 /srv/null /srv/pipe
    (cd /srv && tar cpf /tmp/all.tar www null loop pipe); mkdir /srv/again; tar xpf /tmp/all.tar -C /srv/again
    cp -a /srv/again /srv/copy
    rm /etc/motd; rm -r /usr/share/man; mv /usr/share/zoneinfo /usr/share/moved
    echo one > /etc/first; ln /etc/first /etc/second
    dpkg --log=/dev/null -i ${DEB}
    cp /bin/sleep /usr/local/bin/capable
    setcap cap_net_bind_service,cap_chown=+ep /usr/local/bin/capable
    ldconfig
    su -c 'touch ~/mine; mkdir -m 700 ~/private; id -u > ~/private/id' alice
    ${python3}/bin/python3 -m compileall -q /opt/src
    cd /opt/src; ${python3}/bin/python3 -c 'import mod; print(mod.ANSWER)' > answer
    cat > /look <<'END'
    LOOK
    END
    bash -eu /look > /looked 2>&1
  '';
}
"""

# No Debian, no base, and no tools of an image but bash and coreutils. And no number that a build user of Nix may have: when a
# build begins, Nix ends whatever its user runs, in containers too.
SERVICE = r"""
build {
  name = "scripts-service"; tag = "1"; compressor = "none";
  contents = [ bash coreutils ];
  runAsRoot = ''
    ${shadowSetup}
    groupadd --gid 1999 app
    useradd --uid 1999 --gid app --create-home --shell /bin/bash app
    install -d -o app -g app -m 750 /var/lib/app
    mkdir -m 1777 /var/tmp
  '';
  config = {
    User = "app"; Env = [ "PATH=/bin" ];
    Cmd = [ "/bin/bash" "-c" "id -un; touch ~/x /var/lib/app/y; cd ~; pwd; stat -c '%a %U:%G %n' /var/lib/app /var/tmp ~/x" ];
  };
}
"""


OTHERS = tuple(name for name in ENGINES if name not in ("docker", "podman"))
with_engine = pytest.mark.parametrize("engine", engine_parameters(without=OTHERS), indirect=True)


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with programs of its own, a configuration file, and a script that makes a user."""
    need("setcap", "getcap", "dpkg-deb")
    top = tmp_path_factory.mktemp("deb") / "local-tool"
    for folder in ("DEBIAN", "usr/sbin", "etc"):
        (top / folder).mkdir(parents=True)
    for program in ("setcap", "getcap"):
        found = shutil.which(program, path=SYSTEM_PATH)
        assert found
        shutil.copy(found, top / "usr/sbin" / program)
    (top / "etc/tool.conf").write_text("configured\n")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    (top / "DEBIAN/control").write_text(
        f"Package: local-tool\nVersion: 1.0\nArchitecture: {architecture}\nMaintainer: nobody <nobody@example.org>\n"
        "Depends: libc6, libcap2\nDescription: a tool\n"
    )
    (top / "DEBIAN/conffiles").write_text("/etc/tool.conf\n")
    (top / "DEBIAN/postinst").write_text(
        "#!/bin/sh\nset -e\nadduser --system --group --no-create-home --home /var/lib/tool tool\n"
        "mkdir -p /var/lib/tool\nchown tool:tool /var/lib/tool\nchmod 2750 /var/lib/tool\n"
    )
    (top / "DEBIAN/postinst").chmod(0o755)
    file = top.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", top, file], check=True, stdout=subprocess.PIPE)
    return file


@pytest.fixture(scope="session")
def built(nix: Nix, deb: Path) -> Outputs:
    look = LOOK.strip().replace("''", "''''").replace("${", "''${").replace("\n", "\n    ")
    image = IMAGE.replace("LOOK", look).replace("TAR", str(Bases().debian())).replace("DEB", str(deb))
    paths = evaluate(nix, {"image": image, "check": f"({image}).scriptCheck", "service": SERVICE})
    nix.run("nix-store", "--realise", "--keep-going", *sorted({path for path, _ in paths.values()}), check=False)
    return Outputs(paths)


def test_they_make_the_same_twice(built: Outputs) -> None:
    assert built["check"].read_text().startswith("two runs made layer ")


@with_engine
def test_a_container_sees_what_the_script_saw(empty_engine: Engine, built: Outputs) -> None:
    [reference] = empty_engine.load(built["image"])
    looked = empty_engine.run(reference, ["/bin/cat", "/looked"])
    assert empty_engine.run(reference, ["/bin/bash", "-eu", "/look"]) == looked
    for line in (
        "srv/copy/loop brw-r--r-- 0:0 root 7,0 1 0",
        "srv/again/null crw-r--r-- 5:6 games 1,3 1 0",
        "srv/www/sub drwxrws--- 1500:1500 alice",
        "usr/local/bin/mytrue -rwsr-x--- 1600:1600 bob",
        "usr/local/bin/setid -rwsr-sr-x 0:0 root",
        "/usr/local/bin/capable cap_chown,cap_net_bind_service=ep",
        "home/alice/private/id -rw-r--r-- 1500:1500 alice",
        "uid=1500(alice) gid=1500(staff2) groups=1500(staff2)\n/home/alice\nalice\ntool\n",
        "etc/first -rw-r--r-- 0:0 root 0,0 2 4\n",
        "Status: install ok installed\n42\n",
    ):
        assert line in looked
    assert "rw-r--r-- 1500:1500 alice 0,0 1 5\n" in looked  # 1500 and a newline: so it knew who it was


@with_engine
def test_a_service_runs_as_the_user_that_was_added(empty_engine: Engine, built: Outputs) -> None:
    [reference] = empty_engine.load(built["service"])
    assert empty_engine.run(reference) == (
        "app\n/home/app\n750 app:app /var/lib/app\n1777 root:root /var/tmp\n644 app:app /home/app/x\n"
    )
