"""A desk as it is after a year: alerts of sixty cameras, most of them handled, with events, notes, incidents and a
journal that the audit passes. Made in bulk, as one after the other it would take a day.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from api.alerts import Alert, Clip, opened
from api.desk_journal import evidence, facts, step_taken
from api.journal import GENESIS, SYSTEM, Actor, Entry, Subject, canonical, hash_of, tip_text
from api.keys import SiteKeys
from api.lifecycle import VERDICT_OF, Action, Step, act
from api.storage.database import open_database
from api.storage.facets import folded
from rules.types import Measured, RuleEvent, Severity

END = datetime(2026, 6, 1, tzinfo=UTC)
"""The newest alert's moment: a fixed one, so that a seeded database can be kept."""
YEAR = timedelta(days=365)
FILMED = 0.3
"""The share of alerts that have a snapshot and a clip; for the others, both have been removed by now."""
CAMERAS = 60
GUARDS = tuple(f"guard-{n:02}" for n in range(1, 26))
VERSION = 3
"""Of what is made here; a kept database of another version is made anew."""
_PLACES = ("north-gate", "lobby", "car-park", "roof", "东门", "地下车库", "loading-bay", "garden", "西侧围墙", "office")
_RULES: tuple[tuple[str, str, Severity, str | None, str | None, tuple[str, ...], int], ...] = (
    ("intrusion-night", "intrusion", "high", "lawn", None, ("person",), 30),
    ("loitering", "loitering", "medium", "entrance", None, ("person",), 30),
    ("crossing", "line_crossing", "low", None, "kerb", ("car", "person", "bicycle"), 30),
    ("tailgate", "tailgating", "medium", None, "barrier", ("car", "truck"), 8),
    ("camera-tamper", "tamper", "critical", None, None, ("camera",), 2),
)
_NOTES = (
    "cat on the lawn", "保安已到场查看", "delivery to the back door", "住户忘带门禁卡", "shadow of a tree", "清洁人员",
    "car of a resident", "误报，树影晃动", "checked on site, nothing found", "快递员", "rain on the lens", "巡逻经过",
)  # fmt: skip
_REASONS: Mapping[Action, Sequence[str]] = {
    "resolve": ("staff_member", "resident", "visitor", "delivery", "authorised", "handled_on_site", "intruder"),
    "false_alarm": ("animal", "lighting", "weather", "vegetation", "wrong_object", "rule_setup", "dirty_lens"),
    "drill": ("exercise", "test"),
}
_BULK = ("alert", "event", "clip", "journal", "alert_note")


@dataclass(frozen=True)
class _Facet:
    camera: str
    rule: str
    kind: str
    severity: Severity
    zone: str | None
    line: str | None
    label: str
    weight: float


def event_of(facet: _Facet, number: int, at: datetime, random: Random) -> RuleEvent:
    raised_s = 10.0 + number
    took = timedelta(seconds=round(random.uniform(1.0, 40.0), 1))
    x, y = round(random.uniform(0.1, 0.8), 3), round(random.uniform(0.2, 0.8), 3)
    return RuleEvent(
        event_id=f"{facet.camera}.{facet.rule}.{number:06}", camera=facet.camera, rule=facet.rule, kind=facet.kind,
        severity=facet.severity, zone=facet.zone, line=facet.line,
        direction="left_to_right" if facet.line else None, label=facet.label, track_ids=(number,),
        start_s=raised_s - took.total_seconds(), raised_s=raised_s, started_at=at - took, raised_at=at,
        measured={"dwell_s": Measured(took.total_seconds(), 1.0)},
        path=((raised_s - 1.0, x, y), (raised_s, x + 0.05, y)), versions={"gatewatch": "0", "rule": "1"},
    )  # fmt: skip


