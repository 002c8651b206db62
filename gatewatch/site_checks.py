"""What only shows when two places of a site file are looked at together, and what needs geometry or the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ValidationError

from gatewatch.site_messages import found, keys_of, one_of, problems, suggest, unknown
from gatewatch.site_model import checked_name
from gatewatch.site_yaml import Document, Path
from pipeline.types import GROUPS, LABEL_GROUP
from rules.geometry import check_line, check_zone
from rules.types import RuleError

LABELS: tuple[str, ...] = tuple(dict.fromkeys(("any", *GROUPS, *LABEL_GROUP)))
"""What a rule's `labels` may name: every object, a group, or one label."""


def timezone_problems(document: Document, name: str) -> Iterator[tuple[Path, str]]:
    """Whether the time zone is known."""
    path: Path = ("site", "timezone")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zones = sorted(available_timezones())
        ends = [zone for zone in zones if zone.lower().endswith("/" + name.lower())]
        hint = suggest(ends[0] if ends else name, zones, cutoff=0.75)
        yield (
            path,
            document.problem(path, f"expected an IANA time zone such as Asia/Shanghai, found {found(name)}{hint}"),
        )


def geometry_problems(document: Document, camera: str, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Whether zones are polygons with an area and lines have a length."""
    for kind in ("zones", "lines"):
        shapes = raw.get(kind)
        for name, points in shapes.items() if isinstance(shapes, dict) else ():
            if not _are_points(points):
                continue
            wrong = _zone_fault(name, points) if kind == "zones" else _line_fault(name, points)
            if wrong:
                path: Path = ("cameras", camera, kind, name)
                yield path, document.problem(path, wrong)


def motion_problems(document: Document, camera: str, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Rules that could never fire, because the camera's detector gives none of their labels."""
    motion = raw.get("detector", document.value.get("detector")) == "motion"
    rules = raw.get("rules")
    for index, rule in enumerate(rules) if isinstance(rules, list) else ():
        labels = rule.get("labels") if isinstance(rule, dict) else None
        if (
            not isinstance(labels, list)
            or not labels
            or not all(isinstance(label, str) and label in LABELS for label in labels)
        ):
            continue
        path: Path = ("cameras", camera, "rules", index, "labels")
        if motion and not {"any", "object"} & set(labels):
            yield path, document.problem(path, f"expected object or any, all that motion gives, found {found(labels)}")
        elif not motion and set(labels) == {"object"}:
            text = f"expected labels of the detector, as only detector: motion gives object, found {found(labels)}"
            yield path, document.problem(path, text)


def _are_points(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 for value in point)
        for point in points
    )


def _refused(check: Callable[[str, Sequence[Any]], object], name: str, points: Sequence[Any]) -> str | None:
    """What the rules' own geometry says about points that look right here."""
    try:
        check(name, [tuple(point) for point in points])
    except RuleError as error:
        return str(error).rstrip(".")
    return None


def _zone_fault(name: str, points: Sequence[Sequence[float]]) -> str | None:
    from shapely import Polygon
    from shapely.validation import explain_validity

    distinct = len({tuple(point) for point in points})
    if len(points) < 3:
        return None  # said already
    if distinct < 3:
        return f"expected a zone with at least 3 different points, found {distinct}"
    polygon = Polygon(points)
    if polygon.convex_hull.area == 0.0:
        return "expected a zone with an area, found points on one line"
    if polygon.is_valid:
        return _refused(check_zone, name, points)
    where = explain_validity(polygon).rpartition("[")[2].rstrip("]").split()
    place = f" near [{float(where[0]):.2f}, {float(where[1]):.2f}]" if len(where) == 2 else ""
    return f"expected a zone whose edges do not cross or touch, found a crossing{place}"


def _line_fault(name: str, points: Sequence[Sequence[float]]) -> str | None:
    if len(points) >= 2 and len({tuple(point) for point in points}) < 2:
        return "expected a line with at least 2 different points, found 1"
    return None if len(points) < 2 else _refused(check_line, name, points)


