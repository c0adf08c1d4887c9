"""Requests to registries, with all that is between asking and being answered: being let in, redirects, second tries.

Pulling and pushing are built on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.registry.auth import MAX_TOKEN_ANSWER, Challenge, parse_challenges, read_token, token_request
from dockertools_py.registry.backoff import Backoff
from dockertools_py.registry.credentials import Credential, Credentials
from dockertools_py.registry.remote import Endpoint, joined, origin
from dockertools_py.registry.transport import Body, Response, Transient, Transport, Unreachable

MAX_REDIRECTS = 5
MAX_ERROR_BODY = 64 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_READING = frozenset({"GET", "HEAD"})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class NotThere(DockertoolsError):
    """A 404: no such tag, manifest, blob or repository."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs to be let in for: some actions on a repository of the registry at an endpoint."""

    endpoint: Endpoint
    registry: str
    """By the name that credentials are filed under."""
    repository: str
    actions: str = "pull"
    reads: tuple[str, ...] = ()
    """Further repositories to read from, as a mount does."""

    def scopes(self) -> tuple[str, ...]:
        """In the words of the token protocol."""
        return f"repository:{self.repository}:{self.actions}", *(f"repository:{name}:pull" for name in self.reads)


class Session:
    """Knows who is let in where. Several threads may use it: at worst each of them asks for a token."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        backoff: Backoff,
        *,
        insecure: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._transport, self._credentials, self._backoff = transport, credentials, backoff
        self.insecure, self._say = insecure, say
        self._authorizations: dict[Access, str] = {}
        self._reached: dict[Endpoint, Endpoint] = {}

    def open(self, method: str, url: str, access: Access, headers: Mapping[str, str], body: Body = None) -> Response:
        """The answer, whatever its status but 401. Raises Transient, or DockertoolsError when nobody lets us in.

        Where `url` is elsewhere than the registry, as an upload may be, it is asked without credentials.
        """
        is_fresh, is_registry = False, origin(url) == origin(self.reached(access.endpoint).url(""))
        if origin(self.reached(access.endpoint).url(""))[0] == "https":
            self._check_secure(url, access.registry)
        while True:
            authorization = self._authorizations.get(access) if is_registry else None
            own = {**headers, "Authorization": authorization} if authorization else dict(headers)
            response = self._follow(method, url, own, body)
            if response.status != 401 or not is_registry or origin(response.url) != origin(url):
                return response
            with response:
                challenges = parse_challenges(response.headers.get_all("WWW-Authenticate") or ())
                said = _said(response)
            credential = self._credential(access)
            answer = None if is_fresh else self._answer(challenges, access, credential)
            if answer is None or answer == authorization:
                raise self._not_let_in(access, credential, said)
            self._authorizations[access] = answer
            is_fresh = True  # one that was kept may have been too old, but not this one

    def retrying(self, attempt: Callable[[], T], what: str) -> T:
        """The result of `attempt`, made again as long as it raises Transient. Raises DockertoolsError in the end."""
        failures = 0
        while True:
            try:
                return attempt()
            except Transient as error:
                failures += 1
                self.pause(error, failures, what)

    def pause(self, error: Transient, failures: int, what: str) -> None:
        """Wait after a failure. Raises DockertoolsError when it is time to give up."""
        seconds = self._backoff.down(failures) if error.is_down else self._backoff.pause(failures, error.retry_after)
        if seconds is None:
            wants = f", and wants {error.retry_after:.0f} s of rest" if error.retry_after else ""
            times = f"{failures} times" if failures > 1 else "once"
            raise Unreachable(f"{what}: {error}{wants}; tried {times}") from error
        if not error.is_down:
            self._say(f"{what}: {error}; again in {seconds:.1f} s")
        self._backoff.sleep(seconds)

    def reached(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint; where its certificate does not matter, without TLS if it speaks none."""
        if not self.insecure or endpoint.scheme == "http":
            return endpoint
        if endpoint not in self._reached:
            plain = Endpoint("http", endpoint.host, endpoint.prefix)
            self._reached[endpoint] = endpoint if self._speaks(endpoint) else plain
        return self._reached[endpoint]

    def _speaks(self, endpoint: Endpoint) -> bool:
        """Whether anybody answers at an endpoint, in its scheme."""
        try:
            self._transport.request("GET", endpoint.url(""), {}).close()
        except (Transient, DockertoolsError):
            return False
        return True

    def problem(self, response: Response, what: str, missing: str) -> Exception:
        """A status that is no success as an error to raise: Transient where another try may help."""
        status, said = response.status, _said(response)
        if status in _TRY_AGAIN:
            return Transient(
                f"answers {status}{said}", self._backoff.retry_after(response.headers.get("Retry-After", ""))
            )
        where = origin(response.url)[1]
        if status == 404:
            return NotThere(f"{what}: {missing} (404 of {where}{said})")
        if status in (401, 403):
            return DockertoolsError(f"{what}: not allowed ({status} of {where}{said})")
        return DockertoolsError(f"{what}: {where} answers {status}{said}")

    def _follow(
        self, method: str, url: str, headers: dict[str, str], body: Body, *, is_secret: bool = False
    ) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._transport.request(method, url, headers, body)
            target = response.headers.get("Location")
            # With 301 to 303 a body is left out by some and sent by others; a secret is for the one that it is meant for.
            is_followed = response.status in (_REDIRECTS if body is None and method in _READING else _SAME_METHOD)
            if not is_followed or not target or is_secret:
                return response
            response.close()
            following = joined(url, target)
            if origin(following) != origin(url):  # what we are is for the registry alone
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            if origin(url)[0] == "https":
                self._check_secure(following, origin(url)[1])
            url = following
        raise DockertoolsError(f"{origin(url)[1]}: more than {MAX_REDIRECTS} redirects")

    def _check_secure(self, following: str, who: str) -> None:
        """Raises DockertoolsError when a host that speaks TLS leads to one that does not."""
        if origin(following)[0] != "https" and not self.insecure:
            # Not the whole of it: what is signed for storage is a secret too.
            raise DockertoolsError(f"{who}: leads to {origin(following)[1]} without TLS: refused")

    def _credential(self, access: Access) -> Credential | None:
        try:
            return self._credentials.find(access.registry, access.repository)
        except DockertoolsError as error:
            raise Unreachable(str(error)) from error

    def _answer(self, challenges: tuple[Challenge, ...], access: Access, credential: Credential | None) -> str | None:
        by_scheme = {challenge.scheme: challenge for challenge in reversed(challenges)}
        if bearer := by_scheme.get("bearer"):
            return self._token(bearer, access, credential)
        if "basic" in by_scheme and credential and not credential.is_token:
            return credential.basic()
        return None

    def _token(self, challenge: Challenge, access: Access, credential: Credential | None) -> str:
        secure = access.endpoint.scheme == "https" and not self.insecure
        request = token_request(challenge, access.scopes(), credential, secure=secure)
        what = f"{origin(request.url)[1]} (tokens for {access.registry})"

        def attempt() -> str:
            method = "GET" if request.body is None else "POST"
            with self._follow(
                method, request.url, dict(request.headers), request.body, is_secret=request.body is not None
            ) as response:
                if response.status in (400, 401, 403):
                    raise self._not_let_in(access, credential, "")
                if response.status != 200:
                    raise self.problem(response, what, "no server for tokens there")
                return read_token(response.read_all(MAX_TOKEN_ANSWER), what)

        return "Bearer " + self.retrying(attempt, what)

    def _not_let_in(self, access: Access, credential: Credential | None, said: str) -> Unreachable:
        if credential:
            why = f"the credentials in {shown(credential.found_in)} are refused"
        else:
            why = "there are no credentials for it"
            if self._credentials.unreadable:
                why += " (" + "; ".join(self._credentials.unreadable) + ")"
            why += ": log in, or name a file that has them in REGISTRY_AUTH_FILE, DOCKER_CONFIG or NETRC"
        return Unreachable(f"{access.registry}/{access.repository}: not let in (401{said}): {why}")


def _said(response: Response) -> str:
    """The registry's own words (distribution spec, "Error Codes"), as far as it has some."""
    try:
        body = response.read_all(MAX_ERROR_BODY)
        first = canonical_json.decode_object(body, "error")["errors"][0]
        text = str(first.get("message") or first.get("code") or "")
    except (Transient, DockertoolsError, LookupError, TypeError, AttributeError):
        return ""
    return f": {shown(text)}" if text else ""
