"""HTTPS with a real handshake, forwarded headers, and what is said of files that cannot be used."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fastapi import FastAPI, Request

from gatewatch.errors import FrontError, UsageError
from gatewatch.transport import Transport, days_left, transport_of
from tests.api.scenes import serving


def make_cert(folder: Path, name: str, days: int = 30, passphrase: bytes | None = None) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(cert.public_bytes(Encoding.PEM))
    hiding = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hiding))
    return cert_file, key_file


def echo() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/")
    def who(request: Request) -> dict[str, Any]:
        return {"scheme": request.url.scheme, "client": request.client.host if request.client else None}

    return app


@contextmanager
def served(transport: Transport) -> Iterator[int]:
    with transport.served() as options, serving(echo(), **options) as address:
        yield int(address.rstrip("/").rpartition(":")[2])


def test_https_is_served_and_nothing_older_than_tls_1_2(tmp_path: Path) -> None:
    cert, key = make_cert(tmp_path, "good")
    transport = transport_of(cert, key)
    assert transport.scheme == "https"
    trusting = ssl.create_default_context(cafile=str(cert))
    with served(transport) as port:
        answer = httpx2.get(f"https://localhost:{port}/", verify=trusting)
        assert answer.json()["scheme"] == "https"
        assert "server" not in answer.headers
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
    with transport.served() as options:
        assert options["ssl_context_factory"](None, None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_forwarded_headers_count_only_from_a_named_proxy() -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    for proxies, expected in (
        ((), {"scheme": "http", "client": "127.0.0.1"}),
        (("192.0.2.0/24",), {"scheme": "http", "client": "127.0.0.1"}),
        (("127.0.0.0/8",), {"scheme": "https", "client": "203.0.113.9"}),
    ):
        with served(transport_of(None, None, proxies)) as port:
            assert httpx2.get(f"http://127.0.0.1:{port}/", headers=headers).json() == expected


def test_what_travels_in_the_open_is_known(tmp_path: Path) -> None:
    cert, key = make_cert(tmp_path, "good", days=3)
    assert Transport().in_the_open
    assert not transport_of(cert, key).in_the_open
    assert not transport_of(None, None, ["10.0.0.1"]).in_the_open
    assert days_left(cert) == 3


def test_each_unusable_file_has_its_sentence(tmp_path: Path) -> None:
    cert, key = make_cert(tmp_path, "good")
    _, other = make_cert(tmp_path, "other")
    _, hidden = make_cert(tmp_path, "hidden", passphrase=b"x")
    nothing = tmp_path / "nothing"
    for files, sentence in (
        ((nothing, key), f"--tls-cert: {nothing} cannot be read: No such file or directory."),
        ((cert, tmp_path), f"--tls-key: {tmp_path} cannot be read: Is a directory."),
        ((key, key), f"--tls-cert: expected a certificate in PEM form, found none in {key}."),
        ((cert, cert), f"--tls-key: expected a private key in PEM form, found none in {cert}."),
        ((cert, other), f"--tls-key: expected the key of the first certificate in {cert}, found another's in {other}."),
        ((cert, hidden), f"--tls-key: expected a key without a passphrase, found an encrypted one in {hidden}."),
    ):
        with pytest.raises(FrontError) as raised:
            transport_of(*files)
        assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((Path("c"), None), "--tls-key: expected a file too, as --tls-cert is given."),
        ((None, Path("k")), "--tls-cert: expected a file too, as --tls-key is given."),
        ((None, None, ["proxy.local"]), "--behind-proxy: expected an IP address or a network, found proxy.local."),
    ],
)
def test_wrong_options_are_named(options: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        transport_of(*options)
    assert str(raised.value) == sentence