class RuleReader:
    """Reads the rules of all cameras by the registry of rule kinds."""

    def __init__(self, document: Document, schedules: Sequence[str]) -> None:
        from rules.registry import RULES

        self._document = document
        self._schedules = schedules
        self._configs: dict[str, type[BaseModel]] = {kind: rule.Config for kind, rule in RULES.items()}
        self.problems: dict[Path, str] = {}

    def read(self, camera: str, raw: Mapping[str, Any]) -> tuple[BaseModel, ...]:
        """The configurations of a camera's rules; what is wrong is added to `problems`."""
        rules = raw.get("rules", [])
        path: Path = ("cameras", camera, "rules")
        if not isinstance(rules, list):
            self._say(path, f"expected a list of rules, found {found(rules)}")
            return ()
        names: dict[str, int] = {}
        configs = []
        for index, rule in enumerate(rules):
            here: Path = (*path, index)
            config = self._rule(here, rule)
            self._references(here, rule, raw)
            self._unique(here, rule, names)
            if config is not None:
                configs.append(config)
        return tuple(configs)

    def _rule(self, path: Path, rule: Any) -> BaseModel | None:
        if not isinstance(rule, dict):
            self._say(path, f"expected a mapping with name and kind, found {found(rule)}")
            return None
        kind = rule.get("kind")
        if "kind" not in rule:
            self._say((*path, "kind"), f"expected a kind of rule ({one_of(sorted(self._configs))}), found none")
            return None
        if not isinstance(kind, str) or kind not in self._configs:
            self._say((*path, "kind"), unknown(kind, list(self._configs), "a kind of rule"))
            return None
        model = self._configs[kind]
        try:
            # Not strict: that would refuse YAML's lists for tuples. The fields themselves refuse text for numbers.
            return model.model_validate(rule)
        except ValidationError as error:
            said = problems(self._document, error.errors(include_url=False), path, lambda _: keys_of(model))
            for where, text in said.items():
                self.problems.setdefault(where, text)
            return None

    def _references(self, path: Path, rule: Any, camera: Mapping[str, Any]) -> None:
        if not isinstance(rule, dict):
            return
        for key, shapes in (("zone", "zones"), ("line", "lines")):
            known = camera.get(shapes)
            names = list(known) if isinstance(known, dict) else []
            if isinstance(rule.get(key), str) and rule[key] not in names:
                self._say((*path, key), unknown(rule[key], names, f"a {key} of this camera"), replace=True)
        schedule = rule.get("schedule")
        if isinstance(schedule, str) and schedule != "always" and schedule not in self._schedules:
            self._say((*path, "schedule"), unknown(schedule, list(self._schedules), "a schedule"), replace=True)
        labels = rule.get("labels")
        for index, label in enumerate(labels) if isinstance(labels, list) else ():
            if isinstance(label, str) and label not in LABELS:
                hint = suggest(label, LABELS)
                text = f"expected a label or a group of labels ({', '.join(LABELS)}), found {found(label)}{hint}"
                self._say((*path, "labels", index), text, replace=True)

    def _unique(self, path: Path, rule: Any, names: dict[str, int]) -> None:
        name = rule.get("name") if isinstance(rule, dict) else None
        if not isinstance(name, str):
            return
        here: Path = (*path, "name")
        try:
            checked_name(name)
        except ValueError as error:
            self._say(here, f"expected {error}, found {found(name)}", replace=True)
        if name in names:
            self._say(
                here, f"expected each name once per camera, found {found(name)} again (first on line {names[name]})"
            )
        else:
            names[name] = self._document.line(here)

    def _say(self, path: Path, text: str, *, replace: bool = False) -> None:
        if replace:
            # Our sentence knows the names that would be right; the one of the rule's own check gives way.
            for other in [other for other in self.problems if other[: len(path)] == path]:
                del self.problems[other]
        self.problems.setdefault(path, self._document.problem(path, text))
