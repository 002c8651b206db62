"""Schemathesis sends what the document allows, and what it forbids, to everything that a running site serves."""

from __future__ import annotations

import copy
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from api.contract_examples import BODIES
from api.contract_words import CODES, TAGS
from api.outbox import ACTIONS
from api.stream import STREAMED
from gatewatch.cli import run
from tests.api.whole import CAMERA, Whole, whole_site

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("GATEWATCH_CONTRACT_EXAMPLES", "10"))
"""Of each operation and mode; more than these ten are other ones at each run."""
OPAQUE = ("cursor",)
"""Texts that only the server makes: no schema says which it gave out."""
ENDLESS: dict[str, dict[str, Any]] = {
    "/api/v1/stream": {"follow": False},
    "/api/v1/cameras/{camera}/live": {"pictures": 1},
}
OF_THIS_SITE = {
    "url": "https://93.184.216.34/hook", "assignee": "administrator1", "profile": "night", "reason": "other",
}  # fmt: skip
"""What a body names must be there, or lead somewhere: no schema says what is."""


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with tempfile.TemporaryDirectory() as folder, whole_site(Path(folder)) as site:
        yield site


@pytest.fixture(scope="module")
def document(whole: Whole) -> dict[str, Any]:
    return copy.deepcopy(whole.app.openapi())


@pytest.fixture(scope="module")
def served(whole: Whole) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", whole.app, headers=authorised(whole))
    accepted = schema.config.checks.positive_data_acceptance
    # `If-Match` or `version`, either will do: that one of them is missing is all that a schema cannot say.
    accepted.expected_statuses = [*accepted.expected_statuses, "428"]
    refused = schema.config.checks.negative_data_rejection
    refused.expected_statuses = [*refused.expected_statuses, "413"]
    return schema


def authorised(whole: Whole) -> dict[str, str]:
    return {"Authorization": f"Bearer {whole.token}"}


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_documented(
    whole: Whole, served: schemathesis.BaseSchema, mode: GenerationMode, subtests: pytest.Subtests
) -> None:
    operations = [result.ok() for result in served.get_all_operations()]
    assert len(operations) > 50
    # What is removed is no longer there for the others.
    for operation in sorted(operations, key=lambda one: one.method.lower() == "delete"):
        if mode is GenerationMode.NEGATIVE and not takes_anything(operation.definition.raw):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 10, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def check(case: schemathesis.Case) -> None:
            if mode is GenerationMode.POSITIVE:
                make_possible(case)
            finite(case)
            case.call_and_validate(headers=authorised(whole))
            if case.path_parameters and mode is GenerationMode.POSITIVE:
                # Chance does not find what is there: the same request once more, for something that is.
                case.path_parameters.update(
                    {name: whole.known[name] for name in case.path_parameters if name in whole.known}
                )
                case.call_and_validate(headers=authorised(whole))

        with subtests.test(operation=operation.label):
            check()


def takes_anything(definition: dict[str, Any]) -> bool:
    return bool(definition.get("parameters")) or "requestBody" in definition


def make_possible(case: schemathesis.Case) -> None:
    """Takes out what fits the schema and yet cannot be right."""
    query: dict[str, Any] = case.query or {}
    for name in OPAQUE:
        query.pop(name, None)
    if "since" in query:
        query["since"] = "2020-02-29T23:59:59Z"  # One after `until`, or after now, may be refused.
        query.pop("until", None)
    body = case.body if isinstance(case.body, dict) else {}
    if "version" in body or "version" in query:
        (case.headers or {}).pop("If-Match", None)  # Two that disagree are refused.
    body.update({name: value for name, value in OF_THIS_SITE.items() if isinstance(body.get(name), str)})
    if body.get("cameras"):
        body["cameras"] = [CAMERA]
    if body.get("role") == "administrator":
        body.pop("cameras", None)  # They look after the whole site.
    body.pop("at", None)  # What happened more than a day ago is refused.
    if body.get("reason") == "other":
        body["note"] = "as the reason `other` asks for"


def finite(case: schemathesis.Case) -> None:
    """A live stream would go on for as long as somebody listens. What is wrong stays wrong: it is to be refused."""
    for name, value in ENDLESS.get(case.operation.path, {}).items():
        if not isinstance(case.query, dict):
            continue
        given = case.query.get(name, value)
        if isinstance(given, bool | int):
            case.query[name] = value
        elif isinstance(given, list):
            case.query[name] = "neither"  # A list of one would be written as what it holds.


