"""Being let in: challenges, tokens, and the files that credentials come from."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.registry.auth import Challenge, parse_challenges, read_token, token_request
from dockertools_py.registry.credentials import Credential, Credentials
from tests.registry.images import Content, image
from tests.registry.pulling import client
from tests.registry.served import Request, Rules, redirected, served

SECRET = "letters"


def auth(user: str, password: str = SECRET) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def auths(**entries: str) -> str:
    return json.dumps({"auths": {host: {"auth": auth(user)} for host, user in entries.items()}})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Basic realm="a, b"'], [Challenge("basic", {"realm": "a, b"})]),
        (
            ['Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"'],
            [Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:a:pull,push"})],
        ),
        (
            ['Negotiate, BEARER Realm = "x\\"y" , service=s', "Basic"],
            [
                Challenge("negotiate", {}),
                Challenge("bearer", {"realm": 'x"y', "service": "s"}),
                Challenge("basic", {}),
            ],
        ),
        (["Bearer realm=https://a/t,service=s"], [Challenge("bearer", {"realm": "https://a/t", "service": "s"})]),
        (["", '"', ",,,", "=", "\0"], []),
    ],
)
def test_challenges(headers: list[str], expected: list[Challenge]) -> None:
    assert list(parse_challenges(headers)) == expected


def test_challenges_of_any_length_take_no_time() -> None:
    for text in ('Bearer a="' + "\\" * 100_000, "a " * 100_000, "Bearer a=b," * 50_000, "x" * 100_000):
        parse_challenges([text])


def test_token_requests() -> None:
    challenge = Challenge("bearer", {"realm": "https://t/x?a=b", "service": "a b"})
    request = token_request(challenge, ["repository:a/b:pull"], None, secure=True)
    assert request.url == "https://t/x?a=b&service=a+b&scope=repository%3Aa%2Fb%3Apull"
    assert request.headers == {} and request.body is None
    assert (
        token_request(challenge, ["s"], Credential("u", "p"), secure=True).headers["Authorization"].startswith("Basic ")
    )
    by_token = token_request(challenge, ["s"], Credential("", "refresh", is_token=True), secure=True)
    assert by_token.body and b"refresh_token=refresh" in by_token.body and "Authorization" not in by_token.headers
    for realm in ("", "t", "ftp://t/", "javascript:1", "https://", "http://["):
        with pytest.raises(DockertoolsError, match=r"^the registry names no server for tokens, but"):
            token_request(Challenge("bearer", {"realm": realm}), ["s"], None, secure=True)
    with pytest.raises(DockertoolsError, match=r"^the registry wants a token from http://t/, without TLS: refused$"):
        token_request(Challenge("bearer", {"realm": "http://t/"}), ["s"], None, secure=True)


def test_answers_of_token_servers() -> None:
    assert read_token(b'{"token":"a"}', "it") == read_token(b'{"access_token":"a"}', "it") == "a"
    for wrong in (b"", b"{}", b'{"token":1}', b'{"token":"a\\nX: y"}', b'["a"]', b'{"token":"\xff'):
        with pytest.raises(DockertoolsError, match=r"^it: its answer has no token$"):
            read_token(wrong, "it")


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(Credential("user", SECRET)) + str(Credential("user", SECRET))


def found(registry: str, repository: str, **environment: object) -> Any:
    credential = Credentials({name: str(value) for name, value in environment.items()}).find(registry, repository)
    return credential and credential.username


def test_files(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(auths(**{"https://index.docker.io/v1/": "hub", "a.org": "home"}))
    assert found("docker.io", "library/alpine", HOME=tmp_path) == "hub"
    assert found("a.org", "x", HOME=tmp_path) == "home"
    assert found("b.org", "x", HOME=tmp_path) is None
    assert found("a.org", "x", DOCKER_AUTH_CONFIG=auths(**{"a.org": "variable"}), HOME=tmp_path) == "variable"

    podman = tmp_path / "auth.json"
    podman.write_text(auths(**{"a.org": "host", "a.org/team": "team", "a.org/team/app": "app"}))
    assert found("a.org", "team/app", REGISTRY_AUTH_FILE=podman) == "app"
    assert found("a.org", "team/application", REGISTRY_AUTH_FILE=podman) == "team"
    assert found("a.org", "teams/app", REGISTRY_AUTH_FILE=podman) == "host"
    assert found("a.org.evil.net", "team/app", REGISTRY_AUTH_FILE=podman) is None
    assert found("a.org:5000", "team/app", REGISTRY_AUTH_FILE=podman) is None

    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine a.org login netrc password {SECRET}\nmachine docker.io login hub2 password x\n")
    assert found("a.org", "x", NETRC=netrc) == "netrc"
    assert found("a.org:5000", "x", NETRC=netrc) == "netrc"
    assert found("docker.io", "x", NETRC=netrc) == "hub2"
    assert found("a.org", "x", NETRC=netrc, DOCKER_CONFIG=tmp_path / ".docker") == "home"
    assert found("a.org", "x", HOME=tmp_path) == "home"
    (tmp_path / ".docker/config.json").unlink()
    assert found("a.org", "x", HOME=tmp_path) == "netrc"
    (tmp_path / "containers").mkdir()
    podman.rename(tmp_path / "containers/auth.json")
    assert found("a.org", "x", XDG_RUNTIME_DIR=tmp_path) == "host"


def test_files_of_podman(tmp_path: Path) -> None:
    """Where it logs in with and without a session of the user's, and where its users keep what outlives one."""
    for folder in ("run/containers", "home/.config/containers", "config/containers"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "auth.json").write_text(auths(**{"a.org": folder.partition("/")[0], f"{folder[0]}.org": "x"}))
    home = {"HOME": str(tmp_path / "home")}
    default = str(tmp_path / "run/containers")
    for environment, host, user in [
        (home, "a.org", "run"),
        (home, "h.org", "x"),
        (home | {"XDG_RUNTIME_DIR": str(tmp_path / "elsewhere")}, "a.org", "home"),
        (home | {"XDG_RUNTIME_DIR": str(tmp_path / "elsewhere")}, "r.org", None),
        (home | {"XDG_CONFIG_HOME": str(tmp_path / "config")}, "c.org", "x"),
        (home | {"XDG_CONFIG_HOME": str(tmp_path / "config")}, "h.org", None),
    ]:
        credential = Credentials(environment, default).find(host, "x")
        assert (credential and credential.username) == user, (environment, host)


