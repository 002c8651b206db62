"""The desk with a million alerts: how long pages of its list take while readers ask and alerts arrive.

Readers ask on the clock, whether or not the answer before has come (open loop); what an answer took counts from the
moment at which it was due to be asked. The served process says what the same requests took inside it.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from api.keys import KEY_FILE, SiteKeys
from api.listing import Listing
from api.reasons import reasons_of
from api.records import Filters
from api.storage.database import open_database
from api.storage.ledger import Ledger
from benchmarks.desk_copy import copy_to_postgresql
from benchmarks.desk_seed import VERSION, Seeder
from benchmarks.footage import BenchError
from benchmarks.postgres import postgres_server

PAGE = 50
DEPTH = 1000
"""Pages before the deep one."""
GOAL_MS = 50.0
READERS, ARRIVALS_PER_S, SECONDS = 20, 50.0, 60.0
STEP_S = 8.0
LISTS: tuple[Mapping[str, Sequence[str]], ...] = (
    {"state": ["resolved", "false_alarm"]},
    {"severity": ["high", "critical"], "state": ["false_alarm"]},
    {"kind": ["loitering"], "label": ["person"]},
    {"text": ["car-park"], "state": ["resolved", "false_alarm", "new"]},
)
"""Filters of the readers; each list is long enough for the deep page."""


Say = Callable[[str], None]


def _quiet(_: str) -> None:
    """Tells nobody how far it is."""


@dataclass
class Answers:
    """What readers got."""

    ms: dict[str, list[float]] = field(default_factory=lambda: {"first_page": [], "deep_page": []})
    chains: dict[int, list[str]] = field(default_factory=dict)
    """By reader: the ids of its deep pages, one after the other."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def run(
    database: str = "sqlite",
    *,
    cache: Path,
    alerts: int = 1_000_000,
    seconds: float = SECONDS,
    saturation: bool = True,
    audit: bool = False,
    plans: Path | None = None,
    say: Say = _quiet,
) -> dict[str, Any]:
    """`database`: sqlite, postgresql (a server of its own) or the address of an empty PostgreSQL database.

    Raises BenchError.
    """
    with ExitStack() as stack:
        begun = time.perf_counter()
        seeded = seed(cache, alerts, say)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="desk-run-", dir=cache)))
        shutil.copy(seeded.with_name(KEY_FILE), folder / KEY_FILE)
        say(f"copying into {database.split('://')[0]} ...")
        address = stack.enter_context(_filled(database, seeded, folder))
        prepared_s = time.perf_counter() - begun
        deep = Deep(address, folder, min(DEPTH, alerts // 1000))
        with _served(address, folder, READERS) as server:
            say(f"{READERS} readers, {ARRIVALS_PER_S:g} alerts/s, {seconds:g} s ...")
            answers, told = measure(server, deep, READERS, ARRIVALS_PER_S, seconds)
            result = summary(answers, told, ARRIVALS_PER_S * seconds)
            wrong = [*answers.wrong, *deep.wrong(answers)]
            result["out_of_order"], result["found_wrong"] = len(wrong), wrong[:3]
            result["lost"] = deep.missing(told["taken"]) + told["failures"]
            if saturation:
                result["saturation"] = saturate(server, deep, say)
        if plans is not None:
            plans.write_text(_plans(address), encoding="utf-8")
        if audit:
            say("audit ...")
            result["audit"] = _audit(address, folder)
    return {
        "alerts": alerts, "readers": READERS, "arrivals_per_s": ARRIVALS_PER_S, "seconds": seconds,
        "pages_deep": deep.depth, "prepared_s": round(prepared_s, 1), "database_bytes": seeded.stat().st_size, **result,
    }  # fmt: skip


def _plans(address: str) -> str:
    from benchmarks.desk_plans import written

    engine = open_database(address)
    try:
        written(engine)  # Once for the caches.
        return written(engine)
    finally:
        engine.dispose()


def _audit(address: str, folder: Path) -> dict[str, Any]:
    from api.audit import Trust, audit_database

    begun = time.perf_counter()
    report = audit_database(address, Trust(SiteKeys.load_or_create(folder / KEY_FILE)))
    return {
        "intact": report.intact, "entries": report.entries, "alerts": report.alerts,
        "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def seed(cache: Path, alerts: int, say: Say = _quiet) -> Path:
    """An SQLite database of so many alerts, with its key beside it; kept for the next time."""
    home = cache / f"desk-{alerts}-v{VERSION}"
    done = home / "desk.db"
    if not done.exists():
        say(f"making {alerts} alerts ...")
        home.mkdir(parents=True, exist_ok=True)
        making = home / "making.db"
        making.unlink(missing_ok=True)
        Seeder(SiteKeys.load_or_create(home / KEY_FILE), alerts).fill(making)
        making.replace(done)
    open_database(done).dispose()  # One that was kept may lack what was added to the schema since.
    return done


@contextmanager
def _filled(database: str, seeded: Path, folder: Path) -> Iterator[str]:
    if database == "sqlite":
        shutil.copy(seeded, folder / "desk.db")
        yield str(folder / "desk.db")
    elif database == "postgresql":
        with postgres_server() as server:
            copy_to_postgresql(seeded, server.url())
            yield server.url()
    elif "://" in database:
        copy_to_postgresql(seeded, database)
        yield database
    else:
        raise BenchError("--database: expected sqlite, postgresql or postgresql://user:password@host/name.")


class Deep:
    """Where the readers' lists are `depth` pages deep, and what follows there."""

    def __init__(self, address: str, folder: Path, depth: int) -> None:
        self.depth, self._address, self._folder = depth, address, folder
        self.cursors = []
        with self._listing() as listing:
            for chosen in LISTS:
                cursor, left = None, depth * PAGE
                while left > 0:
                    page = listing.page(_filters(chosen), cursor=cursor, limit=min(200, left))
                    left -= len(page.records)
                    if page.next_cursor is None:
                        raise BenchError(f"The list {chosen} has fewer than {depth} pages: expected more alerts.")
                    cursor = page.next_cursor
                self.cursors.append(cursor)

    def wrong(self, answers: Answers) -> list[str]:
        """Readers whose deep pages, put together, are not the list as it is."""
        found = []
        with self._listing() as listing:
            for reader, chain in answers.chains.items():
                which = reader % len(LISTS)
                cursor, held = self.cursors[which], list[str]()
                while len(held) < len(chain):
                    page = listing.page(_filters(LISTS[which]), cursor=cursor, limit=200)
                    held += [record.alert.alert_id for record in page.records]
                    if page.next_cursor is None:
                        break
                    cursor = page.next_cursor
                if held[: len(chain)] != chain:
                    found.append(f"reader {reader}: its {len(chain)} alerts are not those of the list")
        return found

    def missing(self, alert_ids: Sequence[str]) -> int:
        """How many of these the list does not have, read from its first page on; more than once counts, too."""
        wanted, seen = set(alert_ids), 0
        with self._listing() as listing:
            cursor = None
            while True:
                page = listing.page(Filters(), cursor=cursor, limit=200)
                seen += sum(record.alert.alert_id in wanted for record in page.records)
                cursor = page.next_cursor
                # Arrivals are newer than what was there: where a page has none, there are no more.
                if cursor is None or not any(
                    record.alert.alert_id.startswith("alert.bench-") for record in page.records
                ):
                    break
        return len(wanted) - seen if seen <= len(wanted) else seen - len(wanted)

    @contextmanager
    def _listing(self) -> Iterator[Listing]:
        ledger = Ledger(open_database(self._address), SiteKeys.load_or_create(self._folder / KEY_FILE))
        try:
            yield Listing(ledger, reasons_of())
        finally:
            ledger.close()


class Server:
    """The served process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        told = self.hear()
        self.port: int = told["port"]
        self.tokens: list[str] = told["tokens"]

    def tell(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("The served process ended; its errors are above.")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def _served(address: str, folder: Path, readers: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.desk_server", str(folder), str(4 * readers)]
    environment = os.environ | {"GATEWATCH_DATABASE": address, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Server(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
        finally:
            process.kill()


def measure(server: Server, deep: Deep, readers: int, rate: float, seconds: float) -> tuple[Answers, dict[str, Any]]:
    answers = Answers()
    begin = time.perf_counter() + 0.3
    threads = [
        threading.Thread(target=_read, args=(server, deep, answers, n, begin + n / readers, seconds))
        for n in range(readers)
    ]
    for thread in threads:
        thread.start()
    server.tell(rate=rate, seconds=seconds)
    for thread in threads:
        thread.join()
    return answers, server.hear()


def _read(server: Server, deep: Deep, answers: Answers, reader: int, begin: float, seconds: float) -> None:
    chosen = urlencode({**LISTS[reader % len(LISTS)], "limit": PAGE}, doseq=True)
    cursor = deep.cursors[reader % len(LISTS)]
    headers = {"authorization": f"Bearer {server.tokens[reader % len(server.tokens)]}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    chain: list[str] = []
    at_end = False
    wrong: list[str] = []
    ms: dict[str, list[float]] = {"first_page": [], "deep_page": []}

    def ask(page: str, query: str, due: float) -> dict[str, Any]:
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        connection.request("GET", f"/api/v1/alerts?{query}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        ms[page].append((time.perf_counter() - due) * 1e3)
        told: dict[str, Any] = json.loads(body)
        if response.status != 200:
            wrong.append(f"{response.status}: {body[:200]!r}")
            return {"items": [], "next_cursor": None}
        return told

    for second in range(int(seconds)):
        items = ask("first_page", chosen, begin + second)["items"]
        order = [item["raised_at"] for item in items]
        if order != sorted(order, reverse=True) or len({item["alert_id"] for item in items}) != len(items):
            wrong.append(f"reader {reader}: a first page is out of order")
        told = ask("deep_page", f"{chosen}&cursor={cursor}", begin + second + 0.5)
        if not at_end:
            chain += [item["alert_id"] for item in told["items"]]
        at_end = at_end or told["next_cursor"] is None
        cursor = told["next_cursor"] or deep.cursors[reader % len(LISTS)]  # A short list is read again.
    connection.close()
    with answers.lock:
        answers.chains[reader] = chain
        answers.wrong += wrong
        for page, took in ms.items():
            answers.ms[page] += took


def summary(answers: Answers, told: Mapping[str, Any], wanted: float) -> dict[str, Any]:
    pages = {
        page: {"server": _spread(told["server_ms"].get(page, [])), "client": _spread(answers.ms[page])}
        for page in ("first_page", "deep_page")
    }
    return {
        **pages, "take": _spread(told["take_ms"]), "arrived": len(told["taken"]), "arrivals_wanted": int(wanted),
        "arrivals_failed": told["failures"],
    }  # fmt: skip


def saturate(server: Server, deep: Deep, say: Say) -> dict[str, Any]:
    """Raises readers and arrivals together until a page's p95 passes the goal."""
    best: dict[str, Any] = {}
    steps = []
    for factor in (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0):
        readers, rate = int(READERS * factor), ARRIVALS_PER_S * factor
        say(f"saturation: {readers} readers, {rate:g} alerts/s ...")
        for _ in range(2):  # One stall of the machine is not the end.
            answers, told = measure(server, deep, readers, rate, STEP_S)
            found = summary(answers, told, rate * STEP_S)
            p95 = max(found[page]["server"]["p95_ms"] for page in ("first_page", "deep_page"))
            within = p95 <= GOAL_MS and not answers.wrong
            step = {"readers": readers, "arrivals_per_s": rate, "p95_ms": p95, "take_p95_ms": found["take"]["p95_ms"]}
            steps.append(step)
            if within:
                break
        if not within:
            break
        best = step
    return {"last_within_goal": best, "steps": steps}


def _spread(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"number": len(values), "p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    named = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "max_ms": max(values)}
    return {"number": len(values), **{name: round(value, 1) for name, value in named.items()}}


def _filters(chosen: Mapping[str, Sequence[str]]) -> Filters:
    names: dict[str, Any] = {
        "states": chosen.get("state"), "severities": chosen.get("severity"), "kinds": chosen.get("kind"),
        "labels": chosen.get("label"), "text": chosen["text"][0] if "text" in chosen else None,
    }  # fmt: skip
    return Filters(**names)