def test_the_document_is_told_to_those_who_are_logged_in(whole: Whole) -> None:
    from starlette.testclient import TestClient

    with TestClient(whole.app) as client:
        assert client.get("/api/v1/openapi.json").status_code == 401
        answer = client.get("/api/v1/openapi.json", headers=authorised(whole))
    assert (answer.json(), answer.json()["openapi"]) == (whole.app.openapi(), "3.1.0")


def test_the_document_is_the_same_without_a_server(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["openapi"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert run(["openapi", "--out", str(tmp_path / "doc.json")]) == 0
    assert json.loads((tmp_path / "doc.json").read_text()) == printed
    for one in (document, printed):
        one["info"]["version"] = "any"
    assert printed == document
    assert run(["openapi", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"--out: {tmp_path} cannot be written: Is a directory.\n"


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_an_integrator_must_know(document: dict[str, Any]) -> None:
    missing = []
    for name, operation in operations_of(document):
        if not (operation.get("operationId") and operation.get("tags") and operation.get("description")):
            missing.append(f"{name}: no name, tag or description")
        if "x-permission" not in operation:
            missing.append(f"{name}: nothing says who may call it")
        write = not name.startswith(("GET", "HEAD"))
        headers = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"}
        if write and operation["security"] and "Idempotency-Key" not in headers:
            missing.append(f"{name}: a write without Idempotency-Key")
        if write and operation["security"] and {"session": [], "csrf": []} not in operation["security"]:
            missing.append(f"{name}: a write of a session without X-CSRF-Token")
        expected = {"401", "403", "429"} if operation["security"] else set()
        if not expected <= set(operation["responses"]):
            missing.append(f"{name}: {sorted(expected - set(operation['responses']))} are not documented")
    assert not missing, "\n".join(missing)
    ids = [operation["operationId"] for _, operation in operations_of(document)]
    assert len(ids) == len(set(ids))


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    wrong, named = [], set()
    for name, operation in operations_of(document):
        if "requestBody" not in operation:
            continue
        named.add(operation["operationId"])
        content = operation["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        found = (
            list(jsonschema_rs.validator_for(schema).iter_errors(content["example"]))
            if "example" in content
            else ["no example"]
        )
        wrong += [f"{name}: {error}" for error in found]
    assert not wrong
    assert named == set(BODIES)


def test_every_tag_and_scheme_is_described(document: dict[str, Any]) -> None:
    used = {tag for _, operation in operations_of(document) for tag in operation["tags"]}
    assert used <= set(TAGS)
    assert {tag["name"] for tag in document["tags"]} == used
    named = {name for _, operation in operations_of(document) for one in operation["security"] for name in one}
    assert named == set(document["components"]["securitySchemes"])


def test_every_error_code_is_listed() -> None:
    sources = [*(ROOT / "api").rglob("*.py"), *(ROOT / "gatewatch").rglob("live*.py"), ROOT / "gatewatch/protocols.py"]
    spelt = re.compile(
        r"""\bcode ?= ?"([a-z_]+)"|failure\(\s*\d{3}, "([a-z_]+)"|^    \d{3}: "([a-z_]+)",$""", re.MULTILINE
    )
    found = {next(filter(None, groups)) for path in sources for groups in spelt.findall(path.read_text())}
    listed = {code for codes in CODES.values() for code in codes}
    assert found - listed == set()
    assert listed - found == set()


def test_the_document_holds_no_secret_and_no_place_of_this_machine(document: dict[str, Any], whole: Whole) -> None:
    text = json.dumps(document)
    assert whole.token not in text
    assert str(ROOT) not in text


def test_the_stream_and_its_websocket_are_described(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/stream"]["get"]
    words = operation["description"]
    for subject in STREAMED:
        for action in ACTIONS[subject]:
            assert f"`{subject}.{action}`" in words
    for word in (
        "`Last-Event-ID`", "`last_event_id`", "`hello`", "`reset`", "`bye`", "heartbeat", "/api/v1/stream/ws",
        '{"token": "gw_..."}', "4401", "4403", "4408", "4429", "4503", "1001",
    ):  # fmt: skip
        assert word in words, word
    assert {"Last-Event-ID", "last_event_id"} <= {one["name"] for one in operation["parameters"]}
    assert "StreamEntryOut" in document["components"]["schemas"]


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert {"WebhookMessage", "WebhookAlert", "WebhookIncident"} <= named
