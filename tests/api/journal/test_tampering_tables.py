"""Somebody with the database but without the key changes who may do what, or what the search finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from api.access.users import UserChange
from api.arming import ArmedRule, ArmingPlan
from api.audit import Trust, audit_within
from api.keys import KEY_FILE, SiteKeys
from api.services import Services
from api.storage.ledger import entries_after
from tests.api.databases import KIND, fresh
from tests.api.journal.lives import GUARD, audit_of, live, raw, reopened, sql
from tests.api.kit import token_for
from tests.api.scenes import make_event
from tests.api.webhooks.kit import ADMIN, WANG, quick

PLAN = ArmingPlan(rules={"north-gate": (ArmedRule("lawn-loitering", "lawn"),)})
ATTACKS = [
    # what is done, what must be found, a part of its sentence
    ("UPDATE user_account SET role = 'administrator' WHERE name = 'guard1'", "user_changed",
     "user guard1: role is administrator instead of guard"),
    ("UPDATE user_account SET cameras = NULL WHERE name = 'guard1'", "user_changed", "cameras is none instead of"),
    ("UPDATE user_account SET disabled = (1 = 0) WHERE name = 'auditor2'", "user_changed", "disabled is False"),
    ("UPDATE user_account SET version = 9 WHERE name = 'guard1'", "user_changed", "version is 9 instead of 1"),
    ("UPDATE user_account SET created_at = '2020-01-01 00:00:00.000000' WHERE name = 'guard1'", "user_changed",
     "created_at is 2020"),
    ("UPDATE api_token SET created_at = '2020-01-01 00:00:00.000000'", "token_changed", "created_at is 2020"),
    ("UPDATE webhook SET created_at = '2020-01-01 00:00:00.000000'", "webhook_changed", "created_at is 2020"),
    ("UPDATE webhook SET created_by = 'li'", "webhook_changed", "created_by is li instead of wang"),
    ("UPDATE user_account SET name = 'ghost' WHERE name = 'guard1'", "inserted", "user ghost"),
    ("UPDATE user_account SET name = 'ghost' WHERE name = 'guard1'", "user_missing", "user guard1 was taken away"),
    ("UPDATE user_account SET password_hash = '$argon2id$theirs' WHERE name = 'guard1'", "user_changed",
     "user guard1: its password or its identity at a provider is not what was set"),
    ("UPDATE user_account SET must_change_password = (1 = 0) WHERE name = 'auditor2'", "user_changed", "its password"),
    ("UPDATE user_account SET oidc_issuer = 'https://theirs.test', oidc_subject = 'x' WHERE name = 'guard1'",
     "user_changed", "its identity at a provider"),
    ("UPDATE api_token SET secret_hash = 'theirs'", "token_changed", "its secret is not what was set"),
    ("UPDATE login_session SET user_seq = (SELECT seq FROM user_account WHERE name = 'auditor2')", "inserted",
     "session of auditor2, begun at"),
    ("UPDATE login_session SET token_hash = 'theirs'", "inserted", "nobody logged in to it"),
    ("UPDATE api_token SET cameras = NULL", "token_changed", "cameras is none instead of ['north-gate']"),
    ("UPDATE api_token SET permissions = '[\"users.write\"]'", "token_changed", "permissions is ['users.write']"),
    ("UPDATE api_token SET user_seq = (SELECT seq FROM user_account WHERE name = 'auditor2')", "token_changed",
     "owner is auditor2 instead of guard1"),
    ("UPDATE api_token SET expires_at = '2099-01-01 00:00:00.000000'", "token_changed", "expires_at is 2099"),
    ("UPDATE api_token SET revoked_at = NULL", "token_changed", "revoked_at is none"),
    ("DELETE FROM api_token", "token_missing", "was taken away"),
    ("UPDATE webhook SET url = 'https://elsewhere.test/'", "webhook_changed", "url_sha256 is"),
    ("UPDATE webhook SET cameras = NULL", "webhook_changed", "cameras is none instead of"),
    ("UPDATE webhook SET enabled = (1 = 0)", "webhook_changed", "enabled is False"),
    ("UPDATE arming SET profile = 'night'", "arming_changed", "its profile is night instead of day"),
    ("UPDATE arming SET id = 2", "arming_changed", "its row has the id 2 instead of 1"),
    ("INSERT INTO arming SELECT 0, 'drill', version, set_at, set_by FROM arming", "arming_changed",
     "it has 2 rows instead of 1"),
    ("UPDATE arming SET set_by = 'li'", "arming_changed", "its set_by is li instead of wang"),
    ("UPDATE arming SET set_at = '2020-01-01 00:00:00.000000'", "arming_changed", "its set_at is 2020"),
    ("UPDATE arming_override SET set_by = 'li'", "arming_changed", "north-gate/lawn was set at"),
    ("UPDATE arming_override SET set_at = '2020-01-01 00:00:00.000000'", "arming_changed", "was set at 2020"),
    ("UPDATE journal_tip SET id = 2", "tip_forged", "has the id 2"),
    ("INSERT INTO journal_tip SELECT 2, seq, hash, mac FROM journal_tip", "tip_forged", "2 tips instead of one"),
    ("DELETE FROM arming", "arming_changed", "it has 0 rows instead of 1"),
    ("DELETE FROM arming_override", "arming_changed", "is as its profile says instead of disarmed"),
    ("UPDATE arming_override SET armed = (1 = 1)", "arming_changed", "is armed instead of disarmed"),
    ("INSERT INTO journal_turn (seq, at, previous_at) VALUES (3, '2020-01-01 00:00:00.000000', "
     "'2020-01-02 00:00:00.000000')", "turn_changed", "entry 3: whether the clock was set back"),
    ("UPDATE alert_facet SET after_s = -1e9, before_s = -1e9", "span_changed", "lists of a time look -1000000000.0 s"),
    ("UPDATE incident SET created_by = 'li'", "incident_changed", "created_by is li instead of wang"),
    ("UPDATE incident SET closed_by = 'li'", "incident_changed", "closed_by is li instead of wang"),
    ("UPDATE incident SET created_at = '2020-01-01 00:00:00.000000'", "incident_changed", "created_at is 2020"),
    ("UPDATE alert SET first_raised_s = first_raised_s + 20", "alert_changed", "first_raised_s is"),
    ("UPDATE alert SET media_note = 'gone' WHERE media = 'missing'", "alert_changed", "media_note is gone instead of"),
    ("UPDATE alert SET media_note = 'gone' WHERE media = 'ready'", "alert_changed", "gone instead of none"),
    ("UPDATE alert SET media = 'pending' WHERE media = 'missing'", "alert_changed", "media is pending instead of"),
    ("UPDATE alert SET media = 'ready' WHERE media = 'missing'", "alert_changed", "media is ready instead of missing"),
    ("UPDATE clip SET shortfall_s = 3", "alert_changed", "its clips are"),
    ("UPDATE event SET raised_s = raised_s + 60", "alert_changed", "s of its run"),
    ("UPDATE event SET run = 'other'", "alert_changed", "is said to be of run other"),
    ("UPDATE signed_head SET why = 'other'", "head_changed", "the row of the head signed at entry 9 was changed"),
    ("UPDATE signed_head SET key_id = 'other'", "head_changed", "was changed"),
    ("UPDATE signed_head SET id = 99 WHERE id = (SELECT min(id) FROM signed_head)", "head_changed", "was moved"),
    ("UPDATE alert_note SET folded = 'nothing'", "alert_changed", "the search finds it by other notes"),
    ("DELETE FROM alert_note", "alert_changed", "the search finds it by other notes"),
    ("UPDATE alert_note SET sort_at = '2020-01-01 00:00:00.000000' WHERE number = 1", "alert_changed", "the search"),
]  # fmt: skip


def live_on(services: Services) -> None:
    live(services)
    services.heads.sign("asked")
    services.desk.act("alert.north-gate.lawn-loitering.000001", "note", note="ÜBER the fence", actor=GUARD)
    token_for(services, "guard", ["north-gate"])
    (token,) = services.accounts.tokens.list(None)
    services.accounts.sessions.open_for("guard1", "10.0.0.7", how="a test")
    services.accounts.tokens.revoke(token.token_id, actor=WANG, owner=None)
    users = services.accounts.users
    users.create("auditor2", "auditor", actor=WANG)
    users.reset_password("auditor2", actor=WANG)
    off = UserChange(disabled=True)
    users.change("auditor2", off, actor=WANG, by=None, expected_version=None)
    services.webhooks.create(
        ADMIN, WANG, name="console", url="https://127.0.0.1:9443/x", topics=["alert.*"], cameras=["north-gate"]
    )
    services.arming.override("north-gate", "lawn", False, actor=WANG)
    services.arming.set_profile("night", actor=WANG, expected_version=None)
    services.arming.set_profile("day", actor=WANG, expected_version=None)
    services.arming.override("north-gate", "lawn", False, actor=WANG)


DOUBLES = [
    ("user_account", "user auditor2 is there more than once"),
    ("api_token", "is there more than once"),
    ("webhook", "is there more than once"),
    ("incident", "is there more than once"),
]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    media = tmp_path_factory.mktemp("lived")
    with ExitStack() as stack:
        database = str(media / "alerts.db")
        if KIND == "postgresql":
            database = stack.enter_context(fresh(request.getfixturevalue("postgres")))
        with reopened(database, media, sending=quick(), arming=PLAN) as services:
            live_on(services)
        yield database, media


def test_what_was_not_touched_is_intact(lived: tuple[str, Path]) -> None:
    report = audit_of(*lived)
    assert report.intact, report.findings


@pytest.mark.parametrize(("statement", "what", "part"), ATTACKS, ids=[f"{a[0][:60]} {a[1]}" for a in ATTACKS])
def test_a_table(lived: tuple[str, Path], statement: str, what: str, part: str) -> None:
    with raw(lived[0]) as connection, connection.begin_nested() as undo:
        sql(connection, statement)
        report = audit_within(connection, Trust(SiteKeys.load(lived[1] / KEY_FILE)))
        undo.rollback()
    assert any(f.what == what and part in f.message for f in report.findings), report.findings


@pytest.mark.skipif(KIND == "postgresql", reason="a table without its constraints is made in SQLite's way here")
@pytest.mark.parametrize(("table", "part"), DOUBLES, ids=[d[0] for d in DOUBLES])
def test_a_row_that_hides_another(lived: tuple[str, Path], table: str, part: str) -> None:
    with raw(lived[0]) as connection, connection.begin_nested() as undo:
        columns = [column[1] for column in sql(connection, f"PRAGMA table_info({table})")]
        others = ", ".join("99 AS seq" if column == "seq" else column for column in columns)
        sql(connection, f"CREATE TABLE theirs AS SELECT * FROM {table}")
        sql(connection, f"INSERT INTO theirs SELECT {others} FROM {table}")
        sql(connection, f"DROP TABLE {table}")
        sql(connection, f"ALTER TABLE theirs RENAME TO {table}")
        report = audit_within(connection, Trust(SiteKeys.load(lived[1] / KEY_FILE)))
        undo.rollback()
    assert any(f.what == "doubled" and part in f.message for f in report.findings), report.findings


def test_an_alert_with_events_of_two_runs_that_count_alike_is_intact(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        first = services.desk.take(make_event(1, 1000.0), run="one")
        again = services.desk.take(replace(make_event(1, 1005.0), label="car"), run="two")
        assert again.alert_id == first.alert_id
    report = audit_of(database, media)
    assert report.intact, report.findings
    with raw(database) as connection:
        sql(connection, "UPDATE event SET run = 'three' WHERE run = 'two'")
    (finding,) = audit_of(database, media).findings
    assert "is said to be of run three" in finding.message


def test_a_password_that_is_hashed_anew_at_a_log_in_is_vouched_for(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        accounts = services.accounts
        accounts.passwords.use(Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1))
        _, password = accounts.users.create("li", "guard", actor=WANG)
        accounts.passwords.use(Argon2Hasher(time_cost=2, memory_cost=64, parallelism=1))
        accounts.sessions.log_in("li", password, None)
        with services.ledger.reading() as session:
            entries = [entry for entry in entries_after(session, 0, 50, subjects=["user"]) if entry.subject_id == "li"]
    assert [entry.action for entry in entries] == ["created", "password_rehashed"]
    report = audit_of(database, media)
    assert report.intact, report.findings
