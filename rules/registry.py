"""Finds the rules: every file in this folder that defines one. A file that does not import stops the start-up."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any, get_args

import rules
from rules.base import Rule, RuleConfig
from rules.types import RuleError

RULES: dict[str, type[Rule[Any]]] = {}
"""kind -> rule class, in alphabetical order; filled when this module is imported."""


def load_rules() -> dict[str, type[Rule[Any]]]:
    """Imports every file of the rules folder and returns kind -> rule class.

    Raises RuleError, with the file's name, where one does not import, where a rule is incomplete, or where two rules
    have the same kind.
    """
    found: dict[str, type[Rule[Any]]] = {}
    for info in sorted(pkgutil.iter_modules(rules.__path__), key=lambda info: info.name):
        module = _import(info.name)
        for rule in _rules_of(module):
            if rule.kind in found:
                other = found[rule.kind].__module__.rpartition(".")[2]
                raise RuleError(f"rules/{info.name}.py defines kind '{rule.kind}', which rules/{other}.py has already")
            _check(rule, info.name)
            found[rule.kind] = rule
    return dict(sorted(found.items()))


def rule_class(kind: str) -> type[Rule[Any]]:
    """The rule of a kind; raises RuleError where there is none."""
    if kind not in RULES:
        raise RuleError(f"'{kind}' is not a kind of rule; expected one of {', '.join(RULES)}")
    return RULES[kind]


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"rules.{name}")
    except Exception as error:  # whatever a broken file raises, the start-up stops with the file's name
        raise RuleError(f"rules/{name}.py does not import: {type(error).__name__}: {error}") from error


def _rules_of(module: ModuleType) -> list[type[Rule[Any]]]:
    return [
        member
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, Rule)
        and member.__module__ == module.__name__
        and "kind" in vars(member)
    ]


def _check(rule: type[Rule[Any]], file: str) -> None:
    config = getattr(rule, "Config", None)
    if not (inspect.isclass(config) and issubclass(config, RuleConfig)):
        raise RuleError(f"rules/{file}.py: rule '{rule.kind}' needs a Config that derives from rules.base.RuleConfig")
    if get_args(config.model_fields["kind"].annotation) != (rule.kind,):
        raise RuleError(
            f"rules/{file}.py: the Config of rule '{rule.kind}' needs the field kind: Literal['{rule.kind}']"
        )
    if missing := sorted(getattr(rule, "__abstractmethods__", ())):
        raise RuleError(f"rules/{file}.py: rule '{rule.kind}' lacks {', '.join(missing)}")
    if not {"en", "zh-CN"} <= set(rule.title):
        raise RuleError(f"rules/{file}.py: rule '{rule.kind}' needs a title in en and zh-CN")


RULES.update(load_rules())
