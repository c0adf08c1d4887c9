"""Being let in: what a 401 asks for, and the Authorization header that answers it.

Basic: the credentials themselves. Bearer: a token for a scope (`repository:library/alpine:pull`), fetched from the server
that the challenge names, with the credentials or anonymously (distribution spec, "Authentication": its token protocol, and
OAuth 2 with a refresh token where the credential is an identity token).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.registry.credentials import Credential
from dockertools_py.registry.remote import origin

MAX_TOKEN_ANSWER = 1 << 20
CLIENT_ID = "dockertools-py"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*,?\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}(?:[/:]+{_TOKEN})*=*))')
_SCHEME = re.compile(rf"\s*,?\s*({_TOKEN})(?=\s|,|$)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in: scheme in lower case, parameters by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Of all WWW-Authenticate headers, of which each may hold several (RFC 9110, 11.6.1). What is not one is left out."""
    found: list[Challenge] = []
    for header in headers:
        rest = header[:8192]
        while match := _SCHEME.match(rest):
            rest = rest[match.end() :]
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(rest):
                name, quoted, plain = parameter.groups()
                parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                rest = rest[parameter.end() :]
            found.append(Challenge(match[1].lower(), parameters))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What to ask a token server: a GET, or with `body` a POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


def token_request(
    challenge: Challenge, scopes: Sequence[str], credential: Credential | None, *, secure: bool
) -> TokenRequest:
    """How to get the token that a Bearer challenge wants, for all `scopes`. `secure`: only from an https server.

    Raises DockertoolsError for a challenge that names no server, or one that could be listened to.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        scheme = origin(realm)[0]
    except DockertoolsError:
        raise DockertoolsError(f"the registry names no server for tokens, but {shown(realm)!r}") from None
    if secure and scheme != "https":
        raise DockertoolsError(f"the registry wants a token from {shown(realm)}, without TLS: refused")
    service = challenge.parameters.get("service", "")
    named = {"service": service} if service else {}
    if credential and credential.is_token:
        secret = {"refresh_token": credential.password, "grant_type": "refresh_token", "client_id": CLIENT_ID}
        form = named | {"scope": " ".join(scopes)} | secret
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return TokenRequest(realm, headers, urlencode(form).encode())
    url = realm + ("&" if "?" in realm else "?") + urlencode(named | {"scope": list(scopes)}, doseq=True)
    return TokenRequest(url, {"Authorization": credential.basic()} if credential else {})


def read_token(body: bytes, what: str) -> str:
    """The token in a token server's answer. Raises DockertoolsError, which never quotes the answer."""
    try:
        answer = canonical_json.decode_object(body, what)
    except DockertoolsError:
        answer = {}
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise DockertoolsError(f"{what}: its answer has no token")
    return token
