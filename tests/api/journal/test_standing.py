"""What stands after retention took away the entries that told of it: the audit goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.audit import Report, Trust, audit_within
from api.keys import KEY_FILE, SiteKeys
from api.retention import Retention
from api.services import Services
from api.storage.feed import batch_after
from api.storage.ledger import entries_after
from tests.api.databases import KIND, fresh
from tests.api.journal.lives import audit_of, raw, reopened, sql
from tests.api.journal.test_retention import Clock
from tests.api.journal.test_tampering_tables import PLAN, live_on
from tests.api.webhooks.kit import ADMIN, WANG, quick

DAYS = 30
SUBJECTS = ("user", "token", "webhook", "arming")
EVIL = (
    "INSERT INTO user_account (seq, name, display_name, role, must_change_password, disabled, failed_logins, "
    "created_at, version) SELECT 99, 'evil', 'e', 'administrator', must_change_password, disabled, 0, created_at, 1 "
    "FROM user_account WHERE name = 'guard1'"
)
TOKEN = (
    "INSERT INTO api_token (seq, token_id, user_seq, name, secret_hash, permissions, created_at, expires_at) "
    "SELECT 99, 'theirs', user_seq, 'x', 'x', permissions, created_at, expires_at FROM api_token"
)
ATTACKS = [
    # what is done, what must be found, a part of its sentence
    (EVIL, "inserted", "user evil: no entry"),
    (TOKEN, "inserted", "token theirs: no entry"),
    ("UPDATE user_account SET role = 'administrator' WHERE name = 'guard1'", "user_changed",
     "role is administrator instead of guard"),
    ("UPDATE user_account SET password_hash = 'theirs' WHERE name = 'auditor2'", "user_changed", "its password"),
    ("UPDATE user_account SET disabled = (1 = 0) WHERE name = 'auditor2'", "user_changed", "disabled is False"),
    ("UPDATE api_token SET revoked_at = NULL", "token_changed", "revoked_at is none"),
    ("UPDATE webhook SET url = 'https://elsewhere.test/'", "webhook_changed", "url_sha256"),
    ("DELETE FROM api_token", "token_missing", "was taken away"),
    ("UPDATE arming SET profile = 'drill'", "arming_changed", "its profile is drill instead of day"),
    ("UPDATE arming SET set_by = 'li'", "arming_changed", "its set_by is li instead of wang"),
    ("DELETE FROM arming", "arming_changed", "it has 0 rows"),
    ("DELETE FROM arming_override", "arming_changed", "is as its profile says instead of disarmed"),
]  # fmt: skip


def keep(services: Services, media: Path) -> None:
    Retention(services.ledger, services.heads, media_dir=media, closed_alerts_days=DAYS).run()


def grow_old(services: Services, clock: Clock, media: Path, *, times: int = 1) -> None:
    """All entries of before go."""
    for record in services.desk.list().records:
        if record.alert.state not in ("resolved", "false_alarm", "drill"):
            services.desk.act(record.alert.alert_id, "resolve", reason="other", note="done", actor=WANG)
    for _ in range(times):
        clock.days(DAYS + 1)
        keep(services, media)


def old_site(services: Services, clock: Clock, media: Path, *, times: int = 1) -> None:
    live_on(services)
    grow_old(services, clock, media, times=times)


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    media = tmp_path_factory.mktemp("aged")
    with ExitStack() as stack:
        database = str(media / "alerts.db")
        if KIND == "postgresql":
            database = stack.enter_context(fresh(request.getfixturevalue("postgres")))
        clock = Clock()
        with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
            # Twice: what was said anew is old by then, and is said once more.
            old_site(services, clock, media, times=2)
        yield database, media


def said_of(database: str) -> dict[str, set[str]]:
    with raw(database) as connection:
        found = sql(connection, "SELECT subject, action FROM journal")
    return {subject: {action for of, action in found if of == subject} for subject in SUBJECTS}


def attacked(site: tuple[str, Path], statement: str) -> Report:
    with raw(site[0]) as connection, connection.begin_nested() as undo:
        sql(connection, statement)
        report = audit_within(connection, Trust(SiteKeys.load(site[1] / KEY_FILE)))
        undo.rollback()
    return report


def test_nothing_stays_unchecked(aged: tuple[str, Path]) -> None:
    assert said_of(aged[0]) == {subject: {"standing"} for subject in SUBJECTS}
    report = audit_of(*aged)
    assert report.intact, report.findings
    assert report.checkpoint is not None
    assert report.unchecked == []


@pytest.mark.parametrize(("statement", "what", "part"), ATTACKS, ids=[f"{a[0][:60]} {a[1]}" for a in ATTACKS])
def test_it_is_found(aged: tuple[str, Path], statement: str, what: str, part: str) -> None:
    report = attacked(aged, statement)
    assert any(f.what == what and part in f.message for f in report.findings), report.findings


def test_the_site_goes_on_and_later_entries_count(database: str, media: Path) -> None:
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        old_site(services, clock, media)
        services.accounts.users.create("li", "guard", actor=WANG)
        services.accounts.users.reset_password("auditor2", actor=WANG)
        services.arming.override("north-gate", "lawn", True, actor=WANG)
        (hook,), _ = services.webhooks.list(ADMIN)
        services.webhooks.change(hook.webhook_id, ADMIN, WANG, {"name": "other"}, None)
        assert audit_of(database, media).intact
        clock.days(DAYS - 1)
        services.arming.set_profile("night", actor=WANG, expected_version=None)
        clock.days(2)
        keep(services, media)
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert report.unchecked == []


def test_what_was_changed_before_is_not_made_true(database: str, media: Path) -> None:
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        live_on(services)
        with raw(database) as connection:
            sql(connection, "UPDATE user_account SET role = 'administrator' WHERE name = 'guard1'")
            sql(connection, "UPDATE arming SET profile = 'drill'")
            sql(connection, EVIL)
        grow_old(services, clock, media)
    found = {finding.what for finding in audit_of(database, media).findings}
    assert {"user_changed", "arming_changed", "inserted"} <= found


@pytest.mark.parametrize("times", [1, 2])
def test_entries_that_were_changed_before_they_went_are_told(database: str, media: Path, times: int) -> None:
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        live_on(services)
        with raw(database) as connection:
            sql(connection, "UPDATE journal SET note = 'x' WHERE seq = 3")
        grow_old(services, clock, media, times=times)
    (finding,) = audit_of(database, media).findings
    assert (finding.what, "1 thing was not as written" in finding.message) == ("removed_changed", True)


def test_a_checkpoint_of_before_leaves_things_unchecked(
    database: str, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        with monkeypatch.context() as patch:
            patch.setattr("api.retention.restate", lambda *_: None)
            patch.setattr("api.retention.STANDS", "entries")
            old_site(services, clock, media)
        report = audit_of(database, media)
        assert report.intact, report.findings
        assert len(report.unchecked) == 4
        assert any("arming" in said for said in report.unchecked)
        services.accounts.users.create("li", "guard", actor=WANG)
        clock.days(DAYS + 1)
        keep(services, media)
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert len(report.unchecked) == 4  # Nobody knows what they were; of the new user everything is known.
    assert any(f.what == "user_changed" for f in attacked(
        (database, media), "UPDATE user_account SET role = 'auditor' WHERE name = 'li'").findings)  # fmt: skip


def test_nobody_is_told_that_things_stand_as_they_did(database: str, media: Path) -> None:
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        services.webhooks.create(
            ADMIN, WANG, name="all", url="https://127.0.0.1:9443/x", topics=["arming.*", "webhook.*"], cameras=None
        )
        old_site(services, clock, media)
        state = services.arming.state
        with services.ledger.reading() as session:
            said = [entry for entry in entries_after(session, 0, 500) if entry.action == "standing"]
            told, _, _ = batch_after(session, 0, 500, SUBJECTS)
            topics: list[Any] = [row[0] for row in sql(session.connection(), "SELECT topic FROM outbox")]
    assert said
    assert (state.profile.name, len(state.overrides)) == ("day", 1)
    assert "standing" not in {entry.action for entry in told}
    assert topics
    assert not [topic for topic in topics if topic.endswith("standing")]


def test_many_entries_go_in_pieces(database: str, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.retention.ENTRIES_AT_ONCE", 5)
    clock = Clock()
    with reopened(database, media, sending=quick(), arming=PLAN, now=clock) as services:
        old_site(services, clock, media)
        with services.ledger.reading() as session:
            entries = [e for e in entries_after(session, 0, 500, subjects=["user"]) if e.subject_id == "guard1"]
    assert [entry.action for entry in entries] == ["standing"]
    assert entries[0].at - timedelta(days=DAYS) > Clock().now
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert report.unchecked == []
