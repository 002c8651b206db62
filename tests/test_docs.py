"""What the README and the docs say is there, is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOSTS = re.compile(r"(py[p]i|npm[j]s|pythonhoste[d]|deb[.]debia[n])[.](org|com)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:\.venv/bin/)?\bgatewatch ((?:demo|run|reanalyse|check|models|bench)(?: [a-z]+)?)\b")
FILE = re.compile(r"\b(?:models|pipeline|rules|api|gatewatch|tests)/\w+\.py\b")
GROUPS = {"models", "bench"}


def documented_commands() -> list[str]:
    found = set()
    for page in PAGES:
        for words in COMMAND.findall(page.read_text()):
            first, *rest = words.split()
            found.add(" ".join([first, *rest[:1]]) if first in GROUPS else first)
    return sorted(found)


def test_every_page_names_commands_somewhere() -> None:
    assert {"demo", "check", "reanalyse", "models list", "bench speed"} <= set(documented_commands())


@pytest.mark.parametrize("command", documented_commands())
def test_documented_command_exists(command: str) -> None:
    line = [sys.executable, "-m", "gatewatch", *command.split(), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: gatewatch" in done.stdout


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?=`|\n)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if not link.startswith(("http:", "https:"))]
    assert not [link for link in targets if not (page.parent / link).exists()]


def test_the_files_of_the_architecture_are_there() -> None:
    named = FILE.findall((ROOT / "docs/architecture.md").read_text())
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_every_rule_has_a_page_that_the_readme_links() -> None:
    from rules.registry import RULES

    readme = (ROOT / "README.md").read_text()
    assert RULES
    for kind, rule in RULES.items():
        page = ROOT / "docs/rules" / f"{kind}.md"
        assert page.is_file(), f"{kind} has no page"
        assert f"docs/rules/{kind}.md" in readme
        text = page.read_text()
        own = set(rule.Config.model_fields) - {"name", "kind", "labels", "severity", "schedule", "anchor", "cooldown_s"}
        assert not [name for name in own if name not in text], f"{page.name} leaves out a parameter"


def test_every_setting_of_the_site_file_is_listed() -> None:
    from gatewatch.docs import page as current_page

    page = (ROOT / "docs/configuration.md").read_text()
    assert page == current_page()


def test_nothing_names_a_registry_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=False)
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        pytest.skip("not a git checkout")
    tracked = [
        ROOT / name for name in names if Path(name).suffix in {"", ".py", ".md", ".toml", ".txt", ".yaml", ".js"}
    ]
    assert not [str(path) for path in tracked if path.is_file() and HOSTS.search(path.read_text(errors="ignore"))]


def test_the_version_is_in_the_changelog() -> None:
    version = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
