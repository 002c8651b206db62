"""The receivers of docs/webhooks.md take what is sent, and nothing else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from api.lifecycle import ACTIONS as STEPS
from api.outbox import ACTIONS, TOPICS
from api.services import Services
from tests.api.scenes import make_event
from tests.api.webhooks.kit import ADMIN, WANG, Receiver, hook
from tests.api.webhooks.test_delivery import until

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/webhooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def example() -> dict[str, Any]:
    """What the page's Python defines."""
    defined: dict[str, Any] = {"__name__": "example"}
    exec(compile("\n".join(blocks("python")), "docs/webhooks.md", "exec"), defined)
    return defined


def test_the_receiver_of_the_page_takes_each_message_once(sending: Services) -> None:
    code = example()
    taken: list[dict[str, Any]] = []
    code["handle"] = taken.append
    code["Receiver"].log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), code["Receiver"]) as server:
        threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True).start()
        made, code["SECRET"] = hook(sending, f"http://127.0.0.1:{server.server_address[1]}/", "alert.raised")
        alert = sending.desk.take(make_event())
        until(sending, made.webhook_id, pending=0)
        (sent,), _ = sending.webhooks.messages(made.webhook_id, ADMIN, state=None, before=None, limit=5)
        sending.webhooks.replay(made.webhook_id, ADMIN, WANG, sent.message_id)
        until(sending, made.webhook_id, pending=0)
        code["SECRET"] = "another"
        sending.desk.take(make_event(2, 1000.0))
        until(sending, made.webhook_id, failures=1)
        server.shutdown()
    assert [message["subject_id"] for message in taken] == [alert.alert_id]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_line_for_the_shell_makes_the_same_signature(sending: Services, target: Receiver, tmp_path: Path) -> None:
    _, secret = hook(sending, target.url, "alert.raised")
    sending.desk.take(make_event())
    (one,) = target.wait(1)
    (tmp_path / "body").write_bytes(one.body)
    given = {"ID": one.message_id, "TIMESTAMP": one.headers["gatewatch-timestamp"], "SECRET": secret,
             "BODY": str(tmp_path / "body"), "PATH": "/usr/bin:/bin"}  # fmt: skip
    (line,) = blocks("bash")
    done = subprocess.run(["bash", "-c", line], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == one.headers["gatewatch-signature"]


def test_everything_that_the_journal_says_has_a_topic() -> None:
    said = set()
    for path in (*ROOT.glob("api/**/*.py"), *ROOT.glob("gatewatch/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "journal":
                texts = [one.value for one in (node.args[1], node.args[3]) if isinstance(one, ast.Constant)]
                said |= {".".join(map(str, texts))} if len(texts) == 2 else set()
    assert "webhook.created" in said
    assert {f"alert.{action}" for action in STEPS} | said <= set(TOPICS)


def test_every_topic_is_on_the_page() -> None:
    for subject, actions in ACTIONS.items():
        if f"`{subject}...`" not in PAGE:
            assert not [action for action in actions if f"`{subject}.{action}`" not in PAGE]
