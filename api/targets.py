"""Where webhooks may go: checked when one is set up, and again for every connection, on the very address it is made to.

A server that calls addresses which its users type could be made to call what only it can reach: its own machine, the
cameras, a cloud's metadata. So a name is resolved once, every address it has is checked, and the connection is made to
the checked address, not to the name, which may have moved by then.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, Self
from urllib.parse import urlsplit

from api.errors import DeskError, InvalidError

ALLOW = "GATEWATCH_WEBHOOK_ALLOW"
"""Environment variable: networks beside the public internet that webhooks may go to, separated by commas."""
MAX_URL = 2000
RESOLVE_S = 5.0

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a host name; raises OSError where it has none."""

_NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/128", "fe80::/10", "ff00::/8",
        "fd00:ec2::/32",
    )
)  # fmt: skip
"""Nothing that takes webhooks lies here: unspecified, link-local (clouds keep credentials there), multicast."""
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")
)
"""Reserved by the registries; Python's tables of what is global differ between its versions."""
_UNICAST6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOW_PORTS = {"https": 443, "http": 80}


class TargetError(DeskError):
    """Messages may not be sent there."""

    code = "target_refused"
    status = 422


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's address, taken apart."""

    url: str
    scheme: Literal["http", "https"]
    host: str
    """A name (ASCII, lower case) or an address without brackets."""
    port: int
    path: str
    """With its query: what the request line says."""

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _LOW_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Takes the address apart. Raises InvalidError for what is no address of a webhook, whoever may be called."""
    if len(url) > MAX_URL or not url.isascii() or re.search(r"[\x00-\x20\x7f\\<>\"{}^`|]", url):
        raise InvalidError(
            f"url: expected at most {MAX_URL} characters of ASCII without spaces (percent-encode others; names of "
            "hosts as xn--)."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidError("url: expected https://host[:port]/path with a port of 1 to 65535.") from None
    scheme: Literal["http", "https"]
    match parts.scheme:
        case "https":
            scheme = "https"
        case "http":
            scheme = "http"
        case other:
            raise InvalidError(f"url: expected https://, found {other[:20] or 'no scheme'}.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InvalidError("url: expected no user name or password; messages are signed instead.")
    if "#" in url:
        raise InvalidError("url: expected no #fragment.")
    host = _host(parts.hostname or "", bracketed="[" in parts.netloc)
    port = _LOW_PORTS[scheme] if port is None else port
    if port != _LOW_PORTS[scheme] and port < 1024:
        raise InvalidError(f"url: expected port {_LOW_PORTS[scheme]} or one of 1024 to 65535, found {port}.")
    return Target(url, scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise InvalidError("url: expected an IPv6 address in the brackets.") from None
        if address.scope_id is not None:
            raise InvalidError("url: expected an IPv6 address without a zone.")
        return str(address)
    if not _HOST.fullmatch(host):
        raise InvalidError("url: expected the name or the address of a host.")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to some programs; only the usual spelling is taken.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise InvalidError("url: expected an IPv4 address as four decimal numbers.") from None
    return host


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator lets webhooks reach beside the public internet."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """`10.1.0.0/16,fd12::/48`. Raises DeskError."""
        networks = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(ip_network(part))
            except ValueError:
                raise DeskError(f"{ALLOW}: expected networks such as 10.1.0.0/16, found {part[:60]}.") from None
        return cls(tuple(networks))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Raises DeskError."""
        return cls.parse((os.environ if environment is None else environment).get(ALLOW, ""))

    def permits(self, address: Address) -> bool:
        """Whether the operator named a network that holds it."""
        return any(address.version == network.version and address in network for network in self.allowed)

    def check(self, target: Target, addresses: Iterable[str]) -> tuple[str, ...]:
        """The addresses, where webhooks may go to each of them. Raises TargetError."""
        checked = tuple(dict.fromkeys(addresses))
        if not checked:
            raise TargetError(f"{target.host}: has no address.")
        for text in checked:
            self._check(target, text)
        return checked

    def _check(self, target: Target, text: str) -> None:
        try:
            address = ip_address(text)
        except ValueError:
            raise TargetError(f"{target.host}: expected an address without a zone, found {text[:60]}.") from None
        for one in (address, *_inside(address)):
            if any(one.version == network.version and one in network for network in _NEVER):
                raise TargetError(f"{target.host}: lies where no webhook may go (link-local, multicast or none).")
            if self.permits(one):
                continue
            if not _is_public(one):
                raise TargetError(
                    f"{target.host}: is not on the public internet, and the operator has not allowed its network."
                )
            if target.scheme == "http":
                raise TargetError(
                    f"{target.host}: expected https://; without encryption messages go to allowed networks only."
                )


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST6:
        return False
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for, by whatever way of going over."""
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    # ::1 is the machine itself, not a spelling of 0.0.0.1.
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)


def system_resolver(host: str, port: int) -> Sequence[str]:
    """What the machine's resolver says; addresses stand for themselves."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def resolve(resolver: Resolver, target: Target, reach: Reach) -> tuple[str, ...]:
    """The addresses to connect to, all checked. Raises TargetError; OSError where the name cannot be resolved."""
    try:
        return reach.check(target, resolver(target.host, target.port))
    except UnicodeError:
        raise TargetError(f"{target.host}: is no name of a host.") from None


def check_target(url: str, reach: Reach, resolver: Resolver = system_resolver) -> Target:
    """For a webhook that is set up: its address, resolved and checked. Raises InvalidError or TargetError."""
    target = parse_target(url)
    # A resolver has no time-out of its own that could be relied on.
    pool = ThreadPoolExecutor(1, thread_name_prefix="resolve")
    try:
        pool.submit(resolve, resolver, target, reach).result(RESOLVE_S)
    except FutureTimeoutError:
        raise TargetError(f"{target.host}: its address was not found within {RESOLVE_S:.0f} s.") from None
    except OSError:
        raise TargetError(f"{target.host}: its address cannot be found.") from None
    finally:
        pool.shutdown(wait=False)
    return target
