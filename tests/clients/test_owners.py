"""Users, owners, modes and capabilities that no build could have given to a file, as containers see them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.archive import read_images
from tests.clients.available import ENGINES, engine_parameters
from tests.clients.bases import Bases
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import SYSTEM_PATH, Engine
from tests.clients.engines.layout import Layout
from tests.clients.engines.podman import Podman
from tests.clients.foreign import BUSYBOX, root_file_system
from tests.clients.need import need
from tests.conftest import Nix

# On a base that is read from a file, with alice (1000) in it.
IMAGE = """
let base = build {{ name = "base"; addTarball = {tar}; }}; in
build {{
  name = "owners-{salt}"; tag = "1";
  fromImage = base.archive;
  copyToRoot = [ {tools} (writeTextDir "srv/data" "data\\n") ];
  users.app = {{ uid = 1001; extraGroups = [ "logs" "alice" ]; description = "a service"; }};
  groups.logs.gid = 200;
  perms = [
    {{ path = "/var/lib/app"; create = "directory"; mode = "2750"; uname = "app"; gname = "logs"; }}
    {{ path = "/srv"; recursive = true; uname = "alice"; gid = 65533; }}
    {{ glob = "/srv/*"; mode = "0604"; }}
    {{ path = "/opt/setuid"; mode = "6711"; uid = 3000000000; }}
    {{ path = "/opt/absolute"; capabilities = [ "cap_net_raw" "cap_chown=eip" ]; }}
    {{ path = "/etc/passwd"; mode = "0644"; }}
    {{ path = "/tools/head"; capabilities = "cap_dac_override+ep"; }}
  ];
  config = {{ User = "app:logs"; Cmd = [ "/bin/sh" "-c" "id" ]; }};
}}
"""
STAT = "cd / && stat -c '%a %u:%g %n' var/lib/app srv srv/data opt/setuid etc etc/passwd etc/shadow home/app home/alice tmp"
SEEN = """2750 1001:200 var/lib/app
755 1000:65533 srv
604 1000:65533 srv/data
6711 3000000000:0 opt/setuid
711 0:42 etc
644 0:42 etc/passwd
600 0:0 etc/shadow
700 1001:1001 home/app
700 1000:1000 home/alice
1777 0:0 tmp
"""
CAPABILITIES = {
    "/etc/passwd": "cap_chown=eip cap_net_raw+ep",
    "/tools/head": "cap_dac_override=ep",
}

OTHERS = tuple(name for name in ENGINES if name != "docker")
NOT_IMPORTING = tuple(name for name in ENGINES if name not in ("docker", "podman"))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """getcap with what it needs, beside a program of its own for a capability."""
    need("getcap", "ldd", BUSYBOX.name)
    folder = tmp_path_factory.mktemp("tools") / "root"
    (folder / "tools").mkdir(parents=True)
    getcap = shutil.which("getcap", path=SYSTEM_PATH)
    assert getcap
    libraries = re.findall(r"(/\S+) \(0x", subprocess.check_output(["ldd", getcap], text=True))
    assert libraries
    for file in (getcap, *libraries):
        shutil.copy(file, folder / "tools" / Path(file).name)
    shutil.copy(BUSYBOX, folder / "tools/head")
    shutil.copy(BUSYBOX, folder / "tools/stat")
    return folder


def getcap(paths: list[str]) -> list[str]:
    loader = "/tools/ld-linux-x86-64.so.2"
    return [loader, "--library-path", "/tools", "/tools/getcap", *paths]


@pytest.mark.parametrize("engine", engine_parameters(), indirect=True)
def test_a_container_sees_them(empty_engine: Engine, nix: Nix, tools: Path, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(root_file_system())
    salt = re.sub("[^a-z0-9]", "", tmp_path.as_posix().lower())[-40:]
    image = nix.build(IMAGE.format(tar=tmp_path / "root.tar", tools=tools, salt=salt))
    [reference] = empty_engine.load(image)
    assert empty_engine.inspect(reference).diff_ids == read_images(image)[0].diff_ids
    # Whoever starts it has looked app up in our passwd.
    assert empty_engine.run(reference, ["/bin/sh", "-c", "id -u; id -g"]) == "1001\n200\n"
    root = "0:0"
    assert empty_engine.run(reference, ["/bin/sh", "-c", STAT], user=root) == SEEN
    shown = empty_engine.run(reference, getcap(list(CAPABILITIES)), user=root)
    assert dict(line.split(" ", 1) for line in shown.splitlines()) == CAPABILITIES
    if isinstance(empty_engine, Layout):  # whose containers may neither get privileges nor change groups
        return
    assert empty_engine.run(reference, ["/tools/head", "-n", "1", "/etc/shadow"]) == "root:!:::::::\n"
    as_app = "/bin/busybox su app -c 'id; echo $HOME'"
    assert empty_engine.run(reference, ["/bin/sh", "-c", as_app], user=root) == (
        "uid=1001(app) gid=1001(app) groups=200(logs),1000(alice),1001(app)\n/home/app\n"
    )


MERGED = """
let
  base = build {{ name = "base"; tag = "1"; addTarball = {tar}; }};
  app = build {{
    name = "app"; tag = "1"; fromImage = base;
    users.app = {{ uid = 1001; extraGroups = [ "logs" ]; }};
    groups.logs.gid = 200;
    runAsRoot = ''
      mkdir -m 700 /srv; chown app:logs /srv
      /bin/busybox su -s /bin/sh app -c 'id > /srv/who'
    '';
    perms = [ {{ path = "/srv"; mode = "2750"; gname = "alice"; }} ];
  }};
  web = build {{
    name = "web"; tag = "1"; fromImage = base;
    users.web = {{ uid = 1002; extraGroups = [ "logs" "alice" ]; }};
    groups.logs.gid = 200;
    fakeRootCommands = "mkdir -p var/www; chown 1002:1002 var/www";
  }};
