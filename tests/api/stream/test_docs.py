"""The recipes of docs/arming.md and docs/streams.md, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.external import Effect, Source
from api.services import Services, open_services
from tests.api.kit import token_for
from tests.api.scenes import Site, make_event, serving
from tests.conftest import ROOT

SECRET = "the secret of the gate"
SOURCE = Source("gate-system", SECRET, {"panic_button": Effect("alert", "critical")})


def recipe(page: str, language: str, holds: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if holds in block)


def function(page: str, holds: str) -> Callable[..., Any]:
    space: dict[str, Any] = {}
    exec(compile(recipe(page, "python", holds), page, "exec"), space)
    made: Callable[..., Any] = space[holds.removeprefix("def ").partition("(")[0]]
    return made


@contextmanager
def served(folder: Path) -> Iterator[tuple[Services, str]]:
    sources = {SOURCE.name: SOURCE}
    with (
        open_services(folder / "a.db", media_dir=folder, sources=sources) as services,
        serving(create_app(services, site=Site(), version="1")) as address,
    ):
        yield services, address
        services.feed.end_streams()


def test_both_ways_to_sign_are_believed(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl or openssl is not installed")
    with served(tmp_path) as (_, address):
        send = function("arming.md", "def send(")
        event = {"event_id": "p-1", "kind": "panic_button"}
        assert send(address.rstrip("/"), "gate-system", SECRET, event)["did"] == "alert"
        assert send(address.rstrip("/"), "gate-system", SECRET, event)["duplicate"] is True
        shell = subprocess.run(
            ["sh", "-euc", recipe("arming.md", "sh", "curl")], capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "ADDRESS": address.rstrip("/"), "GATE_SYSTEM_SECRET": SECRET},
        )  # fmt: skip
        assert '"did":"alert"' in shell.stdout, (shell.stdout, shell.stderr)


def test_the_socket_of_the_page_goes_on_where_it_was(tmp_path: Path) -> None:
    with served(tmp_path) as (services, address):
        listen = function("streams.md", "def listen(")
        server, token = "ws" + address.removeprefix("http").rstrip("/"), token_for(services, "guard")
        last = services.feed.head()
        for number in (1, 2):
            services.desk.take(make_event(number, 1000.0 * number))
            message = next(listen(server, token, last))
            assert (message["id"], message["event"]) == (last + 1, "alert.raised")
            last = message["id"]
