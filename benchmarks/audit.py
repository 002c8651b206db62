"""`python -m benchmarks.audit [--entries 1000000]`: how long the audit of a large journal takes, in how much memory."""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.audit import Trust, audit_database
from api.desk import Desk
from api.desk_journal import facts
from api.journal import Actor, Entry, canonical, hash_of, tip_text
from api.keys import KEY_FILE, SiteKeys
from api.services import open_services
from api.storage.facets import folded
from rules.types import Measured, RuleEvent

ENTRIES_EACH = 4
"""Of an alert: raised, evidence, acknowledged, resolved."""
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
BATCH = 5000


def _event(number: int) -> RuleEvent:
    at = START + timedelta(seconds=number)
    return RuleEvent(
        event_id=f"north-gate.lawn.{number:07}", camera="north-gate", rule="lawn", kind="loitering", severity="high",
        zone="lawn", line=None, direction=None, label="person", track_ids=(number,), start_s=float(number),
        raised_s=float(number), started_at=at, raised_at=at, measured={"dwell_s": Measured(34.2, 30.0)},
        path=tuple((float(step), 0.2 + 0.05 * step, 0.7) for step in range(5)),
    )  # fmt: skip


def _live_once(desk: Desk) -> str:
    """One alert by the real way, from which the others are copied."""
    alert = desk.take(_event(0))
    desk.attach_media(alert.alert_id, snapshot="snapshots/0.jpg")
    desk.act(alert.alert_id, "acknowledge", actor=Actor("user", "wang", "192.0.2.7"))
    desk.act(alert.alert_id, "resolve", reason="other", note="done", actor=Actor("user", "wang", "192.0.2.7"))
    return alert.alert_id


def fill(database: Path, folder: Path, entries: int) -> SiteKeys:
    """A database in which each alert has its entries, as they would have been written."""
    with open_services(database, media_dir=folder) as services:
        first = _live_once(services.desk)
        record = services.desk.get(first)
    keys = SiteKeys.load(folder / KEY_FILE)
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous=OFF")
        alert = dict(connection.execute("SELECT * FROM alert").fetchone())
        event = dict(connection.execute("SELECT * FROM event").fetchone())
        told = [dict(row) for row in connection.execute("SELECT * FROM journal WHERE subject = 'alert' ORDER BY seq")]
        last = connection.execute("SELECT seq, hash FROM journal_tip").fetchone()
        copies = _copies(record.alert, alert, event, told, last["seq"], last["hash"], entries // ENTRIES_EACH)
        piece: dict[str, list[dict[str, Any]]] = {"alert": [], "event": [], "alert_note": [], "journal": []}
        seq, hash_ = last["seq"], last["hash"]
        for number, (table, row) in enumerate(copies, 1):
            piece[table].append(row)
            if table == "journal":
                seq, hash_ = row["seq"], row["hash"]
            if number % BATCH == 0:
                _insert(connection, piece)
        _insert(connection, piece)
        mac = keys.seal(tip_text(seq, hash_))
        connection.execute("UPDATE journal_tip SET seq = ?, hash = ?, mac = ?", (seq, hash_, mac))
    connection.close()
    return keys


def _copies(
    pattern: Any, alert: dict[str, Any], event: dict[str, Any], told: list[dict[str, Any]], seq: int, hash_: str, n: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    from dataclasses import replace

    for number in range(1, n + 1):
        made = _event(number)
        body = made.to_json()
        moment = f"{made.raised_at:%Y-%m-%d %H:%M:%S.%f}"
        copy = replace(
            pattern, alert_id=f"alert.{made.event_id}", event_ids=(made.event_id,), start_s=made.start_s,
            end_s=made.raised_s, started_at=made.started_at, ended_at=made.raised_at, state="new",
            snapshot=None,
        )  # fmt: skip
        times = {name: moment for name in ("started_at", "ended_at", "first_raised_at", "sort_at")}
        own = {"seq": number + 1, "alert_id": copy.alert_id, "start_s": made.start_s, "end_s": made.raised_s}
        journal = []
        for row in told:
            seq += 1
            text = canonical(facts(copy, [body])) if row["action"] == "raised" else row["body"]
            at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC)
            entry = Entry(
                seq, at, Actor(row["actor_kind"], row["actor"], row["origin"]), row["subject"], copy.alert_id,
                row["action"], row["camera"], row["version"], row["reason"], row["note"], {}, hash_,
            )  # fmt: skip
            prev, hash_ = hash_, hash_of(entry, text)
            changed = {"seq": seq, "subject_id": copy.alert_id, "body": text, "prev_hash": prev, "hash": hash_}
            journal.append(row | changed)
        yield "alert", alert | times | own | {"first_raised_s": made.raised_s, "journal_seq": seq}
        yield "event", event | {
            "seq": number + 1, "alert_seq": number + 1, "event_id": made.event_id, "raised_s": made.raised_s,
            "raised_at": moment, "body": json.dumps(body),
        }  # fmt: skip
        for note, said in enumerate((row["note"] for row in told if row["note"]), 1):
            yield "alert_note", {"sort_at": moment, "alert_seq": number + 1, "number": note, "folded": folded(said)}
        yield from (("journal", row) for row in journal)


def _insert(connection: sqlite3.Connection, piece: dict[str, list[dict[str, Any]]]) -> None:
    for table, rows in piece.items():
        if rows:
            places = ", ".join(f":{name}" for name in rows[0])
            connection.executemany(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({places})", rows)
            rows.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / "gatewatch.db"
        keys = fill(database, folder, entries)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        report = audit_database(database, Trust(keys))
        seconds = time.monotonic() - begun
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{report.entries} entries, {report.alerts} alerts: {seconds:.1f} s ({report.entries / seconds:.0f}/s), "
        f"{grown / 1024:.0f} MiB more memory than before, {report.count} findings"
    )
    for finding in report.findings[:3]:
        print(finding.message)


if __name__ == "__main__":
    main()
