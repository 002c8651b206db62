"""`python -m tests.api.journal.kills --times 200 [--database URL | --postgresql]`: kills Gatewatch while it writes.

A child process takes alerts, acknowledges and closes them, with a webhook registered, and reports each write on a pipe
once it was answered. At a random moment it is killed (SIGKILL); on PostgreSQL, some of the time, the server's process
that serves it is killed just before, in the middle of what it does. Then the database is opened again: every reported
write must be there, its journal entry and its outbox message, too, and the audit must find nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text

from api.access.principal import PERMISSIONS, Principal
from api.errors import DeskError
from api.journal import SYSTEM, Actor, Entry
from api.sender import SenderOptions
from api.services import Services, open_services
from api.targets import Reach
from benchmarks.postgres import postgres_server
from tests.api.journal.lives import audit_of, raw, sql
from tests.api.scenes import make_event

ROUNDS_ON_ONE = 10
"""Kills that one database goes through."""
WRITERS = 2
LONGEST_S = 0.4
BACKENDS = 0.3
"""Share of the rounds on PostgreSQL in which the server's process is killed first."""
ADMINISTRATOR = Principal("user", "root", "administrator", frozenset(PERMISSIONS))
QUIET = SenderOptions(reach=Reach.parse("127.0.0.0/8"))


@dataclass
class Tally:
    kills: int = 0
    backends: int = 0
    reported: int = 0
    unreported: int = 0
    """Entries that were there although nobody had been told: the kill came between."""
    faults: list[str] = field(default_factory=list)


