"""What networks and servers do: dropped connections, full servers, wrong bytes, other hosts. No test sleeps."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.registry.backoff import Backoff
from dockertools_py.registry.transport import Proxies, Transient, Transport
from tests.oracle.image import INDEX, MANIFEST, encode
from tests.registry.images import AMD64, ARM64, digest, image, several_platforms
from tests.registry.pulling import Client, client
from tests.registry.served import (
    Fault,
    Handler,
    Rules,
    chunked,
    dropped_after,
    redirected,
    replaced,
    served,
    status,
    without_an_answer,
)

SIZE = 3 << 20


@pytest.fixture
def app(rules: Rules, host: str) -> Client:
    """A client of an image that is there."""
    rules.content.publish(image(size=SIZE), "1")
    return client(f"http://{host}/team/app:1")


@pytest.fixture
def blob(rules: Rules) -> dict[str, object]:
    """Its largest layer, whose bytes are `rules.content.blobs[blob["digest"]]`."""
    return dict(rules.content.manifest("1")["layers"][0])


def fetched(app: Client, rules: Rules, blob: dict[str, object]) -> int:
    """Pulls the blob; how often it was asked for."""
    before = len(rules.requests)
    assert app.blob(blob) == rules.content.blobs[str(blob["digest"])]
    return len(rules.requests) - before


def test_a_dropped_connection_is_taken_up_where_it_ended(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", dropped_after(1000), dropped_after(0), dropped_after(70_000))
    assert fetched(app, rules, blob) == 4
    assert [r.headers.get("Range") for r in rules.requests] == [None, "bytes=1000-", "bytes=1000-", "bytes=71000-"]
    assert app.slept == [1, 2, 4]
    assert app.said[0].endswith(f"the connection dropped after 1000 of {blob['size']} bytes; again in 1.0 s")


def test_a_server_that_knows_no_ranges_sends_all_again(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.ranges = False
    rules.fail("/blobs/", dropped_after(100_000))
    assert fetched(app, rules, blob) == 2


def test_progress_gives_all_attempts_again(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", *[without_an_answer, without_an_answer, dropped_after(1 << 20)] * 2)
    assert fetched(app, rules, blob) == 7
    assert app.slept == [1, 2, 1, 2, 4, 1]


def test_little_progress_does_not(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", *[dropped_after(10)] * 20)
    with pytest.raises(DockertoolsError, match=r"dropped after 50 of \d+ bytes; tried 5 times$"):
        app.blob(blob)
    assert len(rules.requests) == 5


@pytest.mark.parametrize(
    "fault", [without_an_answer, dropped_after(20), *(status(n) for n in (408, 429, 500, 502, 503, 504))]
)
def test_what_may_pass_is_tried_again(app: Client, rules: Rules, blob: dict[str, object], fault: Fault) -> None:
    rules.fail("/manifests/", fault, fault)
    rules.fail("/blobs/", fault, fault)
    assert app.lock().manifest.digest
    assert fetched(app, rules, blob) == 1
    assert app.slept == [1, 2, 1, 2]


def test_it_ends_some_time(app: Client, rules: Rules) -> None:
    rules.fail("/manifests/", *[status(503)] * 9)
    with pytest.raises(DockertoolsError, match=r"^http://.*/team/app: manifest 1: answers 503; tried 5 times$"):
        app.lock()
    assert app.slept == [1, 2, 4, 8]


def test_a_server_says_how_long_to_wait(app: Client, rules: Rules) -> None:
    date = "Thu, 01 Jan 1970 00:00:30 GMT"
    rules.fail("/manifests/", status(429, Retry_After="7"), status(429, Retry_After="0"), status(503, Retry_After=date))
    app.lock()
    assert app.slept == [7, 0, 30]


def test_who_must_wait_for_hours_is_told(app: Client, rules: Rules) -> None:
    rules.fail("/manifests/", status(429, Retry_After="21600"))
    with pytest.raises(DockertoolsError, match=r": answers 429, and wants 21600 s of rest; tried once$"):
        app.lock()
    assert app.slept == []


def test_retry_after() -> None:
    backoff = Backoff(clock=lambda: 10.0)
    for text, seconds in [
        ("0", 0),
        (" 5 ", 5),
        ("Thu, 01 Jan 1970 00:00:15 GMT", 5),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
    ]:
        assert backoff.retry_after(text) == seconds
    for text in ("", "soon", "-1", "1.5", "1e9", "Thu, 99 Jan"):
        assert backoff.retry_after(text) is None


@pytest.mark.parametrize("number", [400, 405, 410, 418, 501])
def test_what_will_not_pass_is_not_tried_again(app: Client, rules: Rules, number: int) -> None:
    rules.fail("/manifests/", status(number))
    with pytest.raises(DockertoolsError, match=f"manifest 1: 127.0.0.1 answers {number}$"):
        app.lock()
    assert app.slept == []


MISSING = r"no such {} \(404 of 127.0.0.1: it is unknown\)$"


def test_what_is_not_there(rules: Rules, host: str, app: Client, blob: dict[str, object]) -> None:
    with pytest.raises(DockertoolsError, match=r"/team/app: manifest 2: " + MISSING.format("tag or manifest")):
        client(f"http://{host}/team/app:2").lock()
    rules.content.blobs.pop(str(blob["digest"]))
    with pytest.raises(DockertoolsError, match=f"/team/app: blob {blob['digest']}: " + MISSING.format("blob")):
        app.blob(blob)
    rules.fail("/blobs/", status(403))
    with pytest.raises(DockertoolsError, match=r"blob .*: not allowed \(403 of 127.0.0.1\)$"):
        app.blob(blob)


NOWHERE = "127.0.0.1: leads to an address that is no http or https URL"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lambda data: replaced(b"x" * len(data)), "the bytes that came have another digest, sha256:[0-9a-f]{64}"),
        (lambda data: replaced(data + b"x"), r"\d+ bytes, but its descriptor says \d+"),
        (lambda data: replaced(data[:-1]), r"\d+ bytes, but its descriptor says \d+"),
        (lambda _: chunked(b"more"), r"more than the \d+ bytes of its descriptor"),
        (lambda _: status(204), "127.0.0.1 answers 204"),
        (lambda _: redirected("file:///etc/passwd"), NOWHERE),
        (lambda _: redirected("http://[/?signature=secret"), NOWHERE),
        (lambda _: redirected("https://user:secret@/x"), NOWHERE),
        (lambda _: redirected("/x?" + "secret" * 5000), r"127.0.0.1: leads to an address of \d+ bytes, more than 16384"),
    ],
)
def test_wrong_bytes(
    app: Client, rules: Rules, blob: dict[str, object], fault: Callable[[bytes], Fault], why: str
) -> None:
    rules.fail("/blobs/", fault(rules.content.blobs[str(blob["digest"])]))
    with pytest.raises(DockertoolsError, match=f"{why}$") as error:
        app.blob(blob)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)
    assert app.slept == []


def test_a_wrong_range(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", dropped_after(1000), lambda h, d: h.send(206, {"Content-Range": "bytes 0-9/10"}, d[:10]))
    with pytest.raises(DockertoolsError, match=r"asked for its bytes from 1000, got another range$"):
        app.blob(blob)


def test_a_length_that_nobody_told(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", chunked())
    assert fetched(app, rules, blob) == 1


def test_redirects_in_a_circle(app: Client, rules: Rules, blob: dict[str, object]) -> None:
    rules.fail("/blobs/", *[redirected(f"/v2/x/blobs/{blob['digest']}")] * 9)
    with pytest.raises(DockertoolsError, match=r"more than 5 redirects$"):
        app.blob(blob)


def test_mirrors_come_first_and_may_be_wrong(rules: Rules, host: str, app: Client, blob: dict[str, object]) -> None:
    data = rules.content.blobs[str(blob["digest"])]
    good, empty, wrong = Rules(rules.content), Rules(), Rules(rules.content)
    wrong.fail("/blobs/", replaced(b"x" * len(data)))
    with served(good) as a, served(empty) as b, served(wrong) as c:
        name = f"http://{host}/team/app:1"
        assert client(name, mirrors=[f"http://{a}/hub"]).blob(blob) == data
        assert good.requests[0].path.startswith("/hub/v2/team/app/blobs/")
        assert not rules.requests
        assert client(name, mirrors=[f"http://{b}", f"http://{c}"]).blob(blob) == data
        assert len(empty.requests) == len(wrong.requests) == len(rules.requests) == 1
        rules.content.blobs.clear()
        with pytest.raises(DockertoolsError) as error:
            client(name, mirrors=[f"http://{b}"]).blob(blob)
        why = "127.0.0.1:{}: no such blob (404 of 127.0.0.1: it is unknown)"
        ports = (b.rpartition(":")[2], host.rpartition(":")[2])
        both = "; ".join(why.format(port) for port in ports)
        assert str(error.value) == f"http://{host}/team/app: blob {blob['digest']}: {both}"


def test_nobody_there(rules: Rules, blob_of_nobody: dict[str, object]) -> None:
    with served(rules) as gone:
        pass
    nobody = client(f"http://{gone}/team/app")
    with pytest.raises(DockertoolsError, match=rf"{gone}: Connection refused; tried 3 times$"):
        nobody.blob(blob_of_nobody)
    assert (nobody.said, nobody.slept) == ([], [0.2, 0.4])


def test_a_registry_that_goes_meanwhile_may_come_again(rules: Rules, blob_of_nobody: dict[str, object]) -> None:
    with served(rules) as gone:
        app = client(f"http://{gone}/team/app")
        with pytest.raises(DockertoolsError, match="404"):
            app.blob(blob_of_nobody)
    with pytest.raises(DockertoolsError, match=r"; tried 5 times$"):
        app.blob(blob_of_nobody)
    assert len(app.said) == len(app.slept) == 4


@pytest.fixture
def blob_of_nobody() -> dict[str, object]:
    return {"mediaType": "m", "digest": digest(b""), "size": 0}


def test_no_such_host() -> None:
    with pytest.raises(DockertoolsError, match=r"nowhere.invalid:443: (no such host, or no network|.*tried 5 times)$"):
        client("nowhere.invalid/app").lock()


def test_an_empty_blob(app: Client, rules: Rules, blob_of_nobody: dict[str, object]) -> None:
    rules.content.blobs[digest(b"")] = b""
    assert app.blob(blob_of_nobody) == b""


def test_a_server_that_falls_silent(rules: Rules, host: str) -> None:
    end = threading.Event()

    def silent(handler: Handler, data: bytes) -> None:
        handler.send(200, {}, data[:10], length=len(data))
        end.wait(60)
        handler.close_connection = True

    rules.content.publish(image(), "1")
    rules.fail("/manifests/", silent)
    try:
        with Transport(Proxies(), timeout=1).request("GET", f"http://{host}/v2/a/manifests/1", {}) as response:
            assert response.status == 200
            with pytest.raises(Transient, match=r"^the connection dropped \(timed out\)$"):
                response.read_all(1000)
    finally:
        end.set()


def test_a_digest_of_another_algorithm(app: Client, rules: Rules) -> None:
    name = "sha512:" + hashlib.sha512(b"data").hexdigest()
    rules.content.blobs[name] = b"data"
    assert app.blob({"mediaType": "m", "digest": name, "size": 4}) == b"data"
    rules.content.blobs[name] = b"DATA"
    with pytest.raises(DockertoolsError, match=r"have another digest, sha512:[0-9a-f]{128}$"):
        app.blob({"mediaType": "m", "digest": name, "size": 4})


# --- manifests ---------------------------------------------------------------------------------------------------------


def locked(rules: Rules, host: str, manifest: object, media_type: str = MANIFEST) -> str:
    """Why a manifest cannot be locked."""
    data = manifest if isinstance(manifest, bytes) else encode(manifest)
    rules.content.add(data, media_type, "odd")
    with pytest.raises(DockertoolsError) as error:
        client(f"http://{host}/team/app:odd").lock()
    assert "\n" not in str(error.value) and len(str(error.value)) < 700
    return str(error.value).removeprefix(f"http://{host}/team/app")


def test_odd_manifests(rules: Rules, host: str) -> None:
    rules.content.publish(image(), "1")
    good = rules.content.manifest("1")
    assert locked(rules, host, b"<html>").startswith(": manifest odd: not JSON (")
    assert locked(rules, host, b"[]") == ": manifest odd: a JSON object was expected, not list"
    assert locked(rules, host, {}, "text/html") == ": manifest odd: neither a manifest nor an index, but text/html"
    assert "of Docker's schema 1" in locked(rules, host, {"schemaVersion": 1, "fsLayers": []}, "")
    helm = good | {"config": good["config"] | {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}
    assert locked(rules, host, helm).endswith(
        "not an image, but something of type application/vnd.cncf.helm.config.v1+json"
    )
    strange = good | {"layers": [good["layers"][0] | {"mediaType": "application/zip"}] * 2}
    assert locked(rules, host, strange) == ":odd: layer of media type application/zip: not a tar layer that can be read"
    assert "2 diff_ids in its config, but 1 layers" in locked(rules, host, good | {"layers": good["layers"][:1]})
    assert "layers` is not a list" in locked(rules, host, good | {"layers": 7})
    assert "no digest: write sha256" in locked(
        rules, host, good | {"config": good["config"] | {"digest": "sha256:../x"}}
    )
    assert "size is -1" in locked(rules, host, good | {"config": good["config"] | {"size": -1}})
    large = good | {"config": good["config"] | {"size": 1 << 40}}
    assert "a config of 1099511627776 bytes, more than the" in locked(rules, host, large)
    assert (
        locked(rules, host, b"{" + b" " * (4 << 20) + b"}")
        == f": manifest odd: more than the {4 << 20} bytes that are read"
    )
    assert "not JSON (" in locked(rules, host, b"[" * 100_000)


def test_odd_indexes(rules: Rules, host: str) -> None:
    content = rules.content
    amd = content.publish(image(), "1")
    entry = amd | {"platform": AMD64}

    def index(*entries: object) -> dict[str, object]:
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}

    assert locked(rules, host, index(), INDEX) == ":odd: index: nothing for linux/amd64 in it; there is: nothing"
    assert locked(rules, host, index(amd | {"platform": ARM64}), INDEX).endswith("there is: linux/arm64/v8")
    assert "no such tag or manifest" in locked(rules, host, index(entry | {"digest": digest(b"none")}), INDEX)
    assert "but its descriptor says 999" in locked(rules, host, index(entry | {"size": 999}), INDEX)
    assert "more than the 9 bytes" in locked(rules, host, index(entry | {"size": 9}), INDEX)
    content.manifests[amd["digest"]] = (content.manifests[amd["digest"]][0].replace(b"}", b" ", 1), MANIFEST)
    assert "the bytes that came have another digest" in locked(rules, host, index(entry), INDEX)
    # An index in an index in an index …
    nested = content.publish(image("other"), "1") | {"platform": AMD64}
    for _ in range(5):
        nested = content.publish_index(nested, tags=("odd",)) | {"platform": AMD64}
    with pytest.raises(DockertoolsError, match=r"indexes more than 4 deep$"):
        client(f"http://{host}/team/app:odd").lock()


def test_an_index_in_an_index(rules: Rules, host: str) -> None:
    rules.content = several_platforms()
    inner = json.loads(rules.content.manifests["latest"][0])
    amd = next(entry for entry in inner["manifests"] if entry["platform"] == AMD64)
    nested = rules.content.publish_index(amd, tags=())
    rules.content.publish_index(nested | {"platform": AMD64}, tags=("outer",))
    lock = client(f"http://{host}/team/app:outer").lock()
    assert str(lock.manifest.digest) == amd["digest"]
    assert lock.index and str(lock.index.digest) == digest(rules.content.manifests["outer"][0])


def test_a_content_type_is_not_needed(rules: Rules, host: str) -> None:
    rules.content.publish(image(), "1")
    manifest = rules.content.manifest("1")
    del manifest["mediaType"]
    rules.content.add(encode(manifest), "application/json; charset=utf-8", "bare")
    assert client(f"http://{host}/team/app:bare").lock().manifest.media_type == MANIFEST


def test_an_image_for_another_platform(rules: Rules, host: str) -> None:
    rules.content = several_platforms()
    with pytest.raises(DockertoolsError) as error:
        client(f"http://{host}/team/app:arm64").lock()
    name = f"http://{host}/team/app:arm64"
    assert str(error.value) == f"{name}: is for linux/arm64/v8, not for linux/amd64: write --platform linux/arm64/v8"


# --- proxies and certificates ------------------------------------------------------------------------------------------


def test_a_proxy_is_asked(rules: Rules, host: str) -> None:
    rules.content.publish(image(), "1")
    relay = Rules(rules.content)
    with served(relay) as proxy:
        environment = {"http_proxy": f"http://user:letters@{proxy}"}
        client("http://registry.invalid/team/app:1", environment).lock()
        first = relay.requests[0]
        assert first.path == "http://registry.invalid/v2/team/app/manifests/1"
        assert first.headers["Host"] == "registry.invalid"
        assert first.headers["Proxy-Authorization"].startswith("Basic ")
        client(f"http://{host}/team/app:1", environment | {"no_proxy": "127.0.0.1"}).lock()
        assert len(relay.requests) == len(rules.requests)
    with pytest.raises(
        DockertoolsError, match=r"^the proxy of the environment is no http proxy: write http://host:port$"
    ):
        client("http://registry.invalid/a", {"http_proxy": "socks5://u:letters@x:1"}).lock()
    # It is the proxy that does not answer, and not the registry.
    with pytest.raises(DockertoolsError, match=r"registry.invalid:80 by the proxy 127.0.0.1:1: Connection refused; tried"):
        client("http://registry.invalid/a", {"http_proxy": "http://u:letters@127.0.0.1:1"}).lock()


def test_a_proxy_for_tls_sees_nothing(authority: tuple[Path, Path]) -> None:
    ca, pair = authority
    rules, relay = Rules(), Rules()
    rules.content.publish(image(), "1")
    with served(rules, pair) as host, served(relay) as proxy:
        trusted = {"SSL_CERT_FILE": str(ca)}
        lock = client(f"{host}/team/app:1", trusted | {"https_proxy": f"http://user:letters@{proxy}"}).lock()
        assert lock.layers
        assert {(request.method, request.path) for request in relay.requests} == {("CONNECT", host)}
        assert all(request.headers["Proxy-Authorization"].startswith("Basic ") for request in relay.requests)
        assert len(relay.requests) == len(rules.requests) == 2
        # A proxy that wants a password which nobody gave
        relay.basic = ("user", "letters")
        with pytest.raises(DockertoolsError, match=r"Tunnel connection failed: 407 .*; tried 5 times$"):
            client(f"{host}/team/app:1", trusted | {"HTTPS_PROXY": proxy}).lock()


def test_certificates(authority: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca, pair = authority
    rules = Rules()
    rules.content.publish(image(), "1")
    with served(rules, pair) as host:
        name = f"{host}/team/app:1"
        for variable in ("SSL_CERT_FILE", "NIX_SSL_CERT_FILE"):
            assert client(name, {variable: str(ca)}).lock().layers
        assert client(name, tls_verify=False).lock().layers
        untrusted = client(name)
        with pytest.raises(
            DockertoolsError, match=f"{host}: its certificate is not trusted .*: name the file of your own"
        ):
            untrusted.lock()
        assert untrusted.slept == []
        wrong = tmp_path / "ca.pem"
        wrong.write_text("no certificate")
        # The system's before the package set's, of which each machine has the same.
        monkeypatch.setattr("dockertools_py.registry.client.SYSTEM_CA_FILE", str(ca))
        assert client(name, default_ca_file=str(wrong)).lock().layers
        monkeypatch.setattr("dockertools_py.registry.client.SYSTEM_CA_FILE", "/nowhere")
        assert client(name, default_ca_file=str(ca)).lock().layers
        with pytest.raises(DockertoolsError, match=f"certificates in {wrong}: "):
            client(name, {"SSL_CERT_FILE": str(wrong)}).lock()
        assert "127.0.0.1" in host and client(name.replace("127.0.0.1", "localhost"), tls_verify=False).lock()
        with pytest.raises(DockertoolsError, match=r"its certificate is not trusted .*localhost"):
            client(name.replace("127.0.0.1", "localhost"), {"SSL_CERT_FILE": str(ca)}).lock()


def test_plain_http_only_when_asked_for(rules: Rules, host: str, authority: tuple[Path, Path]) -> None:
    ca, pair = authority
    rules.content.publish(image(), "1")
    with pytest.raises(
        DockertoolsError, match=f"{host}: does not speak TLS: for plain http write http:// before the name$"
    ):
        client(f"{host}/team/app:1").lock()
    assert client(f"{host}/team/app:1", tls_verify=False).lock().layers
    secure = Rules(rules.content)
    blob = rules.content.manifest("1")["layers"][0]
    with served(secure, pair) as tls:
        reader = client(f"{tls}/team/app:1", {"SSL_CERT_FILE": str(ca)})
        secure.fail("/blobs/", redirected(f"http://{host}/v2/a/blobs/{blob['digest']}"))
        with pytest.raises(DockertoolsError, match=r"127.0.0.1: leads to 127.0.0.1 without TLS: refused$"):
            reader.blob(blob)
        secure.realm = f"http://{host}/token"
        with pytest.raises(DockertoolsError, match=r"wants a token from http://.*, without TLS: refused$"):
            client(f"{tls}/team/app:1", {"SSL_CERT_FILE": str(ca)}).lock()
