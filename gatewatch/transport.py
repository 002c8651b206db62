"""How the server is reached: plain HTTP on this machine, TLS, or a proxy in front that does the TLS."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatewatch.errors import FrontError, UsageError


@dataclass(frozen=True)
class Transport:
    """Made by `transport_of`, which checks it."""

    cert: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()
    """Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    @property
    def scheme(self) -> str:
        return "http" if self.cert is None else "https"

    @property
    def in_the_open(self) -> bool:
        """Whether what is served travels as it is, beyond this machine too."""
        return self.cert is None and not self.proxies

    def server_options(self) -> dict[str, Any]:
        """For `uvicorn.Config`."""
        # uvicorn would believe any program of this machine about where a request comes from.
        options: dict[str, Any] = {
            "server_header": False, "proxy_headers": bool(self.proxies), "forwarded_allow_ips": list(self.proxies),
        }  # fmt: skip
        if self.cert is not None:
            options["ssl_context_factory"] = lambda _config, _default: self._context()
        return options

    def _context(self) -> ssl.SSLContext:
        assert self.cert is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key)
        return context


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
        _check(cert, key)
    return Transport(cert, key, tuple(proxies))


def days_left(cert: Path, now: datetime | None = None) -> int:
    """Days until the certificate ends; negative afterwards."""
    from cryptography import x509

    leaf = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    return (leaf.not_valid_after_utc - (now or datetime.now(UTC))).days


def _check(cert: Path, key: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(_content("--tls-cert", cert))
    except ValueError:
        raise FrontError(f"--tls-cert: expected a certificate in PEM form, found none in {cert}.") from None
    try:
        private = load_pem_private_key(_content("--tls-key", key), None)
    except TypeError:
        raise FrontError(f"--tls-key: expected a key without a passphrase, found an encrypted one in {key}.") from None
    except ValueError:
        raise FrontError(f"--tls-key: expected a private key in PEM form, found none in {key}.") from None
    if chain[0].public_key() != private.public_key():
        raise FrontError(f"--tls-key: expected the key of the first certificate in {cert}, found another's in {key}.")
    try:
        Transport(cert, key)._context()
    except ssl.SSLError as error:
        raise FrontError(f"--tls-cert: {cert} and {key} cannot be used: {error.reason}.") from None


def _content(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FrontError(f"{option}: {path} cannot be read: {error.strerror}.") from None
