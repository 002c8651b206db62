"""Somebody with the database but without the key: whatever is done to the journal or the alerts is found and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from api.alerts import Clip
from api.audit import Report, Trust, audit_within
from api.heads import HEADS_FILE
from api.keys import KEY_FILE, SiteKeys
from api.services import Services
from tests.api.databases import KIND, fresh
from tests.api.journal.lives import audit_of, copy_entry, live, raw, rehash, reopened, shift, sql
from tests.api.scenes import crossing, make_event

FIRST = "alert.north-gate.lawn-loitering.000001"
SECOND = "alert.north-gate.lawn-loitering.000002"
THIRD = "alert.north-gate.lawn-loitering.000003"
HEAD = 9
"""The entry that is signed; entry 10 says so."""
LAST = 18
OLD = "'2020-01-01 00:00:00.000000'"
Attack = Callable[[Connection], object]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """The same for all attacks that are undone again."""
    media = tmp_path_factory.mktemp("lived")
    with ExitStack() as stack:
        database = str(media / "alerts.db")
        if KIND == "postgresql":
            database = stack.enter_context(fresh(request.getfixturevalue("postgres")))
        with reopened(database, media) as services:
            live(services)
        yield database, media


@contextmanager
def attacked(lived: tuple[str, Path], attack: Attack) -> Iterator[Report]:
    """What the audit says of the database as the attack leaves it; then it is as it was."""
    with raw(lived[0]) as connection, connection.begin_nested() as undo:
        attack(connection)
        yield audit_within(connection, Trust(SiteKeys.load(lived[1] / KEY_FILE)))
        undo.rollback()


@pytest.fixture
def site(database: str, media: Path) -> tuple[str, Path]:
    """A closed database with its folder; the heads are kept in the database alone."""
    with reopened(database, media) as services:
        live(services)
    (media / HEADS_FILE).unlink()
    return database, media


def update(statement: str) -> Attack:
    return lambda connection: sql(connection, statement)


def several(*steps: Attack) -> Attack:
    return lambda connection: [step(connection) for step in steps]


def hashed_from(first: int, **options: object) -> Attack:
    return lambda connection: rehash(connection, first, **options)  # type: ignore[arg-type]


def swap(one: int, other: int) -> Attack:
    return several(
        update(f"UPDATE journal SET seq = -1 WHERE seq = {one}"),
        update(f"UPDATE journal SET seq = {one} WHERE seq = {other}"),
        update(f"UPDATE journal SET seq = {other} WHERE seq = -1"),
    )


CHANGE = "UPDATE journal SET note = 'nothing happened' WHERE seq = 8"
ATTACKS: list[tuple[str, Attack, str, int | None, str]] = [
    # name, what is done, the finding that must be among those found: what, entry, a part of its sentence
    ("an entry's note", update(CHANGE), "changed", 8, f"alert {FIRST}, acknowledge"),
    ("an entry's actor", update("UPDATE journal SET actor = 'li' WHERE seq = 8"), "changed", 8, "acknowledge"),
    ("an entry's address", update("UPDATE journal SET origin = NULL WHERE seq = 8"), "changed", 8, FIRST),
    ("an entry's moment", update(f"UPDATE journal SET at = {OLD} WHERE seq = 8"), "changed", 8, ""),
    ("an entry's body", update("UPDATE journal SET body = '{}' WHERE seq = 2"), "changed", 2, "raised"),
    ("an entry's body is no JSON", update("UPDATE journal SET body = '{' WHERE seq = 10"), "changed", 10, ""),
    ("an entry's version", update("UPDATE journal SET version = 9 WHERE seq = 8"), "changed", 8, ""),
    ("an entry's hash", update(f"UPDATE journal SET hash = '{'a' * 64}' WHERE seq = 8"), "changed", 8, ""),
    ("an entry's link", update(f"UPDATE journal SET prev_hash = '{'a' * 64}' WHERE seq = 8"), "changed", 8, ""),
    ("one entry hashed anew", several(update(CHANGE), hashed_from(8, last=8, tip=False)), "rehashed", 8, "rewritten"),
    ("all entries after it hashed anew", several(update(CHANGE), hashed_from(8, tip=False)), "rehashed", LAST, "end"),
    ("... and the tip replaced", several(update(CHANGE), hashed_from(8)), "tip_forged", LAST, "seal"),
    ("... the signed head tells, too", several(update(CHANGE), hashed_from(8)), "head_mismatch", HEAD, "rewritten"),
    ("... and its entry", several(update(CHANGE), hashed_from(8)), "head_forged", 10, "another journal"),
    ("the tail after the last head hashed anew",
     several(update("UPDATE journal SET note = 'x' WHERE seq = 13"), hashed_from(13)),
     "tip_forged", LAST, "seal does not hold"),
    ("... says where from",
     several(update("UPDATE journal SET note = 'x' WHERE seq = 13"), hashed_from(13, tip=False)),
     "rehashed", LAST, f"after entry {HEAD}, the last signed head that holds"),
    ("an entry removed", update("DELETE FROM journal WHERE seq = 8"), "missing", 8, "entry 8 is missing"),
    ("several entries removed", update("DELETE FROM journal WHERE seq IN (7, 8, 9)"), "missing", 7, "entries 7 to 9"),
    ("the signed entry removed", update(f"DELETE FROM journal WHERE seq = {HEAD}"), "missing", HEAD, "is missing"),
    ("the first entries removed", update("DELETE FROM journal WHERE seq <= 3"), "missing", 1, "no checkpoint"),
    ("an entry removed and the gap closed",
     several(update("DELETE FROM journal WHERE seq = 8"), lambda c: shift(c, 9, -1), hashed_from(8)),
     "tip_forged", LAST - 1, "seal"),
    ("... without the tip",
     several(update("DELETE FROM journal WHERE seq = 8"), lambda c: shift(c, 9, -1), hashed_from(8, tip=False)),
     "cut_off", LAST, f"entry {LAST} is missing"),
    ("an entry put in",
     several(lambda c: shift(c, 8, 1), lambda c: copy_entry(c, 7, 8), hashed_from(8)), "tip_forged", LAST + 1, "seal"),
    ("an entry put in and only its successors' numbers changed",
     several(lambda c: shift(c, 8, 1), lambda c: copy_entry(c, 7, 8)), "changed", 8, ""),
    ("an entry put in at the end",
     several(lambda c: copy_entry(c, LAST, LAST + 1), hashed_from(LAST + 1, tip=False)),
     "inserted", LAST + 1, "behind the journal's tip"),
    ("two entries swapped", swap(7, 8), "changed", 7, ""),
    ("two entries swapped and hashed anew", several(swap(7, 8), hashed_from(7)), "tip_forged", LAST, ""),
    ("the last entry cut off", update(f"DELETE FROM journal WHERE seq = {LAST}"), "cut_off", LAST, f"entry {LAST} is"),
    ("the tail cut off", update("DELETE FROM journal WHERE seq > 12"), "cut_off", 13, "entries 13 to 18"),
    ("... and the tip set back",
     several(update("DELETE FROM journal WHERE seq > 12"), hashed_from(12)), "tip_forged", 12, "seal"),
    ("... an alert still points there",
     several(update("DELETE FROM journal WHERE seq > 12"), hashed_from(12)), "beyond", 13, "points to entry"),
    ("the tail with a signed head cut off",
     several(update("DELETE FROM journal WHERE seq > 8"), hashed_from(8)), "cut_off", 9, "had reached entry 9"),
    ("the tip taken away", update("DELETE FROM journal_tip"), "tip_missing", LAST, ""),
    ("the tip's seal changed", update("UPDATE journal_tip SET mac = 'ä'"), "tip_forged", LAST, ""),
    ("the whole journal taken away",
     several(update("DELETE FROM journal"), update("DELETE FROM journal_tip")), "cut_off", 1, "had reached entry 9"),
    ("a signed head taken away", update("DELETE FROM signed_head"), "head_missing", HEAD, "is missing"),
    ("a signed head moved", update("UPDATE signed_head SET seq = 8"), "head_forged", 8, "signature"),
    ("a signed head's hash changed", update(f"UPDATE signed_head SET hash = '{'b' * 64}'"), "head_forged", HEAD, ""),
    ("a signed head's moment changed",
     update(f"UPDATE signed_head SET at = {OLD}"), "head_forged", HEAD, "signature"),
    ("a signed head forged",
     update("INSERT INTO signed_head (id, seq, hash, at, why, key_id, signature) SELECT 99, 12, hash, at, 'hourly', "
            "'0', 'AAAA' FROM journal WHERE seq = 12"), "head_forged", 12, "signature"),
    ("a checkpoint forged",
     several(
         update("INSERT INTO journal_checkpoint (id, up_to_seq, hash, at, removed, key_id, signature) "
                "SELECT 1, 3, hash, at, '{}', '0', 'AAAA' FROM journal WHERE seq = 3"),
         update("DELETE FROM journal WHERE seq <= 3")), "checkpoint_forged", 3, "signature"),
    ("a signed head passed off as a checkpoint",
     several(
         update("INSERT INTO journal_checkpoint (id, up_to_seq, hash, at, removed, key_id, signature) "
                "SELECT 1, seq, hash, at, '{}', key_id, signature FROM signed_head"),
         update(f"DELETE FROM journal WHERE seq <= {HEAD}")), "checkpoint_forged", HEAD, "signature"),
]  # fmt: skip
ALERT_ATTACKS: list[tuple[str, str, str, str]] = [
    # name, what is done, what must be found, a part of its sentence
    ("its state", f"UPDATE alert SET state = 'resolved' WHERE alert_id = '{SECOND}'", "alert_changed", "state is"),
    ("its version", "UPDATE alert SET version = 7 WHERE seq = 1", "alert_changed", "version is 7 instead of"),
    ("its assignee", "UPDATE alert SET assignee = 'li' WHERE seq = 2", "alert_changed", "assignee is li"),
    ("its reason", "UPDATE alert SET reason = 'test' WHERE seq = 3", "alert_changed", "reason is test"),
    ("who closed it", "UPDATE alert SET closed_by = 'wang' WHERE seq = 3", "alert_changed", "closed_by is wang"),
    ("when it was seen", "UPDATE alert SET seen_at = NULL WHERE seq = 1", "alert_changed", "seen_at"),
    ("its reopening", "UPDATE alert SET reopened = 0 WHERE seq = 1", "alert_changed", "reopened is 0"),
    ("its severity", "UPDATE alert SET severity = 'low' WHERE seq = 1", "alert_changed", "severity is low"),
    ("its camera", "UPDATE alert SET camera = 'car-park' WHERE seq = 1", "alert_changed", "camera is car-park"),
    ("its rule", "UPDATE alert SET rule = 'x' WHERE seq = 1", "alert_changed", "rule is x"),
    ("its zone", "UPDATE alert SET zone = NULL WHERE seq = 1", "alert_changed", "zone is none instead of lawn"),
    ("its label", "UPDATE alert SET label = 'dog' WHERE seq = 1", "alert_changed", "label is dog instead of person"),
    ("its run", "UPDATE alert SET run = 'r' WHERE seq = 1", "alert_changed", "run is r"),
    ("its drill", "UPDATE alert SET drill = (1 = 1) WHERE seq = 1", "alert_changed", "drill is True instead of False"),
    ("its measures", "UPDATE alert SET measured = '{}' WHERE seq = 1", "alert_changed", "measured is {}"),
    ("its time", "UPDATE alert SET end_s = 1 WHERE seq = 1", "alert_changed", "end_s is"),
    ("its moment", f"UPDATE alert SET ended_at = {OLD} WHERE seq = 1", "alert_changed", "ended_at"),
    ("its place in the list", f"UPDATE alert SET sort_at = {OLD} WHERE seq = 1", "alert_changed", "sort_at"),
    ("its arrival", f"UPDATE alert SET received_at = {OLD} WHERE seq = 1", "alert_changed", "received_at"),
    ("its snapshot", "UPDATE alert SET snapshot = 'other.jpg' WHERE seq = 1", "alert_changed", "snapshot is other.jpg"),
    ("its clip", "UPDATE clip SET path = 'other.mp4'", "alert_changed", "clips are ['other.mp4']"),
    ("its clip taken away", "DELETE FROM clip", "alert_changed", "its clips are []"),
    ("its evidence", "UPDATE alert SET media = 'pending' WHERE seq = 1", "alert_changed", "media is pending"),
    ("its pointer", "UPDATE alert SET journal_seq = 3 WHERE seq = 1", "alert_changed", "points to entry 3"),
    ("its pointer beyond the end", "UPDATE alert SET journal_seq = 99 WHERE seq = 1", "beyond", "points to entry 99"),
    ("an event's body", "UPDATE event SET body = '{}' WHERE seq = 1", "alert_changed", "000001 was changed"),
    ("an event's moment", "UPDATE event SET raised_at = NULL WHERE seq = 1", "alert_changed", "raised at none"),
    ("an event taken away", "DELETE FROM event WHERE seq = 4", "alert_changed", "000004 is missing"),
    ("an event given to another", "UPDATE event SET alert_seq = 1 WHERE seq = 2", "alert_changed", "was never raised"),
    ("its incident", "UPDATE alert SET incident_seq = NULL WHERE seq = 1", "alert_changed", "incident none instead of"),
    ("an incident's title", "UPDATE incident SET title = 'nothing'", "incident_changed", "instead of a burglary"),
    ("an incident's state", "UPDATE incident SET state = 'open'", "incident_changed", "state is open"),
    ("how many there are", "UPDATE alert_count SET number = number + 1", "count", "are counted as"),
]  # fmt: skip


def found(report: Report, what: str, seq: int | None, part: str) -> bool:
    return any(f.what == what and f.seq == seq and part in f.message for f in report.findings)


def test_what_was_not_touched_is_intact(site: tuple[str, Path]) -> None:
    report = audit_of(*site)
    assert report.intact, report.findings
    assert (report.first, report.last, report.entries, report.alerts, report.heads) == (1, LAST, LAST, 4, 1)


def test_two_things_that_go_on_at_once_are_intact(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        desk = services.desk
        for n in (1, 2, 3):
            at_s = 1000.0 + 3 * n
            for event in (make_event(n, at_s), crossing(n, at_s + 1)):
                alert_id = desk.take(event).alert_id
                desk.attach_media(alert_id, snapshot=None, clips=[Clip("a.mp4", 1.0, 2.0), Clip("b.mp4", 3.0, 4.0)])
    report = audit_of(database, media)
    assert report.intact, report.findings
    assert report.alerts == 2


@pytest.mark.parametrize(("attack", "what", "seq", "part"), [row[1:] for row in ATTACKS], ids=[a[0] for a in ATTACKS])
def test_the_journal(lived: tuple[str, Path], attack: Attack, what: str, seq: int | None, part: str) -> None:
    with attacked(lived, attack) as report:
        assert found(report, what, seq, part), report.findings


@pytest.mark.parametrize(
    ("statement", "what", "part"), [row[1:] for row in ALERT_ATTACKS], ids=[row[0] for row in ALERT_ATTACKS]
)
def test_an_alert(lived: tuple[str, Path], statement: str, what: str, part: str) -> None:
    with attacked(lived, update(statement)) as report:
        assert any(f.what == what and part in f.message for f in report.findings), report.findings


def test_all_attacks_were_undone(lived: tuple[str, Path]) -> None:
    assert audit_of(*lived).intact


def test_an_alert_taken_away(site: tuple[str, Path]) -> None:
    with raw(site[0]) as connection:
        for statement in (
            "DELETE FROM clip",
            "DELETE FROM event WHERE alert_seq = 1",
            "DELETE FROM alert WHERE seq = 1",
        ):
            sql(connection, statement)
    assert any(f.what == "alert_missing" and FIRST in f.message for f in audit_of(*site).findings)


def test_an_alert_put_in(site: tuple[str, Path]) -> None:
    with raw(site[0]) as connection:
        names = [
            c for c in sql(connection, "SELECT * FROM alert WHERE seq = 1")[0]._mapping if c not in ("seq", "alert_id")
        ]
        listed = ", ".join(names)
        made_up = f"SELECT 77, 'alert.made-up', {listed} FROM alert WHERE seq = 1"
        sql(connection, f"INSERT INTO alert (seq, alert_id, {listed}) {made_up}")
    with reopened(*site):
        pass  # A restart adopts nothing that came later.
    assert any(f.what == "inserted" and "alert.made-up" in f.message for f in audit_of(*site).findings)


def test_text_that_no_text_can_be_is_named_and_does_not_stop_the_audit(site: tuple[str, Path]) -> None:
    if "://" in site[0]:
        pytest.skip("PostgreSQL takes no such text")
    with raw(site[0]) as connection:
        sql(connection, "UPDATE journal SET note = CAST(X'ff00fe' AS TEXT) WHERE seq = 8")
        sql(connection, "UPDATE journal SET body = X'00' WHERE seq = 9")
        sql(connection, "UPDATE alert SET note = CAST(X'ff' AS TEXT), state = 3 WHERE seq = 2")
        sql(connection, "UPDATE alert SET measured = '{', started_at = 7 WHERE seq = 3")
    report = audit_of(*site)
    assert {f.seq for f in report.findings if f.what == "changed"} == {8, 9}
    assert sum(f.what == "alert_changed" for f in report.findings) >= 2


# What only somebody outside can know


def test_a_rolled_back_database_is_found_by_a_kept_head_alone(database: str, media: Path) -> None:
    if "://" in database:
        pytest.skip("copies a file")
    with reopened(database, media) as services:
        live(services, head=False)
    copy = Path(database).read_bytes()
    with reopened(database, media) as services:
        services.desk.act(SECOND, "resolve", reason="other", note="x")
        head = services.heads.sign("asked")
    for leftover in ("-wal", "-shm"):
        Path(database + leftover).unlink(missing_ok=True)
    Path(database).write_bytes(copy)
    kept = (media / HEADS_FILE).rename(media / "kept.jsonl")
    assert audit_of(database, media).intact  # Impossible to see from inside.
    kept.rename(media / HEADS_FILE)
    report = audit_of(database, media)
    assert found(report, "cut_off", report.last + 1, f"had reached entry {head.seq}")


def test_a_wiped_journal_is_not_begun_as_if_it_were_the_first(site: tuple[str, Path]) -> None:
    database, media = site
    with reopened(database, media) as services:
        services.heads.sign("asked")
    with raw(database) as connection:
        for table in ("journal", "journal_tip", "signed_head"):
            sql(connection, f"DELETE FROM {table}")
    with reopened(database, media):
        pass
    assert any(f.what == "replaced" for f in audit_of(database, media).findings)


@pytest.mark.parametrize(
    "attack",
    [
        several(update(CHANGE), hashed_from(8)),
        several(update("DELETE FROM journal WHERE seq > 12"), hashed_from(12)),
        update("DELETE FROM journal WHERE seq > 12"),
        update("DELETE FROM journal_tip"),
        several(lambda c: copy_entry(c, LAST, LAST + 1), hashed_from(LAST + 1)),
    ],
    ids=["rehashed", "cut off with the tip", "cut off", "no tip", "put in at the end"],
)
def test_gatewatch_does_not_seal_what_somebody_else_wrote(site: tuple[str, Path], attack: Attack) -> None:
    """The next entries go on from there, and the seal is theirs again: but one of them says what was found."""
    with raw(site[0]) as connection:
        attack(connection)
    with reopened(*site) as services:
        services.desk.act(SECOND, "resolve", reason="other", note="x")
        services.heads.sign("asked")
    report = audit_of(*site)
    assert any(f.what == "seal_broken" for f in report.findings), report.findings
    assert not any(f.what in ("tip_forged", "tip_missing") for f in report.findings)


def test_a_running_gatewatch_finds_its_tip_set_back(services: Services, database: str, media: Path) -> None:
    live(services)
    with raw(database) as connection:
        tip = sql(connection, "SELECT seq, hash, mac FROM journal_tip")[0]
    services.desk.act(SECOND, "note", note="after the copy")
    with raw(database) as connection:
        sql(connection, "DELETE FROM journal WHERE seq > :s", s=tip.seq)
        sql(connection, "UPDATE journal_tip SET seq = :s, hash = :h, mac = :m", s=tip.seq, h=tip.hash, m=tip.mac)
    services.desk.act(SECOND, "note", note="once more")
    assert any(f.what == "seal_broken" for f in audit_of(database, media).findings)


# Without the key, or with another


def test_without_the_key_file_it_says_what_it_could_not_check(site: tuple[str, Path]) -> None:
    keys = SiteKeys.load(site[1] / "gatewatch.key")
    report = audit_of(*site, keys=None)
    assert report.intact
    assert len(report.unchecked) == 2
    report = audit_of(*site, keys=None, public_key=keys.public_key)
    assert report.intact
    assert [("seal" in what) for what in report.unchecked] == [True]
    other = audit_of(*site, keys=None, public_key=SiteKeys.ephemeral().public_key)
    assert found(other, "head_forged", HEAD, "signature")


def test_a_replaced_key_file_is_told_by_the_public_key(site: tuple[str, Path]) -> None:
    keys = SiteKeys.load(site[1] / "gatewatch.key")
    report = audit_of(*site, keys=SiteKeys.ephemeral(), public_key=keys.public_key)
    assert {f.what for f in report.findings} == {"key_replaced", "tip_forged"}