def facets(random: Random) -> list[_Facet]:
    found = []
    for number in range(CAMERAS):
        camera = f"{_PLACES[number % len(_PLACES)]}-{number:02}"
        busy = random.paretovariate(1.5)
        for rule, kind, severity, zone, line, labels, weight in _RULES:
            if random.random() < 0.2:
                continue
            for place, label in enumerate(labels):
                share = busy * weight / (1 + 3 * place)
                found.append(_Facet(camera, rule, kind, severity, zone, line, label, share))
    return found


class Seeder:
    """Fills an empty SQLite database."""

    def __init__(self, keys: SiteKeys, alerts: int, seed: int = 1) -> None:
        self._keys, self._count = keys, alerts
        self._random = Random(seed)
        self._facets = facets(self._random)
        self._seq, self._hash = 0, GENESIS
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_BULK, "incident")}
        self._pending: list[tuple[datetime, int, Action, Alert, dict[str, Any]]] = []
        self._incidents = 0

    def fill(self, path: Path) -> None:
        """Raises DeskError where there is no room."""
        open_database(path).dispose()
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for pragma in ("synchronous=OFF", "journal_mode=OFF", "foreign_keys=OFF", "cache_size=-1000000"):
                database.execute(f"PRAGMA {pragma}")
            apart = _set_apart(database)
            database.execute("BEGIN")
            self._facet_rows(database)
            for number, _ in enumerate(self._alerts(), start=1):
                if number % 5000 == 0:
                    self._flush(database)
            self._flush(database)
            mac = self._keys.seal(tip_text(self._seq, self._hash))
            database.execute(
                "INSERT INTO journal_tip (id, seq, hash, mac) VALUES (1, ?, ?, ?)", (self._seq, self._hash, mac)
            )
            for statement in apart:
                database.execute(statement)
            _summed(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode=WAL")

    def _alerts(self) -> Iterator[None]:
        random = self._random
        keys = {"key_id": self._keys.key_id, "public_key": self._keys.public_key}
        start = END - YEAR
        self._entry(SYSTEM, "journal", "1", "begun", start, keys | {"alerts": 0}, None)
        moments = sorted(start + YEAR * random.random() for _ in range(self._count))
        weights = [facet.weight for facet in self._facets]
        chosen = random.choices(range(len(self._facets)), weights, k=self._count)
        numbers = [0] * len(self._facets)
        rules: dict[tuple[str, str], int] = {}
        for seq, (at, which) in enumerate(zip(moments, chosen, strict=True), start=1):
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)
            self._do_until(at)
            facet = self._facets[which]
            numbers[which] += 1
            key = (facet.camera, facet.rule)
            rules[key] = rules.get(key, 0) + 1
            self._raise(seq, which + 1, facet, rules[key], at)
            yield
        self._do_until(END)
        for _, _, _, alert, row in sorted(self._pending, key=lambda item: item[1]):
            self._rows["alert"].append(row | _handled(alert))
        self._pending.clear()

    def _raise(self, seq: int, facet_seq: int, facet: _Facet, number: int, at: datetime) -> None:
        random = self._random
        event = event_of(facet, number, at, random)
        drill = random.random() < 0.005
        alert = opened(event, drill=drill)
        received = at + timedelta(seconds=1)
        body = event.to_json(None, None)
        entry = self._entry(SYSTEM, "alert", alert.alert_id, "raised", received, facts(alert, [body]), alert)
        shown = random.random() < FILMED
        if shown:
            alert = alert.with_media(
                snapshot=f"snapshots/{seq}.jpg",
                clips=[Clip(f"clips/{seq}.mp4", event.start_s - 5.0, event.raised_s + 5.0)],
            )
            entry = self._entry(SYSTEM, "alert", alert.alert_id, "evidence", received, evidence(alert), alert)
            (clip,) = alert.clips
            self._rows["clip"].append({
                "alert_seq": seq, "part": 1, "path": clip.path, "original": None, "from_s": clip.from_s,
                "to_s": clip.to_s, "shortfall_s": 0.0,
            })  # fmt: skip
        row = _facts(alert) | {
            "seq": seq, "facet_seq": facet_seq, "label": facet.label, "received_at": _moment(received),
            "sort_at": _moment(at), "measured": json.dumps(body["measured"]), "journal_seq": entry.seq,
            "media": "ready" if shown else "missing", "media_note": None, "incident_seq": None,
        }  # fmt: skip
        self._rows["event"].append({
            "seq": seq, "run": "", "event_id": event.event_id, "alert_seq": seq, "raised_s": event.raised_s,
            "raised_at": _moment(at), "body": json.dumps(body, ensure_ascii=False),
        })  # fmt: skip
        open_still = random.random() < (0.5 if END - at < timedelta(hours=2) else 0.0005)
        if open_still and random.random() < 0.6:
            self._rows["alert"].append(row | _handled(alert))
            return
        action: Action = (
            "claim" if open_still else "drill" if drill else random.choice(("resolve", "false_alarm", "false_alarm"))
        )
        waits = timedelta(seconds=random.expovariate(1 / 240))
        heapq.heappush(self._pending, (received + waits, seq, action, alert, row))

    def _do_until(self, moment: datetime) -> None:
        while self._pending and self._pending[0][0] <= moment:
            at, seq, action, alert, row = heapq.heappop(self._pending)
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)
            random = self._random
            # Guards have posts: each handles the alerts of some cameras.
            by = GUARDS[(row["facet_seq"] * 7 + random.randrange(3)) % len(GUARDS)]
            if random.random() < 0.3 and action != "claim":
                alert = self._step(Step("claim", at, by), alert, row)
            note = (
                random.choice(_NOTES) + (f" {seq}" if random.random() < 0.3 else "") if random.random() < 0.05 else None
            )
            reason = random.choice(_REASONS[action]) if action in VERDICT_OF else None
            alert = self._step(Step(action, at, by, reason, note), alert, row)
            if random.random() < 0.002 and action in ("resolve", "claim"):
                alert = self._merge(alert, row, at, by)
            self._rows["alert"].append(row | _handled(alert))

    def _step(self, step: Step, alert: Alert, row: dict[str, Any]) -> Alert:
        after = act(alert, step)
        given = step.reason if step.action in VERDICT_OF else None
        body, actor = step_taken(alert, after), Actor("user", step.by, "10.0.0.7")
        entry = self._entry(actor, "alert", alert.alert_id, step.action, step.at, body, after, given, step.note)
        row["journal_seq"] = entry.seq
        if step.note:
            number = 1 + sum(1 for said in self._rows["alert_note"][-3:] if said["alert_seq"] == row["seq"])
            self._rows["alert_note"].append({
                "sort_at": row["sort_at"], "alert_seq": row["seq"], "number": number, "folded": folded(step.note),
            })  # fmt: skip
        return after

    def _merge(self, alert: Alert, row: dict[str, Any], at: datetime, by: str) -> Alert:
        if self._incidents == 0 or self._random.random() < 0.4:
            self._incidents += 1
            incident_id = f"INC-{self._incidents:06}"
            self._rows["incident"].append({
                "seq": self._incidents, "incident_id": incident_id, "title": f"Incident {self._incidents}",
                "state": "open", "version": 1, "created_at": _moment(at), "created_by": by,
            })  # fmt: skip
            self._entry(
                Actor("user", by), "incident", incident_id, "opened", at, {"title": f"Incident {self._incidents}"}, None
            )
        incident_id = f"INC-{self._incidents:06}"
        after = replace(alert, version=alert.version + 1)
        entry = self._entry(
            Actor("user", by), "alert", alert.alert_id, "merged", at, {"incident_id": incident_id}, after
        )  # fmt: skip
        row |= {"incident_seq": self._incidents, "journal_seq": entry.seq}
        return after

    def _entry(
        self, actor: Actor, subject: Subject, subject_id: str, action: str, at: datetime, body: Mapping[str, Any],
        alert: Alert | None, reason: str | None = None, note: str | None = None,
    ) -> Entry:  # fmt: skip
        text = canonical(dict(body))
        # What is no alert is an incident that was just opened.
        camera, version = (None, 1) if alert is None else (alert.camera, alert.version)
        entry = Entry(
            self._seq + 1, at, actor, subject, subject_id, action, camera, version, reason, note, body, self._hash
        )
        self._seq, self._hash = entry.seq, hash_of(entry, text)
        self._rows["journal"].append({
            "seq": entry.seq, "at": _moment(at), "actor_kind": actor.kind, "actor": actor.name, "origin": actor.origin,
            "subject": subject, "subject_id": subject_id, "action": action, "camera": camera, "version": version,
            "reason": reason, "note": note, "body": text, "prev_hash": entry.prev_hash, "hash": self._hash,
        })  # fmt: skip
        return entry

    def _facet_rows(self, database: sqlite3.Connection) -> None:
        for seq, facet in enumerate(self._facets, start=1):
            database.execute(
                "INSERT INTO alert_facet (seq, camera, rule, kind, zone, line, label, before_s, after_s) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
                (seq, facet.camera, facet.rule, facet.kind, facet.zone or "", facet.line or "", facet.label),
            )

    def _flush(self, database: sqlite3.Connection) -> None:
        for table, rows in self._rows.items():
            if rows:
                names = list(rows[0])
                marks = ", ".join(f":{name}" for name in names)
                database.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
                rows.clear()


