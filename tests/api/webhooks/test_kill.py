"""The process is killed while a message is on its way: it is sent again, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from api.services import open_services
from tests.api.scenes import make_event
from tests.api.webhooks.kit import Received, hook, quick, receiver

ROOT = Path(__file__).resolve().parents[3]
SENDS = """
import os, signal, sys, threading
from pathlib import Path
from api.services import open_services
from tests.api.webhooks.kit import quick

database, media, moment = sys.argv[1:]
with open_services(database, media_dir=Path(media), sending=quick()) as services:
    if moment == "before the result is kept":
        services.webhooks.sender._store = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    print(os.getpid(), flush=True)
    services.webhooks.start()
    threading.Event().wait()
"""


@pytest.mark.parametrize("moment", ["before the answer", "before the result is kept"])
def test_a_killed_sender_sends_again_and_loses_nothing(database: str, media: Path, moment: str) -> None:
    victim: list[int] = []

    def reply(_: Received, __: BaseHTTPRequestHandler) -> int:
        if victim and len(served.got) == 3:
            os.kill(victim.pop(), signal.SIGKILL)
        return 200

    with receiver(reply) as served:
        with open_services(database, media_dir=media, sending=quick()) as services:
            hook(services, served.url, "alert.raised")
            ids = [services.desk.take(make_event(n, 1000.0 * n)).alert_id for n in range(1, 6)]
        command = [sys.executable, "-c", SENDS, database, str(media), moment]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as sender:
            assert sender.stdout is not None
            pid = int(sender.stdout.readline())
            if moment == "before the answer":
                victim.append(pid)
            assert sender.wait(30) == -signal.SIGKILL
        before = list(served.got)
        assert len(before) == (3 if moment == "before the answer" else 1)
        with open_services(database, media_dir=media, sending=quick()) as services:
            services.webhooks.start()
            got = served.wait(6)
        told = list(dict.fromkeys(one.json["subject_id"] for one in got))
    assert told == ids
    again = [one.message_id for one in got].count(before[-1].message_id)
    assert again == 2
    assert len({one.message_id for one in got}) == 5
