"""The certificate that connections are met with. Its files are followed: a renewed one needs no restart."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from gatewatch.errors import FrontError

LOOK_EVERY_S = 30.0

_Files = tuple[bytes | None, bytes | None]


class Certificate:
    """Two PEM files, and what TLS makes of them. New connections get the pair as it was when it last could be used;
    those that are open stay as they are."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises FrontError where the files cannot be used."""
        self._cert, self._key = cert, key
        self._served = self._files()
        self._doubted: _Files | None = None
        self._refused: _Files | None = None
        self._current = context_of(cert, key)
        self.context = context_of(cert, key)
        """For the server: it hands each new connection to the newest pair, so that no half of a pair is ever met."""
        self.context.sni_callback = self._met

    def look(self) -> None:
        """Takes the files up if they have changed and can be used; says in the log what came of it."""
        files = self._files()
        if files in (self._served, self._refused):
            return
        log = structlog.get_logger()
        try:
            fresh = context_of(self._cert, self._key)
        except FrontError as error:
            # A renewal writes one file after the other: what is still wrong at the next look is worth a word.
            if files == self._doubted:
                self._refused = files
                log.error("the renewed certificate cannot be used, so the one before is served on", why=str(error))
            self._doubted = files
            return
        if files == self._files():  # Else they are being written: the next look takes them.
            self._current, self._served, self._refused = fresh, files, None
            log.info("a renewed certificate is served", path=str(self._cert))

    @contextmanager
    def followed(self, every_s: float = LOOK_EVERY_S) -> Iterator[ssl.SSLContext]:
        """Looks every so often, in a thread of its own, until the block ends."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(every_s):
                self.look()

        thread = threading.Thread(target=follow, name="certificate", daemon=True)
        thread.start()
        try:
            yield self.context
        finally:
            ended.set()
            thread.join()

    def _met(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called for each handshake, also where the client names no server.
        connection.context = self._current

    def _files(self) -> _Files:
        return _digest(self._cert), _digest(self._key)


def context_of(cert: Path, key: Path) -> ssl.SSLContext:
    """Raises FrontError, with a sentence that says which file is wrong and how."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(_content("--tls-cert", cert))
    except ValueError:
        raise FrontError(f"--tls-cert: expected a certificate in PEM form, found none in {cert}.") from None
    try:
        private = load_pem_private_key(_content("--tls-key", key), None)
    except TypeError:
        raise FrontError(f"--tls-key: expected a key without a passphrase, found an encrypted one in {key}.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise FrontError(f"--tls-key: expected a private key in PEM form, found none in {key}.") from None
    if chain[0].public_key() != private.public_key():
        raise FrontError(f"--tls-key: expected the key of the first certificate in {cert}, found another's in {key}.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise FrontError(f"--tls-cert: {cert} and {key} cannot be used: {error.reason}.") from None
    except OSError as error:
        raise FrontError(f"--tls-cert: {cert} and {key} cannot be read: {error.strerror}.") from None
    return context


def _content(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FrontError(f"{option}: {path} cannot be read: {error.strerror}.") from None


def _digest(path: Path) -> bytes | None:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).digest()
    return None
