"""The site's secret key: signs journal heads, seals the journal's tip, and derives the secrets of webhooks.

One file of 32 random bytes (as hex) beside the database, mode 0600. Whoever has only the database can read it, but not
forge what these keys vouch for; whoever has only the public key can check signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api.errors import DeskError

KEY_FILE = "gatewatch.key"
_LENGTH = 32


class SiteKeys:
    """Everything that is derived from the site's secret, each for a purpose of its own (HMAC-SHA256 as in RFC 5869's
    expand step)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _LENGTH:
            raise ValueError(f"a key has {_LENGTH} bytes")
        self._secret = secret
        self._signer = Ed25519PrivateKey.from_private_bytes(self.derive("journal signing"))
        self._seal = self.derive("journal tip")

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Reads the key file, or makes it. Raises DeskError where it cannot be read, made, or is no key."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return cls.load(path)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_LENGTH) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DeskError(f"{path}: the site's key cannot be kept there: {error.strerror}.") from None
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises DeskError where the file cannot be read or is no key."""
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise DeskError(f"{path}: the site's key cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            text = ""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise DeskError(f"{path}: expected the site's key, {2 * _LENGTH} hexadecimal digits.") from None

    @classmethod
    def ephemeral(cls) -> Self:
        """A key that is kept nowhere, for tests and for looking at a re-analysis."""
        return cls(secrets.token_bytes(_LENGTH))

    def derive(self, *purpose: str) -> bytes:
        """32 bytes for one purpose; other purposes' bytes tell nothing about them."""
        label = "\x1f".join(("gatewatch", *purpose)).encode()
        return hmac.digest(self._secret, label + b"\x01", "sha256")

    def seal(self, content: bytes) -> str:
        """A MAC (hex) that only the holder of the key can make."""
        return hmac.new(self._seal, content, "sha256").hexdigest()

    def vouch(self, purpose: str, content: bytes) -> str:
        """As `seal`, for something else."""
        return hmac.new(self.derive(purpose), content, "sha256").hexdigest()

    def sealed(self, content: bytes, mac: str) -> bool:
        return hmac.compare_digest(self.seal(content), mac)

    def sign(self, content: bytes) -> str:
        """An Ed25519 signature (RFC 8032), base64."""
        return base64.b64encode(self._signer.sign(content)).decode()

    @property
    def public_key(self) -> str:
        """The raw Ed25519 public key, base64."""
        return base64.b64encode(self._signer.public_key().public_bytes_raw()).decode()

    @property
    def key_id(self) -> str:
        """The first 16 hex digits of the public key's SHA-256."""
        return hashlib.sha256(base64.b64decode(self.public_key)).hexdigest()[:16]


def signature_holds(public_key: str, content: bytes, signature: str) -> bool:
    """Whether the signature (base64) over the content was made with the private half of this key (base64)."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(base64.b64decode(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True
