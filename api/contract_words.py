"""The words of the OpenAPI document that belong to no single route."""

from __future__ import annotations

from collections.abc import Mapping

INTRODUCTION = """\
Gatewatch watches the cameras of a guarded site and raises alerts that people handle together. This document is all
that a program needs to work with it.

## Who calls

Programs send `Authorization: Bearer gw_...`, a token: somebody logs in and makes it with `POST /api/v1/tokens`,
which tells it once. Browsers log in with `POST /api/v1/session` and keep a cookie; what they change needs the
header `X-CSRF-Token` with the value that `GET /api/v1/session` gives. Each operation names the permission that it
needs (`x-permission`): `public` needs no log-in, `any` no more than that, `signed` a signature instead. Callers who
are limited to some cameras see and do nothing about others: these answer 404, as what does not exist. An incident of
several cameras is shown as far as they may see it, and changed only by who sees all of it (403 `partly_hidden`).

## Requests and answers

Bodies are JSON (`Content-Type: application/json`, even for `{}`), at most 64 KiB. Moments are ISO 8601 and given in
UTC; moments that you send need a time zone. `..._s` are seconds. Names are case-sensitive texts in any script;
percent-encode them in addresses. Query parameters that an operation does not know are refused (422), so that a
misspelt filter cannot show too much. `HEAD` answers like `GET` without a body. Answers may get new fields at any
time: pass over what you do not know.

**Pages.** Lists give `items` and `next_cursor`; give that back as `cursor` for the next page, with the same
filters. It is null at the end. What arrives meanwhile does not shift pages.

**Concurrency.** What can be changed has a `version` that every change raises; `ETag` is the same in quotes. Send
the one you looked at, in the body's `version` or as `If-Match`. If it has moved on, nothing is done: 409
`stale_version`, with both versions in `details`; read it again and decide anew. 428 `precondition_required` asks
for one where it matters.

**Idempotency.** Send an `Idempotency-Key` of your own making (such as a UUID) with every write; after a broken
connection send the same request with the same key, and it is done once: the answer is the stored one (24 hours
long). The same key with another request is 409 `conflict`.

**Errors.** Whatever is no success has one shape: `{"error": {"code", "message", "details"}}`. `code` is for
programs and stays the same between versions, `message` is a sentence for people. 422 `invalid_request` names each
field in `details.problems` (or what is wrong in `details`). On 429 and 503 wait and try again: `Retry-After` says
how long, in seconds.

## What happens now

`GET /api/v1/stream` is a stream of Server-Sent Events (`text/event-stream`): what happened, event by event, in the
order of the journal; its description lists the events. Each has the journal's number as `id`: after a broken
connection send the last one as `Last-Event-ID`, and nothing is missed or comes twice. `/api/v1/stream/ws` is the
same as a WebSocket, which OpenAPI cannot express: it is described there, too. Webhooks (`/api/v1/webhooks`) bring the
same to you: the part `webhooks` of this document says what they are sent, and how to tell that it is genuine.

## Change

Operations and fields that will go away are marked as deprecated here and say so in the headers `Deprecation` (RFC
9745) and `Sunset` (RFC 8594) at least half a year before.

## Error codes

"""

TAGS: Mapping[str, str] = {
    "alerts": "What guards handle: lists, one alert, and every step of its life.",
    "incidents": "Alerts that belong together, written up as one.",
    "media": "Snapshots and clips: the evidence of an alert.",
    "stream": "What happens now, as Server-Sent Events.",
    "cameras": "How the cameras are doing, their newest picture, and live pictures.",
    "inputs": "Messages from outside the picture, such as the authorisation of one passage.",
    "external": "Other systems (barrier, badge reader, panic button, fire panel) that sign what they send.",
    "arming": "Which rules are armed: profiles for day, night, holiday and drill.",
    "webhooks": "Where Gatewatch sends what happens, and what became of each delivery.",
    "journal": "The append-only, hash-chained record of who did what.",
    "session": "Log in and out, for browsers.",
    "users": "Who may log in, their roles and cameras.",
    "tokens": "Tokens with which programs come in.",
    "service": "Health, the site, and this document.",
}
"""What each group of operations is for, in the order of the document."""

CODES: Mapping[int, Mapping[str, str]] = {
    400: {
        "bad_request": "The request is not HTTP or JSON as it should be.",
        "bad_host": "The `Host` is none of this server's names (`--allow-host`).",
        "oidc_expired": "The log-in at the provider was not begun in this browser, or took too long.",
    },
    401: {
        "not_authenticated": "No token and no session.",
        "invalid_token": "The token is wrong, expired or revoked.",
        "session_over": "Log in again.",
        "login_failed": "Wrong name or password, a disabled user, or too many attempts.",
        "oidc_refused": "The provider, or its ID token, does not let this person in.",
    },
    403: {
        "forbidden": "The caller's role lacks the permission in `details.permission`.",
        "partly_hidden": "The incident also holds alerts that the caller may not see; `details.hidden_alerts` says how "
        "many.",
        "foreign_origin": "A page of another origin asks.",
        "csrf_token_required": "A session's write without `X-CSRF-Token`.",
        "password_change_required": "Choose a password of your own first.",
        "session_required": "Only for people who logged in, not for tokens.",
        "last_administrator": "Somebody must be left who can administer.",
        "oidc_no_role": "No group of this person is mapped to a role.",
        "oidc_no_cameras": "The provider names no camera for this person.",
        "oidc_no_name": "Too many users have this name.",
    },
    404: {"not_found": "It does not exist, or the caller may not know of it."},
    405: {"method_not_allowed": "`Allow` lists the methods of this address."},
    408: {"request_timeout": "The head of the request took more than 10 s to come, or its body more than 30 s."},
    409: {
        "conflict": "Something of that name exists, or an `Idempotency-Key` was used for another request.",
        "request_in_progress": "The first request with this `Idempotency-Key` is still under way.",
        "already_done": "Done by the first request with this `Idempotency-Key`; its answer was lost, `details.did` "
        "says what it did.",
        "stale_version": "It has changed since; `details` has both versions.",
        "illegal_transition": "Not possible in this state; `details.allowed` says what is.",
    },
    413: {"content_too_large": "A body has at most `details.max_bytes`."},
    415: {"unsupported_media_type": "What changes something must be `application/json`."},
    416: {"range_not_satisfiable": "The range lies behind the end of the file."},
    422: {
        "invalid_request": "A field or parameter is not as described.",
        "weak_password": "The new password is too easy to guess.",
        "wrong_password": "The current password is wrong.",
        "target_refused": "The address of a webhook must not be called from here.",
    },
    428: {"precondition_required": "Say which version you looked at: `If-Match` or `version`."},
    429: {"too_many_requests": "Come again after `Retry-After` seconds."},
    500: {"internal_error": "A fault of the server.", "desk_error": "Files or keys of the server cannot be used."},
    503: {
        "unavailable": "The database is busy or away, or no camera runs here.",
        "oidc_unavailable": "The OpenID provider does not answer.",
        "oidc_misconfigured": "The OpenID provider is not the one that is configured.",
    },
}
"""Every code of every status, with what it means."""


def codes_as_table() -> str:
    rows = [f"| {status} | `{code}` | {words} |" for status, codes in CODES.items() for code, words in codes.items()]
    return "\n".join(["| status | code | meaning |", "| --- | --- | --- |", *rows, ""])