def test_identity_tokens_and_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"a.org": {"auth": auth("00"), "identitytoken": "refresh"}}}))
    credential = Credentials({"DOCKER_CONFIG": str(tmp_path)}).find("a.org", "x")
    assert credential and credential.is_token and credential.password == "refresh"

    helper = tmp_path / "docker-credential-tests"
    helper.write_text('#!/bin/sh\nread server\necho "{\\"Username\\":\\"for $server\\",\\"Secret\\":\\"s\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config.write_text(json.dumps({"credHelpers": {"a.org": "tests"}, "auths": {"b.org": {"auth": auth("b")}}}))
    assert found("a.org", "x", DOCKER_CONFIG=tmp_path) == "for a.org"
    assert found("b.org", "x", DOCKER_CONFIG=tmp_path) == "b"
    config.write_text(json.dumps({"credsStore": "tests"}))
    assert found("docker.io", "x", DOCKER_CONFIG=tmp_path) == "for https://index.docker.io/v1/"
    config.write_text(json.dumps({"credsStore": "absent", "auths": {"a.org": {"auth": auth("a")}}}))
    assert found("a.org", "x", DOCKER_CONFIG=tmp_path) == "a"


@pytest.mark.parametrize(
    ("script", "noted"),
    [
        (None, ["docker-credential-tests: No such file or directory"]),
        ("echo SECRET", ["docker-credential-tests answers what is no JSON"]),
        ("exec sleep 100", ["docker-credential-tests does not answer"]),
        ("echo credentials not found in native keychain; exit 1", []),
        ("echo SECRET is locked; exit 1", ["docker-credential-tests fails with exit code 1"]),
    ],
)
def test_helpers_that_do_not_help_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, noted: list[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "tests"}))
    helper = tmp_path / "docker-credential-tests"
    if script:
        helper.write_text(f"#!/bin/sh\n{script}\n")
        helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if script and "sleep" in script:
        monkeypatch.setattr("dockertools_py.registry.credentials.HELPER_TIMEOUT", 0.5)
    credentials = Credentials({"DOCKER_CONFIG": str(tmp_path)})
    assert credentials.find("a.org", "x") is None
    assert credentials.unreadable == noted


@pytest.mark.parametrize("text", ["", "[]", "{", '{"auths":{"a.org":{"auth":"!SECRET!"}}}', "\0"])
def test_damaged_files_are_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(text)
    with pytest.raises(DockertoolsError, match=r"auth.json: ") as error:
        found("a.org", "x", REGISTRY_AUTH_FILE=file)
    assert "SECRET" not in str(error.value)
    file.write_text("machine a.org login a passwort SECRET")
    with pytest.raises(DockertoolsError, match=r"auth.json: not a netrc") as error:
        found("a.org", "x", NETRC=file)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    "value", ["{}", '{"auths":1}', '{"auths":{"a.org":1}}', '{"auths":{"a.org":{}}}', '{"credHelpers":[]}']
)
def test_files_without_what_is_asked_for(value: str) -> None:
    assert found("a.org", "x", DOCKER_AUTH_CONFIG=value) is None


# --- against servers ---------------------------------------------------------------------------------------------------


def private(rules: Rules, host: str) -> str:
    rules.content = Content()
    rules.content.publish(image(), "1")
    return f"http://{host}/team/app:1"


