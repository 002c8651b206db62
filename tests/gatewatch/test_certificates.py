"""A renewed certificate is taken up by a server that goes on, with real handshakes."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from gatewatch.certificates import Certificate
from gatewatch.errors import FrontError
from gatewatch.transport import Transport, transport_of
from tests.api.scenes import serving
from tests.gatewatch.test_transport import echo, make_cert


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What is logged, at any level, whatever an earlier test set up."""
    before = structlog.get_config()
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return make_cert(tmp_path, "served")


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))


def met_with(port: int, name: str | None = "localhost") -> bytes:
    """The certificate that a new connection gets, as DER."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        anybody.wrap_socket(plain, server_hostname=name) as one,
    ):
        return one.getpeercert(binary_form=True) or b""


def der(cert: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.read_text(encoding="ascii"))


def renew(files: tuple[Path, Path], by: tuple[Path, Path]) -> None:
    """As the tools do it: a new file in the place of the old."""
    for old, new in zip(files, by, strict=True):
        copy = old.with_suffix(".new")
        copy.write_bytes(new.read_bytes())
        copy.replace(old)


@contextmanager
def followed(certificate: Certificate) -> Iterator[int]:
    options: dict[str, Any] = {"ssl_context_factory": lambda _config, _default: certificate.context}
    with serving(echo(), **options) as address:
        yield int(address.rstrip("/").rpartition(":")[2])


def test_new_connections_get_the_renewed_pair_and_open_ones_go_on(
    files: tuple[Path, Path], tmp_path: Path, log: list[Any]
) -> None:
    certificate = Certificate(*files)
    with followed(certificate) as port:
        before = der(files[0])
        assert met_with(port) == before
        open_one = http.client.HTTPSConnection("localhost", port, context=trusting(files[0]))
        with closing(open_one):
            open_one.request("GET", "/")
            assert open_one.getresponse().read()
            sock = open_one.sock
            renewed = make_cert(tmp_path, "renewed")
            renew(files, renewed)
            assert met_with(port) == before  # Nobody has looked yet.
            certificate.look()
            certificate.look()
            assert [(line["log_level"], line["event"]) for line in log] == [("info", "a renewed certificate is served")]
            assert met_with(port) == met_with(port, None) == der(renewed[0]) != before
            open_one.request("GET", "/")
            assert open_one.getresponse().read()
            assert open_one.sock is sock
        with closing(http.client.HTTPSConnection("localhost", port, context=trusting(renewed[0]))) as fresh:
            fresh.request("GET", "/")
            assert fresh.getresponse().status == 200


def test_a_pair_that_cannot_be_used_leaves_the_one_before(
    files: tuple[Path, Path], tmp_path: Path, log: list[Any]
) -> None:
    certificate = Certificate(*files)
    before, (renewed, key) = der(files[0]), make_cert(tmp_path, "renewed")
    with followed(certificate) as port:
        files[0].write_bytes(renewed.read_bytes())
        certificate.look()
        assert (met_with(port), log) == (before, [])  # Half of a renewal, perhaps.
        for _ in range(3):
            certificate.look()
        assert met_with(port) == before
        [line] = log
        assert (line["log_level"], line["event"]) == (
            "error", "the renewed certificate cannot be used, so the one before is served on",
        )  # fmt: skip
        assert line["why"].endswith(f"the first certificate in {files[0]}, found another's in {files[1]}.")
        files[1].unlink()
        certificate.look()
        certificate.look()
        assert log[-1]["why"] == f"--tls-key: {files[1]} cannot be read: No such file or directory."
        files[1].write_bytes(key.read_bytes())
        certificate.look()
        assert met_with(port) == der(renewed)


def test_a_running_server_looks_by_itself(files: tuple[Path, Path], tmp_path: Path) -> None:
    transport: Transport = replace(transport_of(*files), look_every_s=0.05)
    renewed = make_cert(tmp_path, "renewed")
    with transport.served() as options, serving(echo(), **options) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        renew(files, renewed)
        ends = time.monotonic() + 20
        while met_with(port) != der(renewed[0]):
            assert time.monotonic() < ends
    assert not [one for one in threading.enumerate() if one.name == "certificate"]


def test_the_first_pair_must_be_usable(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FrontError):
        Certificate(files[0], make_cert(tmp_path, "other")[1])
