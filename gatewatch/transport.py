"""How the server is reached: plain HTTP on this machine, TLS, or a proxy in front that does the TLS."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatewatch.certificates import LOOK_EVERY_S, Certificate, context_of
from gatewatch.errors import UsageError


@dataclass(frozen=True)
class Transport:
    """Made by `transport_of`, which checks it."""

    cert: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()
    """Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    look_every_s: float = LOOK_EVERY_S
    """How often is looked whether the files have changed."""

    @property
    def scheme(self) -> str:
        return "http" if self.cert is None else "https"

    @property
    def in_the_open(self) -> bool:
        """Whether what is served travels as it is, beyond this machine too."""
        return self.cert is None and not self.proxies

    @contextmanager
    def served(self) -> Iterator[dict[str, Any]]:
        """For `uvicorn.Config`, for as long as the block lasts: a renewed certificate is taken up meanwhile."""
        # uvicorn would believe any program of this machine about where a request comes from.
        options: dict[str, Any] = {
            "server_header": False, "proxy_headers": bool(self.proxies), "forwarded_allow_ips": list(self.proxies),
        }  # fmt: skip
        if self.cert is None or self.key is None:
            yield options
            return
        with Certificate(self.cert, self.key).followed(self.look_every_s) as context:
            yield options | {"ssl_context_factory": lambda _config, _default: context}


PLAIN = Transport()
"""HTTP, nobody in between."""


def transport_of(cert: Path | None, key: Path | None, proxies: Sequence[str] = ()) -> Transport:
    """Raises UsageError for a wrong option, FrontError for files that cannot be used."""
    if (cert is None) != (key is None):
        given, missing = ("--tls-cert", "--tls-key") if key is None else ("--tls-key", "--tls-cert")
        raise UsageError(f"{missing}: expected a file too, as {given} is given.")
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            raise UsageError(f"--behind-proxy: expected an IP address or a network, found {proxy}.") from None
    if cert is not None and key is not None:
        context_of(cert, key)
    return Transport(cert, key, tuple(proxies))


def days_left(cert: Path, now: datetime | None = None) -> int:
    """Days until the certificate ends; negative afterwards."""
    from cryptography import x509

    leaf = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    return (leaf.not_valid_after_utc - (now or datetime.now(UTC))).days
