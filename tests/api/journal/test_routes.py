"""The journal over HTTP, and what the commands make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.heads import HEADS_FILE, SignedHead
from api.keys import signature_holds
from api.services import Services
from gatewatch.cli import run
from tests.api.journal.lives import audit_of, live, raw, sql
from tests.api.kit import client_as
from tests.api.scenes import make_event

J = "/api/v1/journal"


@pytest.fixture
def auditor(app: FastAPI, services: Services) -> TestClient:
    live(services)
    return client_as(app, services, "auditor")


def test_entries_are_listed_newest_first_and_filtered(auditor: TestClient) -> None:
    first = auditor.get(J, params={"limit": 5, "subject": "alert"}).json()
    seqs = [entry["seq"] for entry in first["items"]]
    assert seqs == sorted(seqs, reverse=True)
    assert len(seqs) == 5
    rest = auditor.get(J, params={"cursor": first["next_cursor"], "subject": "alert"}).json()
    assert rest["next_cursor"] is None
    assert rest["items"][0]["seq"] < seqs[-1]
    everything = first["items"] + rest["items"]

    def asked(**params: Any) -> list[dict[str, Any]]:
        return auditor.get(J, params={"subject": "alert", "limit": 200, **params}).json()["items"]  # type: ignore[no-any-return]

    assert {entry["actor"] for entry in asked(actor="wang")} == {"wang"}
    assert [entry["note"] for entry in asked(action="resolve")] == ["a fox, 狐狸"]
    assert asked(camera="nowhere") == []
    alert_id = everything[0]["subject_id"]
    assert {entry["subject_id"] for entry in asked(subject_id=alert_id)} == {alert_id}
    middle = everything[4]["at"]
    assert len(asked(since=middle)) + len(asked(until=middle)) == len(everything)


def test_what_lies_far_back_is_found_too(auditor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"subject": "alert", "action": "raised", "limit": 2}
    near = auditor.get(J, params=wanted).json()
    monkeypatch.setattr("api.storage.journal.LOOKED_AT_FIRST", 1)
    assert auditor.get(J, params=wanted).json() == near
    assert {entry["action"] for entry in near["items"]} == {"raised"}


@pytest.mark.parametrize("query", ["cursor=x", "cursor=-1", "limit=0", "subject=x", "since=yesterday", "limit=201"])
def test_a_wrong_question_is_refused(auditor: TestClient, query: str) -> None:
    assert auditor.get(f"{J}?{query}").status_code == 422


def test_a_caller_of_some_cameras_sees_these_alone(app: FastAPI, services: Services) -> None:
    live(services)
    services.desk.take(make_event(9, 50000.0, camera="car-park"))
    client = client_as(app, services, "auditor", ["car-park"])
    assert {entry["camera"] for entry in client.get(J).json()["items"]} == {"car-park"}
    assert client.get(J, params={"camera": "north-gate"}).json()["items"] == []
    assert client.post(f"{J}/export", json={}).status_code == 403


def test_a_guard_does_not_read_it(app: FastAPI, services: Services) -> None:
    client = client_as(app, services, "guard")
    for path in ("", "/head", "/key"):
        assert client.get(J + path).status_code == 403


def test_the_head_is_signed_for_whoever_asks(auditor: TestClient, services: Services) -> None:
    key = auditor.get(f"{J}/key").json()
    assert key["key_id"] == services.ledger.keys.key_id
    before = auditor.get(J).json()["items"][0]["seq"]
    said = auditor.get(f"{J}/head").json()
    text = json.dumps({"at": said["at"], "gatewatch": "journal head", "hash": said["hash"], "seq": said["seq"]})
    assert signature_holds(key["public_key"], text.replace(": ", ":").replace(", ", ",").encode(), said["signature"])
    head = SignedHead.from_json(said)
    assert head.seq == before  # Looking writes nothing.
    assert head.holds(key["public_key"])
    signed = auditor.post(f"{J}/head", json={})
    assert signed.status_code == 201
    newest = auditor.get(J, params={"action": "head_signed"}).json()["items"][0]
    assert newest["actor"].startswith("auditor")


def export(client: TestClient, path: Path, **body: Any) -> Path:
    answer = client.post(f"{J}/export", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    path.write_bytes(answer.content)
    return path


def test_an_export_is_checked_anywhere(
    auditor: TestClient, services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = services.ledger.keys.public_key
    file = export(auditor, tmp_path / "journal.ndjson")
    assert run(["audit", "--export", str(file), "--public-key", key]) == 0
    assert "Intact" in capsys.readouterr().out
    part = export(auditor, tmp_path / "part.ndjson", after=5)
    assert run(["audit", "--export", str(part), "--public-key", key]) == 0
    assert "before entry 6" in capsys.readouterr().out
    lines = file.read_bytes().splitlines(keepends=True)
    for name, changed, what in (
        ("note", [line.replace(b"a fox", b"a cat") for line in lines], "changed:"),
        ("gone", lines[:5] + lines[6:], "missing:"),
        ("cut", lines[:-1], "cut_off:"),
        ("tail", [*lines[:-2], lines[-1]], "head_mismatch:"),
        ("more", [*lines, lines[2]], "inserted:"),
        ("head", [*lines[:-1], lines[-1].replace(b'"seq":', b'"seq":1')], "head_forged:"),
        ("begin", [lines[0].replace(b'"hash":"0', b'"hash":"1'), *lines[1:]], "forged:"),
    ):
        (tmp_path / name).write_bytes(b"".join(changed))
        assert run(["audit", "--export", str(tmp_path / name), "--public-key", key]) == 1, name
        assert what in capsys.readouterr().out, name
    assert auditor.post(f"{J}/export", json={"after": 10**6}).status_code == 404
    assert auditor.get(J, params={"action": "exported"}).json()["items"][0]["actor"].startswith("auditor")


def test_the_audit_command_names_what_it_finds(
    auditor: TestClient, database: str, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    head = auditor.get(f"{J}/head").text
    (tmp_path / "head.json").write_text(head)
    command = ["audit", "--data", str(media), "--database", database]
    assert run([*command, "--head", head, "--head", str(tmp_path / "head.json")]) == 0
    assert "Intact: entries 1 to" in capsys.readouterr().out
    with raw(database) as connection:
        sql(connection, "UPDATE journal SET origin = 'x' WHERE seq = 8")
    assert run(command) == 1
    out = capsys.readouterr().out
    assert "changed: entry 8 (alert alert.north-gate.lawn-loitering.000001, acknowledge) was changed." in out
    assert "TAMPERED (1 finding)" in out
    assert run([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["seq"] == 8
    assert run([*command, "--head", "{}"]) == 1
    assert run([*command, "--public-key", "x"]) == 2
    assert run(["audit", "--data", str(tmp_path / "nowhere")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_webhooks_message_is_a_head_that_was_kept(services: Services, database: str, media: Path) -> None:
    from gatewatch.commands.audit import _given_heads

    live(services)
    head = services.heads.sign("asked")
    for form in (
        head.to_json(), {"head": head.to_json()}, {"topic": "journal.head_signed", "body": head.to_json()},
        {"data": {"body": head.to_json()}},
    ):  # fmt: skip
        assert [kept.head for kept in _given_heads(json.dumps(form))] == [head]
    (media / HEADS_FILE).unlink()
    kept = _given_heads(json.dumps(head.to_json()))
    with raw(database) as connection:
        sql(connection, "DELETE FROM signed_head")
    report = audit_of(database, media, heads=kept)
    assert "head_missing" in {finding.what for finding in report.findings}
