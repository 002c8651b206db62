"""What the OpenAPI document says of messages, against what is really sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.outbox import ABOUT_PEOPLE, ACTIONS
from api.services import Services
from tests.api.scenes import Site, make_event
from tests.api.webhooks.kit import ADMIN, WANG, Received, Receiver, hook


@pytest.fixture
def document(services: Services) -> dict[str, Any]:
    return create_app(services, site=Site(), version="1").openapi()


@pytest.fixture
def told(document: dict[str, Any]) -> dict[str, Any]:
    ((_, path),) = document["webhooks"].items()
    return dict(path["post"])


def schema_of(document: dict[str, Any], told: dict[str, Any]) -> jsonschema_rs.Validator:
    content = told["requestBody"]["content"]["application/json"]
    return jsonschema_rs.validator_for({**content["schema"], "components": document["components"]})


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """As the document's words say."""
    signed = headers["gatewatch-id"].encode() + b"." + headers["gatewatch-timestamp"].encode() + b"." + body
    computed = "v1=" + hmac.new(secret.encode("ascii"), signed, hashlib.sha256).hexdigest()
    return computed in headers["gatewatch-signature"].split(", ")


def test_the_example_can_be_computed_from_the_words(document: dict[str, Any], told: dict[str, Any]) -> None:
    words = told["description"]
    (secret,) = re.findall(r"the secret `(gws_[^`]+)`", words)
    (signature,) = re.findall(r"^    Gatewatch-Signature: (.*)$", words, re.MULTILINE)
    (body,) = re.findall(r"^    (\{.*\})$", words, re.MULTILINE)
    headers = {one["name"].lower(): one["example"] for one in told["parameters"]}
    assert headers["gatewatch-signature"] == signature
    for name in ("Gatewatch-Id", "Gatewatch-Timestamp"):
        assert f"`{name}: {headers[name.lower()]}`" in words
    assert verified(secret, headers, body.encode())
    assert not verified(secret, headers, body.encode() + b"\n")
    assert f"{len(body)} bytes" in words
    assert json.loads(body) == told["requestBody"]["content"]["application/json"]["example"]
    assert list(schema_of(document, told).iter_errors(json.loads(body))) == []


def as_documented(document: dict[str, Any], told: dict[str, Any], one: Received, secrets: list[str]) -> None:
    assert list(schema_of(document, told).iter_errors(one.json)) == []
    properties = document["components"]["schemas"]["WebhookMessage"]["properties"]
    assert set(one.json) <= set(properties), "nothing comes that the document does not name"
    assert one.json["topic"] in properties["topic"]["examples"]
    for part in ("alert", "incident"):
        if one.json.get(part) is not None:
            ref = properties[part]["anyOf"][0]["$ref"].rpartition("/")[2]
            assert set(one.json[part]) <= set(document["components"]["schemas"][ref]["properties"])
    for parameter in told["parameters"]:
        value = one.headers[parameter["name"].lower()]
        assert jsonschema_rs.is_valid(parameter["schema"], value), parameter["name"]
    assert one.headers["content-type"] == "application/json"
    assert abs(time.time() - int(one.headers["gatewatch-timestamp"])) < 300
    assert one.headers["gatewatch-id"] == one.json["id"]
    for secret in secrets:
        assert verified(secret, one.headers, one.body)
    assert not verified("gws_" + base64.urlsafe_b64encode(b"x" * 32).decode(), one.headers, one.body)


def test_what_is_sent_is_what_the_document_says(
    sending: Services, target: Receiver, document: dict[str, Any], told: dict[str, Any]
) -> None:
    made, secret = hook(sending, target.url, *(f"{subject}.*" for subject in ACTIONS))
    ids = [
        sending.desk.take(make_event(n, 1000.0 * n, camera=camera)).alert_id
        for n, camera in enumerate(("north-gate", "south-gate", ""), start=1)
    ]
    sending.desk.act(ids[0], "acknowledge", actor=WANG)
    incident = sending.incidents.create("Two at the gate", ids[:2], note="seen by two", actor=WANG)
    sending.incidents.close(incident.incident_id, actor=WANG)
    sending.accounts.users.create("zhao", "guard", actor=WANG)
    sending.heads.sign("asked")
    sending.webhooks.test(made.webhook_id, ADMIN, WANG)
    got = target.wait(12)
    for one in got:
        as_documented(document, told, one, [secret])
    topics = {one.json["topic"] for one in got}
    assert {
        "alert.raised",
        "alert.merged",
        "incident.opened",
        "incident.closed",
        "user.created",
        "webhook.test",
    } <= topics
    assert ABOUT_PEOPLE & {topic.partition(".")[0] for topic in topics}


def test_both_signatures_are_those_of_the_words_while_a_secret_is_replaced(
    sending: Services, target: Receiver, document: dict[str, Any], told: dict[str, Any]
) -> None:
    made, old = hook(sending, target.url, "alert.raised", "incident.*", cameras=["south-gate"])
    _, new = sending.webhooks.rotate(made.webhook_id, ADMIN, WANG, made.version)
    ids = [
        sending.desk.take(make_event(n, 1000.0 * n, camera=camera)).alert_id
        for n, camera in enumerate(("north-gate", "south-gate"), start=1)
    ]
    sending.incidents.create("Two at the gate", ids, note="not for all", actor=WANG)
    first, second = target.wait(2)
    for one in (first, second):
        as_documented(document, told, one, [old, new])
    assert (second.json["note"], second.json["incident"]["hidden_alerts"]) == (None, 1)
    assert b"north-gate" not in second.body