def test_basic(rules: Rules, host: str) -> None:
    name = private(rules, host)
    rules.basic = ("reader", SECRET)
    lock = client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})}).lock()
    assert len(lock.layers) == 2
    asked = len(rules.requests)
    assert asked == 3  # once without, then each with
    for environment, why in (
        (
            {},
            "there are no credentials for it: log in, or name a file that has them in REGISTRY_AUTH_FILE, DOCKER_CONFIG",
        ),
        ({"NETRC": "/nowhere"}, "there are no credentials for it (NETRC names /nowhere, which is not there): log in"),
        ({"DOCKER_AUTH_CONFIG": auths(**{host: "other"})}, "the credentials in DOCKER_AUTH_CONFIG are refused"),
    ):
        with pytest.raises(DockertoolsError) as error:
            client(name, environment).lock()
        assert str(error.value).startswith(f"{host}/team/app: not let in (401): {why}")
        assert SECRET not in str(error.value) and "\n" not in str(error.value)


def test_tokens(rules: Rules, host: str) -> None:
    name = private(rules, host)
    seen: list[Request] = []

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        seen.append(request)
        if request.headers.get("Authorization") == f"Basic {auth('reader')}" or b"refresh_token=fresh" in request.body:
            token = secrets.token_hex()
            rules.tokens.add(token)
            return 200, {}, json.dumps({"token": token, "expires_in": 60}).encode()
        return 401, {}, b""

    with served(Rules(answer=answer)) as tokens:
        rules.realm = f"http://{tokens}/token"
        reader = client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})})
        lock = reader.lock()
        assert seen[0].query == {"service": ["here"], "scope": ["repository:team/app:pull"]}
        assert len(seen) == 1, "one token serves for all"
        rules.tokens.clear()  # it is too old
        assert reader.blob(lock.layers[0].to_json()) == rules.content.blobs[str(lock.layers[0].digest)]
        assert len(seen) == 2
        entry = {"auths": {host: {"identitytoken": "fresh"}}}
        client(name, {"DOCKER_AUTH_CONFIG": json.dumps(entry)}).lock()
        assert seen[-1].method == "POST" and "Authorization" not in seen[-1].headers
        with pytest.raises(DockertoolsError, match=r"not let in .*: there are no credentials for it"):
            client(name).lock()
        with pytest.raises(DockertoolsError, match=r"the credentials in DOCKER_AUTH_CONFIG are refused$"):
            client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "other"})}).lock()


def test_a_token_that_opens_nothing(rules: Rules, host: str) -> None:
    name = private(rules, host)
    asked = []

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        asked.append(request)
        return 200, {}, b'{"token":"for-nothing"}'

    with served(Rules(answer=answer)) as tokens:
        rules.realm = f"http://{tokens}/token"
        with pytest.raises(
            DockertoolsError, match=r"not let in \(401: authentication required\): there are no credentials"
        ):
            client(name).lock()
    assert len(asked) == 1
    assert len(rules.requests) == 2


def test_credentials_never_reach_another_host(rules: Rules, host: str) -> None:
    name = private(rules, host)
    rules.basic = ("reader", SECRET)
    lock = client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})}).lock()
    blob = lock.layers[0].to_json()
    elsewhere = Rules(content=rules.content)
    with served(elsewhere) as storage:
        for number in (301, 302, 303, 307, 308):
            rules.fail("/blobs/", redirected(f"http://{storage}/v2/x/blobs/{blob['digest']}", number))
            reader = client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})})
            assert reader.blob(blob) == rules.content.blobs[blob["digest"]]
        # Nor does a 401 there get an answer.
        elsewhere.basic = ("reader", SECRET)
        rules.fail("/blobs/", redirected(f"http://{storage}/v2/x/blobs/{blob['digest']}"))
        with pytest.raises(DockertoolsError, match=r"blob sha256:.*: not allowed"):
            client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})}).blob(blob)
    assert len(elsewhere.requests) == 6
    assert not [request for request in elsewhere.requests if "Authorization" in request.headers]
    # On one host they stay.
    rules.fail("/blobs/", redirected(f"/v2/moved/blobs/{blob['digest']}"))
    assert client(name, {"DOCKER_AUTH_CONFIG": auths(**{host: "reader"})}).blob(blob)
    assert "Authorization" in rules.requests[-1].headers


def test_a_refresh_token_is_not_redirected(rules: Rules, host: str) -> None:
    name = private(rules, host)
    thief = Rules(answer=lambda _: (200, {}, b'{"token":"x"}'))
    with served(thief) as other, served(Rules(answer=lambda _: (307, {"Location": f"http://{other}/"}, b""))) as tokens:
        rules.realm = f"http://{tokens}/token"
        entry = {"auths": {host: {"identitytoken": "fresh"}}}
        with pytest.raises(DockertoolsError, match=r"answers 307"):
            client(name, {"DOCKER_AUTH_CONFIG": json.dumps(entry)}).lock()
    assert thief.requests == []
