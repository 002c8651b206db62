"""Passwords: hashed with Argon2, held against a policy, and made at random for the first log-in."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from api.errors import InvalidError, TooManyRequestsError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
_AT_ONCE = 2
_WAIT_S = 10.0
"""Each hash takes 64 MiB for its time; more at once would let log-ins eat the memory."""
_ONE_TIME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_COMMON = (
    "password", "passw0rd", "qwertyuiop", "qwertyuiopasdf", "1qaz2wsx3edc", "qazwsxedcrfv", "asdfghjkl", "zxcvbnm",
    "letmein", "welcome", "iloveyou", "administrator", "changeme", "gatewatch", "security", "monkey", "dragon",
    "football", "baseball", "sunshine", "princess", "woaini", "mima", "anquan", "baoan", "q1w2e3r4t5y6", "1q2w3e4r5t6y",
)  # fmt: skip
"""What people choose first, by itself or with some digits and signs before or behind."""
_SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv")


class Passwords:
    """Hashes and checks; Argon2id in the strength that its library proposes (64 MiB, three passes)."""

    def __init__(self) -> None:
        self._at_once = threading.BoundedSemaphore(_AT_ONCE)
        self.use(Argon2Hasher())

    def use(self, hasher: Argon2Hasher) -> None:
        """Hashes in another strength from now on; what was hashed before still counts, and is renewed when used."""
        self._hash = PasswordHash((hasher,))

    def hash(self, password: str) -> str:
        """Raises TooManyRequestsError where too many wait for theirs."""
        with self._turn():
            return self._hash.hash(normal(password))

    def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """(whether it is the password, a stronger hash of it where the stored one is dated). Takes the same time where
        there is no hash: nobody learns from it which users there are. Raises TooManyRequestsError."""
        known = hashed if hashed is not None else self._of_nobody
        with self._turn():
            try:
                right, better = self._hash.verify_and_update(normal(password)[: 4 * MAX_CHARACTERS], known)
            except UnknownHashError:
                return False, None
        return (right, better) if hashed is not None else (False, None)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Whoever waits keeps one of the server's threads from other work.
        if not self._at_once.acquire(timeout=_WAIT_S):
            raise TooManyRequestsError("Too many log in at once: come again in 5 s.", {"retry_after_s": 5})
        try:
            yield
        finally:
            self._at_once.release()

    @cached_property
    def _of_nobody(self) -> str:
        return self._hash.hash(secrets.token_urlsafe(32))


def normal(password: str) -> str:
    """The same characters however a keyboard composed them."""
    return unicodedata.normalize("NFKC", password)


def one_time_password() -> str:
    """79 random bits, easy to read out and to type."""
    letters = [secrets.choice(_ONE_TIME_ALPHABET) for _ in range(16)]
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 16, 4))


def check_password(password: str, *, names: Iterable[str]) -> None:
    """Raises InvalidError where a password is too easily guessed; `names`: of the user and of the site."""
    text = normal(password)
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        found = {"min": MIN_CHARACTERS, "max": MAX_CHARACTERS, "found": len(text)}
        raise _weak(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, found {len(text)}.", found)
    bare = text.casefold()
    core = bare.strip("0123456789!?.,;:-_#*+@$%&/()= ")
    if len(set(bare)) < 5:
        raise _weak("A password needs at least five different characters.", {"why": "repeated"})
    if _is_sequence(bare):
        raise _weak(
            "A password must not be a sequence of the alphabet, the digits or the keyboard.", {"why": "sequence"}
        )
    if core in _COMMON or any(bare == word * (len(bare) // len(word)) for word in _COMMON):
        raise _weak("This password is among the first that are tried.", {"why": "common"})
    for name in names:
        folded = normal(name).casefold().strip()
        if folded and (folded in (bare, core) or bare.replace(folded, "").strip("0123456789!?.-_ ") == ""):
            raise _weak("A password must not be the name of the user or of the site.", {"why": "name"})


def _is_sequence(text: str) -> bool:
    """Whether all of it runs along a sequence, forwards or backwards, once or over and over."""
    for sequence in _SEQUENCES:
        for run in (sequence, sequence[::-1]):
            endless = run * (len(text) // len(run) + 2)
            if text in endless:
                return True
    return all(ord(after) - ord(before) == 1 for before, after in pairwise(text))


def _weak(message: str, details: Mapping[str, object]) -> InvalidError:
    return InvalidError(message, details, code="weak_password")