def child(where: Path | str, media: Path, seed: int, pipe: int) -> None:
    """Writes until it is killed."""
    with open_services(where, media_dir=media, sending=QUIET) as services:
        told = threading.Lock()
        said = threading.local()

        def heard(entries: Sequence[Entry]) -> None:
            said.entries = entries  # By the thread that wrote.

        services.ledger.listen(heard)

        def report(alert_id: str, state: str) -> None:
            line = {"alert": alert_id, "state": state, "entries": [(e.seq, e.hash) for e in said.entries]}
            with told:
                os.write(pipe, (json.dumps(line) + "\n").encode())

        def work(number: int) -> None:
            chance = random.Random(f"{seed} {number}")
            guard = Actor("user", f"guard{number}", "192.0.2.1")
            count = 0
            while True:
                count += 1
                try:
                    event = make_event(seed * 10_000 + count, 1000.0 * count, camera=f"camera{number}-{seed}")
                    alert = services.desk.take(event)
                    report(alert.alert_id, "new")
                    services.desk.act(alert.alert_id, "acknowledge", actor=guard)
                    report(alert.alert_id, "acknowledged")
                    if chance.random() < 0.5:
                        services.desk.act(alert.alert_id, "resolve", reason="other", note="done", actor=guard)
                        report(alert.alert_id, "resolved")
                    if chance.random() < 0.1:
                        services.heads.sign("asked")
                except DeskError:
                    time.sleep(0.002)  # The server's process was killed: what was not reported may be lost.

        threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def started(where: Path | str, media: Path, seed: int) -> tuple[int, int]:
    """(process, pipe) of a child."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        try:
            child(where, media, seed, writer)
        finally:
            os._exit(1)
    os.close(writer)
    return process, reader


def one_kill(where: str, media: Path, seed: int, tally: Tally) -> None:
    chance = random.Random(seed)
    process, pipe = started(where if "://" in where else Path(where), media, seed)
    try:
        first = os.read(pipe, 65536) if select.select([pipe], [], [], 30.0)[0] else b""  # It writes.
        time.sleep(chance.random() * LONGEST_S)
        if "://" in where and chance.random() < BACKENDS:
            tally.backends += _kill_backend(where)
            time.sleep(chance.random() * 0.05)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    written = first
    while block := os.read(pipe, 65536):
        written += block
    os.close(pipe)
    tally.kills += 1
    lines = [json.loads(line) for line in written.split(b"\n")[:-1]]
    if not lines:
        tally.faults.append(f"seed {seed}: the child wrote nothing")
    tally.reported += len(lines)
    _look(where, media, seed, lines, tally)


def _kill_backend(where: str) -> int:
    """SIGKILL for a process of the server: it then takes all its connections down and recovers from its log."""
    try:
        with raw(where) as connection:
            found = sql(
                connection, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
                "application_name = 'gatewatch' AND state <> 'idle' ORDER BY random() LIMIT 1",
            )  # fmt: skip
            if not found:
                return 0
            os.kill(found[0].pid, signal.SIGKILL)
    except OSError:
        return 0
    except Exception as error:  # noqa: BLE001 - our own connection goes down with the others
        print(f"  (the server recovers: {type(error).__name__})", file=sys.stderr) if os.environ.get(
            "VERBOSE"
        ) else None
    return 1


def _reopened(where: str, media: Path, stack: ExitStack) -> Services:
    until = time.monotonic() + 30.0
    while True:
        try:
            opened = open_services(where if "://" in where else Path(where), media_dir=media, sending=QUIET)
            return stack.enter_context(opened)
        except DeskError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)  # The server is still recovering.


def _look(where: str, media: Path, seed: int, lines: list[dict[str, Any]], tally: Tally) -> None:
    """What was reported against what is there."""
    order = ("new", "acknowledged", "in_progress", "resolved")
    with ExitStack() as stack:
        services = _reopened(where, media, stack)
        with services.ledger.reading() as session:
            hashes = {row[0]: row[1] for row in session.execute(text("SELECT seq, hash FROM journal"))}
            messages = {row[0] for row in session.execute(text("SELECT journal_seq FROM outbox"))}
            alerts = {row[0]: row[1] for row in session.execute(text("SELECT alert_id, state FROM alert"))}
        for line in lines:
            for seq, hash_ in line["entries"]:
                if hashes.get(seq) != hash_:
                    tally.faults.append(f"seed {seed}: entry {seq} is lost")
                if seq not in messages:
                    tally.faults.append(f"seed {seed}: the message of entry {seq} is lost")
            state = alerts.get(line["alert"])
            if state is None or order.index(state) < order.index(line["state"]):
                tally.faults.append(f"seed {seed}: {line['alert']} was {line['state']} and is {state}")
        last = max((seq for line in lines for seq, _ in line["entries"]), default=0)
        tally.unreported += sum(seq > last for seq in hashes)
        services.desk.take(make_event(seed, 1e6 + 1000.0 * seed, camera="after"))  # It goes on.
    report = audit_of(where, media)
    tally.faults += [f"seed {seed}: {finding.message}" for finding in report.findings]


def prepared(where: str, media: Path) -> None:
    """A fresh database with a webhook that is told everything; nothing is sent."""
    media.mkdir(parents=True, exist_ok=True)
    with open_services(where if "://" in where else Path(where), media_dir=media, sending=QUIET) as services:
        services.webhooks.create(
            ADMINISTRATOR, SYSTEM, name="all", url="http://127.0.0.1:9009/", topics=["alert.*"], cameras=None
        )


def kills(folder: Path, times: int, *, seed: int = 1, server: str | None = None, say: bool = False) -> Tally:
    """`server`: the address of an empty PostgreSQL database (or a template of names with {}); None: SQLite."""
    tally = Tally()
    media, where = folder, ""
    for number in range(times):
        if number % ROUNDS_ON_ONE == 0:
            part = number // ROUNDS_ON_ONE
            media = folder / f"site{part}"
            where = str(media / "gatewatch.db") if server is None else _database(server, f"kills{seed}_{part}")
            prepared(where, media)
        one_kill(where, media, seed * 1000 + number, tally)
        if say and (number + 1) % ROUNDS_ON_ONE == 0:
            print(f"{number + 1} kills, {tally.reported} writes reported, {len(tally.faults)} faults", flush=True)
        if number % ROUNDS_ON_ONE == ROUNDS_ON_ONE - 1:
            shutil.rmtree(media)
    return tally


def _database(server: str, name: str) -> str:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload] # a name of our own making
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL server on which databases may be made")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server of its own")
    given = parser.parse_args()
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = given.database
        if given.postgresql:
            server = stack.enter_context(postgres_server(durable=True)).url()
        tally = kills(folder, given.times, seed=given.seed, server=server, say=True)
    for fault in tally.faults[:50]:
        print(fault)
    print(
        f"{tally.kills} kills ({tally.backends} of the server's process first), {tally.reported} reported writes, "
        f"{tally.unreported} entries unreported, {len(tally.faults)} faults, {time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if tally.faults else 0)


if __name__ == "__main__":
    main()
