"""The words of the page: both languages say the same things, and say all that the page asks for."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from api.access.principal import ROLES
from api.alerts import STATES
from api.lifecycle import ACTIONS, VERDICT_OF

PAGE = files("api").joinpath("page")
MORE = ("raised", "joined", "evidence", "evidence_missing", "merged", "unmerged", "removed")


def book(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(PAGE.joinpath(name).read_text(encoding="utf-8"))
    return content


def leaves(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, str):
        return {path: value}
    return {name: text for key, inner in value.items() for name, text in leaves(inner, f"{path}/{key}").items()}


@pytest.mark.parametrize("name", ["texts.json", "phrases.json"])
def test_both_languages_have_the_same_words_with_the_same_blanks(name: str) -> None:
    english, chinese = (leaves(book(name)[language]) for language in ("en", "zh-CN"))
    assert english.keys() == chinese.keys()
    differ = [
        path for path, text in english.items()
        if not path.startswith("/measured/")  # Not every language names both numbers.
        and set(re.findall(r"\{\w+\}", text)) != set(re.findall(r"\{\w+\}", chinese[path]))
    ]  # fmt: skip
    assert differ == []


def test_all_that_the_page_says_has_words() -> None:
    page = book("phrases.json")["en"]["page"]
    sources = "".join(
        file.read_text(encoding="utf-8") for file in PAGE.iterdir() if file.name.endswith((".js", ".html"))
    )
    asked = set(re.findall(r'\bsay\("(\w+)"', sources)) | set(
        re.findall(r'data-(?:text|label|title|hint)="(\w+)"', sources)
    )
    assert asked - page.keys() == set()


def test_whatever_can_happen_to_an_alert_has_words() -> None:
    page = book("phrases.json")["en"]["page"]
    assert {f"did_{action}" for action in (*ACTIONS, *MORE)} <= page.keys()
    assert {f"confirm_{action}" for action in ACTIONS if action != "seen"} <= page.keys()
    assert {f"title_{action}" for action in VERDICT_OF} <= page.keys()
    assert set(book("phrases.json")["en"]["role"]) == set(ROLES)
    assert set(book("texts.json")["en"]["state"]) == set(STATES)
