"""`Idempotency-Key`: a write that is sent again is done once, and answered as the first time. For all guarded routes.

What a request did and the note that it was done are one transaction: the ledger, about to commit, asks here. So a
process that is killed at any moment has either done nothing, and the repeated request acts, or has done it, and the
repeated request does not. The answer itself is added when it has been made; should the process end in between, the
repeated request is told what was done (409 `already_done`) instead of the answer.

Answers may hold a secret that is shown once, so they are kept encrypted with the site's key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import secrets
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from anyio import CancelScope
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.principal import Principal
from api.errors import ConflictError, InvalidError, UnavailableError
from api.journal import utc_text_us
from api.storage import repeats as storage
from api.storage.ledger import Ledger, Write
from api.storage.tables_messages import IdempotencyRow

HEADER = "Idempotency-Key"
REPLAYED = "idempotency-replayed"
KEY_PATTERN = "^[!-~]{1,128}$"
KEPT = timedelta(hours=24)
MAX_ANSWER_BYTES = 256 * 1024
"""A longer answer is not kept; the repeated request is told what was done."""
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADERS = ("content-type", "etag", "location", "cache-control")
_PRUNE_EVERY = timedelta(minutes=10)
_log = logging.getLogger(__name__)


class ReplayedError(Exception):
    """This was answered before."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class _Claim:
    """A request that has a key."""

    def __init__(self, key: str, fingerprint: str) -> None:
        self.key = key
        self.fingerprint = fingerprint
        self.caller: str | None = None
        """None until the caller is known: nothing counts before."""
        self.principal: Principal | None = None
        self.wrote = False
        self.ended = False


_current: ContextVar[_Claim | None] = ContextVar("idempotency_claim", default=None)


class Idempotency:
    """Thread-safe. Made before the first write."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._cipher = AESGCM(ledger.keys.derive("idempotency"))
        self._lock = threading.Lock()
        self._running: set[tuple[str, str]] = set()
        self._pruned_at: datetime | None = None
        ledger.before_commit(self._note)

    def claim(self, claim: _Claim, principal: Principal) -> None:
        """The request may act now.

        Raises ReplayedError where it was answered before; ConflictError where the key was used for another request,
        where the first one is still under way, or where its answer was lost; InvalidError for an unusable key.
        """
        if not re.fullmatch(KEY_PATTERN, claim.key):
            raise InvalidError(f"{HEADER}: expected 1 to 128 visible characters of ASCII.", {"field": HEADER})
        caller = f"{principal.kind}:{principal.user}/{principal.token_id or ''}"
        claim.principal = principal
        with self._lock:
            if (caller, claim.key) in self._running:
                raise ConflictError(
                    "The first request with this key is still under way: send it again in a moment.",
                    {"retry_after_s": 1}, code="request_in_progress",
                )  # fmt: skip
            self._running.add((caller, claim.key))
        try:
            self._look(claim, caller)
        except BaseException:
            self._release(caller, claim.key)
            raise
        claim.caller = caller

    def _look(self, claim: _Claim, caller: str) -> None:
        with self._ledger.reading() as session:
            row = storage.find(session, caller, claim.key)
            if row is None or self._is_old(row):
                return
            if row.fingerprint != claim.fingerprint:
                raise ConflictError(
                    f"This {HEADER} was used for another request: take a new one for each.", {"at": utc_text_us(row.at)}
                )
            answer = self._opened(row, claim)
            if answer is None:
                raise _already_done(row, claim)
        raise ReplayedError(answer)

    def finish(self, claim: _Claim, answer: Answer | None) -> None:
        """Keeps the answer of a request that did something; None: it has none that could be kept."""
        if claim.caller is None:
            return
        try:
            if answer is None or answer.status >= 500 or (answer.status >= 400 and not claim.wrote):
                return
            claim.ended = True
            self._keep(claim, claim.caller, answer)
        except UnavailableError as error:
            # What was asked for is done; a repeated request will be told so, though not the answer.
            _log.warning("an answer was not kept: %s", error)
        finally:
            self._release(claim.caller, claim.key)

    def _keep(self, claim: _Claim, caller: str, answer: Answer) -> None:
        with self._ledger.writing() as write:
            row = storage.find(write.session, caller, claim.key)
            if row is None or self._is_old(row):
                if claim.wrote:
                    return  # Forgotten meanwhile.
                row = self._row(write, claim, row)
            row.answer = self._sealed(row, answer, claim)
            self._prune(write)

    def _note(self, write: Write) -> None:
        """In the transaction of what the request does."""
        claim = _current.get()
        if claim is None or claim.caller is None or claim.ended:
            return
        row = storage.find(write.session, claim.caller, claim.key)
        did = _in_short(write)
        if row is not None and not self._is_old(row):
            if not claim.wrote:
                raise _already_done(row, claim)  # By another process, or by a request that was given up as lost.
            row.did = [*row.did, *did]
        else:
            self._row(write, claim, row).did = did
        write.session.flush()
        claim.wrote = True

    def _row(self, write: Write, claim: _Claim, old: IdempotencyRow | None) -> IdempotencyRow:
        if old is not None:
            write.session.delete(old)
            write.session.flush()
        assert claim.caller is not None
        row = IdempotencyRow(
            caller=claim.caller, key=claim.key, fingerprint=claim.fingerprint, did=[], answer=None, at=write.at
        )
        write.session.add(row)
        return row

    def _release(self, caller: str, key: str) -> None:
        with self._lock:
            self._running.discard((caller, key))

    def _is_old(self, row: IdempotencyRow) -> bool:
        return self._ledger.now() - row.at >= KEPT

    def _prune(self, write: Write) -> None:
        if self._pruned_at is None or write.at - self._pruned_at >= _PRUNE_EVERY:
            self._pruned_at = write.at
            storage.prune(write.session, write.at - KEPT)

    def _sealed(self, row: IdempotencyRow, answer: Answer, claim: _Claim) -> str:
        body = base64.b64encode(answer.body).decode()
        kept = {"status": answer.status, "headers": answer.headers, "body": body, "cameras": _scope_of(claim)}
        text = json.dumps(kept)
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), _bound(row))).decode()

    def _opened(self, row: IdempotencyRow, claim: _Claim) -> Answer | None:
        """None: there is none, or none that the caller may see any more."""
        if row.answer is None:
            return None
        kept = base64.b64decode(row.answer)
        try:
            found = json.loads(self._cipher.decrypt(kept[:12], kept[12:], _bound(row)))
        except InvalidTag:  # Kept under another key of the site.
            return None
        now, then = _scope_of(claim), found.get("cameras")
        if now is not None and (then is None or not set(then) <= set(now)):
            return None
        return Answer(found["status"], found["headers"], base64.b64decode(found["body"]))


async def claim_for(connection: HTTPConnection, principal: Principal) -> None:
    """Called once a request's caller is known and may do what it asks for. Raises as `Idempotency.claim`."""
    claim = _current.get()
    if claim is not None and claim.caller is None:
        service: Idempotency = connection.app.state.services.idempotency
        await run_in_threadpool(service.claim, claim, principal)


