"""How often and after how long a request is made again: twice as long each time, or as long as the server says."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

DOWN_ATTEMPTS = 3
"""In all, where nobody listens and nobody has: a second, rather than a quarter of a minute."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """`attempts` in all, with `first` seconds after the first one; who sleeps and tells the time can be replaced."""

    attempts: int = 5
    first: float = 1.0
    longest: float = 120.0
    """A server that wants to be left alone for longer is not waited for."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time

    def pause(self, failures: int, retry_after: float | None) -> float | None:
        """Seconds to wait after so many failures, or None when it is time to give up."""
        seconds = self.first * 2.0 ** (failures - 1) if retry_after is None else retry_after
        return None if failures >= self.attempts or seconds > self.longest else seconds

    def down(self, failures: int) -> float | None:
        """The same where nobody listens: it may be starting, but is more likely the wrong name."""
        return self.first * 0.2 * failures if failures < DOWN_ATTEMPTS else None

    def retry_after(self, value: str) -> float | None:
        """A Retry-After header in seconds, of a number or a date (RFC 9110, 10.2.3); None where it is neither."""
        text = value.strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self.clock())
        except (ValueError, TypeError, OverflowError):
            return None