in
mergeImages {{ name = "united-{salt}"; tag = "1"; images = [ app web ]; config.User = "web"; }}
"""
UNITED = """uid=1001(app) gid=1001(app) groups=1001(app),200(logs)
uid=1002(web) gid=1002(web) groups=1002(web),1000(alice),200(logs)
uid=1001(app) gid=1001(app) groups=200(logs),1001(app)
2750 app:alice srv
644 app:app srv/who
755 web:web var/www
700 web:web home/web
700 app:app home/app
640 root:42 etc/passwd
/home/web
"""


@pytest.mark.parametrize("engine", engine_parameters(without=NOT_IMPORTING), indirect=True)
def test_users_of_merged_images_with_scripts_and_perms(empty_engine: Engine, nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(root_file_system())
    salt = re.sub("[^a-z0-9]", "", tmp_path.as_posix().lower())[-40:]
    [reference] = empty_engine.load(nix.build(MERGED.format(tar=tmp_path / "root.tar", salt=salt)))
    assert empty_engine.run(reference, ["/bin/sh", "-c", "id -u; id -g"]) == "1002\n1002\n"
    script = """cd /; id app; id web; cat srv/who
      stat -c '%a %U:%G %n' srv srv/who var/www home/web home/app etc/passwd | sed s/UNKNOWN/42/
      /bin/busybox su web -c 'echo $HOME'"""
    script = script.replace("sed", "/bin/busybox sed")
    assert empty_engine.run(reference, ["/bin/sh", "-c", script], user="0:0") == UNITED


@pytest.mark.parametrize("engine", engine_parameters(without=NOT_IMPORTING), indirect=True)
def test_an_imported_tarball_has_them(empty_engine: Engine, nix: Nix, tools: Path) -> None:
    assert isinstance(empty_engine, Docker | Podman)
    tar = nix.build(f"""mkTarball {{
      copyToRoot = {tools}; users.app.uid = 1000;
      perms = [ {{ path = "/tools/head"; uname = "app"; capabilities = "cap_net_raw+ep"; mode = "4700"; }} ];
    }}""")
    empty_engine.namespace.run(empty_engine.client("import", str(tar), "localhost/owners:1"))
    assert empty_engine.run("localhost/owners:1", getcap(["/tools/head"])) == "/tools/head cap_net_raw=ep\n"
    command = ["/tools/stat", "-c", "%a %u:%g", "/home/app", "/tools/head"]
    assert empty_engine.run("localhost/owners:1", command, user="0:0") == "700 1000:1000\n4700 1000:0\n"


@pytest.mark.parametrize("engine", engine_parameters(without=OTHERS), indirect=True)
def test_the_example_runs(empty_engine: Engine, nix: Nix) -> None:
    [reference] = empty_engine.load(nix.build("ours.nonroot"))
    assert empty_engine.run(reference) == (
        "uid=1000(app) gid=1000(app) groups=1000(app)\n"
        "750 app:app /var/lib/app\n644 app:app state\n1777 root:root /tmp\n700 app:app /home/app\n"
    )


@pytest.mark.parametrize("engine", engine_parameters(without=OTHERS), indirect=True)
def test_on_a_debian(empty_engine: Engine, nix: Nix) -> None:
    """Its own tools find nothing wrong, and its su and PAM let root be the new user."""
    tar = Bases().debian()
    image = nix.build(f"""build {{
      name = "owners-debian"; tag = "1";
      fromImage = build {{ name = "debian"; addTarball = {tar}; }};
      users.app = {{ uid = 1000; shell = "/bin/bash"; extraGroups = [ "www-data" "users" ]; }};
      users.www-data = {{ uid = 33; home = "/srv/www"; homeMode = "0755"; }};
      perms = [ {{ path = "/bin/head"; capabilities = "cap_dac_override+ep"; }} ];
      config.User = "app";
    }}""")
    [reference] = empty_engine.load(image)
    assert empty_engine.run(
        reference, ["/bin/sh", "-c", "id -un; id -Gn; head -n 1 /etc/shadow | cut -c 1-5; cd; pwd"]
    ) == ("app\napp www-data users\nroot:\n/home/app\n")
    script = """
      su app -c 'id -un; echo $HOME $SHELL'; getent passwd www-data; stat -c '%a %U:%G' /srv/www /home/app /etc/shadow /bin/head
      pwck -r | grep -E 'app|www-data'; grpck -r; passwd -S app; dpkg --verify coreutils; useradd -m other && id other
    """
    assert empty_engine.run(reference, ["/bin/bash", "-c", script], user="0:0") == (
        "app\n/home/app /bin/bash\n"
        "www-data:x:33:33:www-data:/srv/www:/usr/sbin/nologin\n"
        "755 www-data:www-data\n700 app:app\n640 root:shadow\n755 root:root\n"
        "app L never -1 -1 -1 -1\nuid=1001(other) gid=1001(other) groups=1001(other)\n"
    )
