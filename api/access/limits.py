"""How much anybody may ask for: token buckets in memory, one for each caller."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from api.access.principal import Principal
from api.errors import DeskError, TooManyRequestsError

_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in the long run, and `burst` at once."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may do. The defaults leave room for a busy page and a diligent program."""

    requests: Rate = Rate(50.0, 200)
    """Of one user or token."""
    strangers: Rate = Rate(50.0, 200)
    """Of one address: requests without a valid credential."""
    logins: Rate = Rate(10 / 60, 10)
    """Of one address: passwords that are wrong."""


UNLIMITED = Limits(Rate(math.inf, 1), Rate(math.inf, 1), Rate(math.inf, 1))


class Buckets:
    """Thread-safe. `clock`: seconds that only grow."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Raises TooManyRequestsError, which says when to come again."""
        if math.isinf(self._rate.per_s):
            return
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(caller, (float(self._rate.burst), now))
            left = min(left + (now - since) * self._rate.per_s, float(self._rate.burst))
            enough = left >= 1.0
            self._left[caller] = (left - 1.0 if enough else left, now)
            if len(self._left) > _MOST_CALLERS:
                self._left.popitem(last=False)  # Whoever has been quiet longest has a full bucket by now.
        if not enough:
            wait_s = max(1, math.ceil((1.0 - left) / self._rate.per_s))
            raise TooManyRequestsError(
                f"Too many requests in too short a time: come again in {wait_s} s.", {"retry_after_s": wait_s}
            )

    def give_back(self, caller: str) -> None:
        """Undoes one `take`."""
        with self._lock:
            if caller in self._left:
                left, since = self._left[caller]
                self._left[caller] = (min(left + 1.0, float(self._rate.burst)), since)

    @contextmanager
    def counting(self, code: str, caller: str) -> Iterator[None]:
        """Takes one for what is tried in the block, and gives it back unless that fails with a DeskError of this code:
        what was tried at the same time counts until it is known how it ends. Raises TooManyRequestsError."""
        self.take(caller)
        try:
            yield
        except DeskError as error:
            if error.code != code:
                self.give_back(caller)
            raise
        self.give_back(caller)


class Limiter:
    def __init__(self, limits: Limits) -> None:
        self.requests = Buckets(limits.requests)
        self.strangers = Buckets(limits.strangers)
        self.logins = Buckets(limits.logins)


def caller_of(principal: Principal) -> str:
    return f"{principal.user}/{principal.token_id or ''}"


def address_of(connection: HTTPConnection) -> str:
    """The client's address; of IPv6 the network, out of which one machine has any number of addresses."""
    return network_of(connection.client.host if connection.client else "")


def network_of(host: str) -> str:
    """What counts as one address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:  # On a socket for both, all of IPv4 would share one network.
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