def _facts(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id, "run": alert.run, "camera": alert.camera, "rule": alert.rule, "kind": alert.kind,
        "severity": alert.severity, "zone": alert.zone, "line": alert.line, "start_s": alert.start_s,
        "end_s": alert.end_s, "first_raised_s": alert.first_raised_s, "started_at": _moment(alert.started_at),
        "ended_at": _moment(alert.ended_at), "first_raised_at": _moment(alert.first_raised_at), "drill": alert.drill,
        "snapshot": alert.snapshot,
    }  # fmt: skip


def _handled(alert: Alert) -> dict[str, Any]:
    return {
        "state": alert.state, "version": alert.version, "seen_at": _moment(alert.seen_at), "seen_by": alert.seen_by,
        "acknowledged_at": _moment(alert.acknowledged_at), "acknowledged_by": alert.acknowledged_by,
        "assignee": alert.assignee, "closed_at": _moment(alert.closed_at), "closed_by": alert.closed_by,
        "reopened": alert.reopened, "reason": alert.reason, "note": alert.note,
    }  # fmt: skip


def _moment(value: datetime | None) -> str | None:
    """As SQLite keeps it."""
    return None if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _set_apart(database: sqlite3.Connection) -> list[str]:
    """Takes indexes and triggers away, and returns what makes them again."""
    marks = ", ".join("?" * len(_BULK))
    found = database.execute(
        f"SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "
        f"AND tbl_name IN ({marks}) ORDER BY type",
        _BULK,
    ).fetchall()
    for kind, name, _ in found:
        database.execute(f"DROP {kind} {name}")
    return [sql for _, _, sql in found]


def _summed(database: sqlite3.Connection) -> None:
    """What the triggers would have kept."""
    database.execute(
        "INSERT INTO alert_count (facet_seq, state, severity, number) "
        "SELECT facet_seq, state, severity, count(*) FROM alert GROUP BY facet_seq, state, severity"
    )
    span = "max((julianday(sort_at) - julianday(started_at)) * 86400.0) + 0.01"
    database.execute(
        f"UPDATE alert_facet SET before_s = coalesce((SELECT {span} FROM alert WHERE facet_seq = alert_facet.seq), 0), "
        "after_s = 0.01"
    )
    database.execute("ANALYZE")
