"""Requests to registries, with all that is between asking and being answered: being let in, redirects, second tries.

Pulling is built on it; pushing can be, since methods and bodies are arguments.
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
from dockertools_py.registry.transport import Response, Transient, Transport

MAX_REDIRECTS = 5
MAX_ERROR_BODY = 64 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs to be let in for: some actions on a repository of the registry at an endpoint."""

    endpoint: Endpoint
    registry: str
    """By the name that credentials are filed under."""
    repository: str
    actions: str = "pull"

    def scope(self) -> str:
        """In the words of the token protocol."""
        return f"repository:{self.repository}:{self.actions}"


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

    def open(
        self, method: str, url: str, access: Access, headers: Mapping[str, str], body: bytes | None = None
    ) -> Response:
        """The answer, whatever its status but 401. Raises Transient, or DockertoolsError when nobody lets us in."""
        is_fresh = False
        while True:
            authorization = self._authorizations.get(access)
            own = {**headers, "Authorization": authorization} if authorization else dict(headers)
            response = self._follow(method, url, own, body)
            if response.status != 401 or origin(response.url) != origin(url):
                return response
            with response:
                challenges = parse_challenges(response.headers.get_all("WWW-Authenticate") or ())
                said = _said(response)
            credential = self._credentials.find(access.registry, access.repository)
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
        seconds = self._backoff.pause(failures, error.retry_after)
        if seconds is None:
            wants = f", and wants {error.retry_after:.0f} s of rest" if error.retry_after else ""
            times = f"{failures} times" if failures > 1 else "once"
            raise DockertoolsError(f"{what}: {error}{wants}; tried {times}") from error
        self._say(f"{what}: {error}; again in {seconds:.1f} s")
        self._backoff.sleep(seconds)

    def speaks(self, endpoint: Endpoint) -> bool:
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
            return DockertoolsError(f"{what}: {missing} (404 of {where}{said})")
        if status in (401, 403):
            return DockertoolsError(f"{what}: not allowed ({status} of {where}{said})")
        return DockertoolsError(f"{what}: {where} answers {status}{said}")

    def _follow(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._transport.request(method, url, headers, body)
            target = response.headers.get("Location")
            # A body is sent to the one whom it is meant for, since it may hold a secret.
            if response.status not in _REDIRECTS or not target or body is not None:
                return response
            response.close()
            following = joined(url, target)
            if origin(following) != origin(url):  # what we are is for the registry alone
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            if origin(url)[0] == "https" and origin(following)[0] != "https" and not self.insecure:
                # Not the whole of it: what is signed for storage is a secret too.
                raise DockertoolsError(f"{origin(url)[1]}: leads to {origin(following)[1]} without TLS: refused")
            url = following
        raise DockertoolsError(f"{origin(url)[1]}: more than {MAX_REDIRECTS} redirects")

    def _answer(self, challenges: tuple[Challenge, ...], access: Access, credential: Credential | None) -> str | None:
        by_scheme = {challenge.scheme: challenge for challenge in reversed(challenges)}
        if bearer := by_scheme.get("bearer"):
            return self._token(bearer, access, credential)
        if "basic" in by_scheme and credential and not credential.is_token:
            return credential.basic()
        return None

    def _token(self, challenge: Challenge, access: Access, credential: Credential | None) -> str:
        secure = access.endpoint.scheme == "https" and not self.insecure
        request = token_request(challenge, access.scope(), credential, secure=secure)
        what = f"{origin(request.url)[1]} (tokens for {access.registry})"

        def attempt() -> str:
            method = "GET" if request.body is None else "POST"
            with self._follow(method, request.url, dict(request.headers), request.body) as response:
                if response.status in (400, 401, 403):
                    raise self._not_let_in(access, credential, "")
                if response.status != 200:
                    raise self.problem(response, what, "no server for tokens there")
                return read_token(response.read_all(MAX_TOKEN_ANSWER), what)

        return "Bearer " + self.retrying(attempt, what)

    def _not_let_in(self, access: Access, credential: Credential | None, said: str) -> DockertoolsError:
        if credential:
            why = f"the credentials in {shown(credential.found_in)} are refused"
        else:
            why = "there are no credentials for it"
            if self._credentials.unreadable:
                why += " (" + "; ".join(self._credentials.unreadable) + ")"
            why += ": log in, or name a file that has them in REGISTRY_AUTH_FILE, DOCKER_CONFIG or NETRC"
        return DockertoolsError(f"{access.registry}/{access.repository}: not let in (401{said}): {why}")


def _said(response: Response) -> str:
    """The registry's own words (distribution spec, "Error Codes"), as far as it has some."""
    try:
        body = response.read_all(MAX_ERROR_BODY)
        first = canonical_json.decode_object(body, "error")["errors"][0]
        text = str(first.get("message") or first.get("code") or "")
    except (Transient, DockertoolsError, LookupError, TypeError, AttributeError):
        return ""
    return f": {shown(text)}" if text else ""