class Repeats:
    """ASGI middleware: holds the answer of a request that has a key until it is kept. Bodies are bounded before."""

    def __init__(self, app: ASGIApp, service: Idempotency) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = Headers(scope=scope).getlist(HEADER) if scope["type"] == "http" else []
        if not keys or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        claim = _Claim(keys[0] if len(keys) == 1 else "", _fingerprint(scope, body))
        held = _Held(send, claim)
        token = _current.set(claim)
        answer = None
        try:
            await self._app(scope, _again(body, receive), held.send)
            answer = held.answer()
        finally:
            _current.reset(token)
            with CancelScope(shield=True):  # Or the key would count as under way for ever.
                await run_in_threadpool(self._service.finish, claim, answer)
        await held.let_go()


class _Held:
    """What a route answers, kept back until it is complete or too long to be kept."""

    def __init__(self, send: Send, claim: _Claim) -> None:
        self._send = send
        self._claim = claim
        self._messages: list[Message] = []
        self._size = 0
        self._passing = False

    async def send(self, message: Message) -> None:
        self._messages.append(message)
        self._size += len(message.get("body", b""))
        if self._claim.caller is None or self._size > MAX_ANSWER_BYTES:
            self._passing = True
        if self._passing:
            await self.let_go()

    async def let_go(self) -> None:
        messages, self._messages = self._messages, []
        for message in messages:
            await self._send(message)

    def answer(self) -> Answer | None:
        if self._passing or not self._messages or self._messages[0]["type"] != "http.response.start":
            return None
        start, *rest = self._messages
        headers = Headers(raw=start.get("headers", []))
        kept = {name: headers[name] for name in _HEADERS if name in headers}
        return Answer(start["status"], kept, b"".join(one.get("body", b"") for one in rest))


def install(app: FastAPI, service: Idempotency) -> None:
    """Gives all guarded writes of the application their `Idempotency-Key`."""

    @app.exception_handler(ReplayedError)
    async def of_replay(_: Request, error: ReplayedError) -> Response:
        answer = error.answer
        return Response(answer.body, answer.status, {**answer.headers, REPLAYED: "true"})

    app.add_middleware(Repeats, service=service)


def _already_done(row: IdempotencyRow, claim: _Claim) -> ConflictError:
    did = [
        {name: value for name, value in one.items() if name != "camera"}
        for one in row.did
        if claim.principal is not None and claim.principal.sees(cast("str | None", one.get("camera")))
    ]
    return ConflictError(
        "A request with this key was carried out, but its answer is not to be had: look at what it did.",
        {"at": utc_text_us(row.at), "did": did}, code="already_done",
    )  # fmt: skip


def _scope_of(claim: _Claim) -> list[str] | None:
    """The cameras that the caller sees; None: all."""
    cameras = None if claim.principal is None else claim.principal.cameras
    return None if cameras is None else sorted(cameras)


def _in_short(write: Write) -> list[dict[str, Any]]:
    return [
        {"seq": entry.seq, "subject": entry.subject, "subject_id": entry.subject_id, "action": entry.action,
         "version": entry.version, "camera": entry.camera}
        for entry in write.entries
    ]  # fmt: skip


def _fingerprint(scope: Scope, body: bytes) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    parts = (scope["method"].encode(), raw, scope["query_string"], Headers(scope=scope).get("if-match", "").encode())
    digest = hashlib.sha256()
    for part in (*parts, body):
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def _bound(row: IdempotencyRow) -> bytes:
    """What an encrypted answer belongs to."""
    return "\x1f".join((row.caller, row.key, row.fingerprint)).encode()


def _again(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return again
