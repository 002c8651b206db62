"""The reasons of a site file: what its lines say about each other, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.reasons import DEFAULT_REASONS, VERDICTS, Reason, Reasons, reasons_of
from gatewatch.site_messages import found
from gatewatch.site_model import AlertsConfig, ReasonConfig
from gatewatch.site_yaml import Document, Path

_AT: Path = ("alerts", "reasons")


def reason_problems(document: Document) -> Iterator[tuple[Path, str]]:
    """Codes that come twice, labels in no language, and verdicts that nobody could give for want of a reason."""
    alerts = document.value.get("alerts")
    reasons = alerts.get("reasons", []) if isinstance(alerts, dict) else []
    if not isinstance(alerts, dict) or not isinstance(reasons, list):
        return
    known: dict[str, int] = {}
    for index, reason in enumerate(reasons):
        if not isinstance(reason, dict):
            continue
        label = reason.get("label")
        if isinstance(label, dict) and not any(value is not None for value in label.values()):
            path: Path = (*_AT, index, "label")
            yield path, document.problem(path, "expected a label in en or zh-CN, found none")
        code = reason.get("code")
        if not isinstance(code, str):
            continue
        path = (*_AT, index, "code")
        if code in known:
            text = f"expected each code once, found {found(code)} again (first on line {known[code]})"
            yield path, document.problem(path, text)
        else:
            known[code] = document.line(path)
    missing = _without_reason(reasons, alerts.get("default_reasons"))
    if missing is not None:
        path = _AT if "reasons" in alerts else ("alerts", "default_reasons")
        yield path, document.problem(path, f"expected at least one reason for the verdict {missing}, found none")


def _without_reason(reasons: list[Any], default_reasons: Any) -> str | None:
    """The first verdict that no reason goes with; None where there is none, or where that cannot be told yet."""
    covered: set[str] = set()
    for reason in reasons:
        verdicts = reason.get("verdicts") if isinstance(reason, dict) else None
        if not isinstance(verdicts, list):
            return None
        covered |= {verdict for verdict in verdicts if isinstance(verdict, str)}
    if default_reasons is not False:
        codes = {reason.get("code") for reason in reasons}
        covered |= {verdict for reason in DEFAULT_REASONS if reason.code not in codes for verdict in reason.verdicts}
    return next((verdict for verdict in VERDICTS if verdict not in covered), None)


def site_reasons(config: AlertsConfig) -> Reasons:
    """The reasons that guards of this site can give."""
    return reasons_of(map(_reason, config.reasons), with_defaults=config.default_reasons)


def _reason(config: ReasonConfig) -> Reason:
    label = config.label
    english, chinese = label.en or label.zh_cn or config.code, label.zh_cn or label.en or config.code
    return Reason(config.code, config.verdicts, {"en": english, "zh-CN": chinese}, config.needs_note)
