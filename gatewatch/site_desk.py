"""What a site file says about arming and about events from outside: do the names in it fit together?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gatewatch.site_messages import unknown
from gatewatch.site_model import PROFILES
from gatewatch.site_yaml import Document, Path

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "authorise": ("camera", "line"), "arm": ("camera",), "disarm": ("camera",), "profile": ("profile",),
}  # fmt: skip
_TAKES: Mapping[str, tuple[str, ...]] = {
    "alert": ("camera", "severity"), "authorise": ("camera", "line"), "arm": ("camera", "target"),
    "disarm": ("camera", "target"), "profile": ("profile",), "nothing": (),
}  # fmt: skip


def desk_problems(document: Document) -> Iterator[tuple[Path, str]]:
    """Names of profiles, cameras, rules, zones and lines that are none, and keys that an effect needs or has no use
    for."""
    arming, external = _mapping(document.value.get("arming")), _mapping(document.value.get("external"))
    profiles = list(dict.fromkeys((*PROFILES, *_mapping(arming.get("profiles")))))
    first = arming.get("first")
    if isinstance(first, str) and first not in profiles:
        yield _said(document, ("arming", "first"), unknown(first, profiles, "a profile"))
    for name, profile in _mapping(arming.get("profiles")).items():
        for camera, targets in _mapping(_mapping(profile).get("disarm")).items():
            path: Path = ("arming", "profiles", name, "disarm", camera)
            yield from _camera(document, path, camera)
            for index, target in enumerate(targets if isinstance(targets, list) else ()):
                yield from _target(document, (*path, index), camera, target)
    for source, config in external.items():
        for kind, effect in _mapping(_mapping(config).get("events")).items():
            yield from _effect(document, ("external", source, "events", kind), _mapping(effect), profiles)


def _effect(document: Document, path: Path, effect: Mapping[str, Any], profiles: Sequence[str]) -> Iterator[Any]:
    do, camera = effect.get("do"), effect.get("camera")
    if not isinstance(do, str) or do not in _TAKES:
        return
    for key in _NEEDS.get(do, ()):
        if effect.get(key) is None:
            yield _said(document, (*path, key), f"expected this key, as do is {do}, found none")
    for key in effect:
        if key != "do" and key in {key for keys in _TAKES.values() for key in keys} and key not in _TAKES[do]:
            yield _said(document, (*path, key), f"expected no {key} where do is {do}, found one")
    if isinstance(camera, str):
        yield from _camera(document, (*path, "camera"), camera)
    line, target, profile = (effect.get(key) for key in ("line", "target", "profile"))
    known = _mapping(_mapping(document.value.get("cameras")).get(str(camera)))
    lines = list(_mapping(known.get("lines")))
    if do == "authorise" and known and isinstance(line, str) and line not in lines:
        yield _said(document, (*path, "line"), unknown(line, lines, "a line of this camera"))
    if do in ("arm", "disarm") and isinstance(camera, str) and target is not None:
        yield from _target(document, (*path, "target"), camera, target)
    if do == "profile" and isinstance(profile, str) and profile not in profiles:
        yield _said(document, (*path, "profile"), unknown(profile, profiles, "a profile"))


def _camera(document: Document, path: Path, camera: Any) -> Iterator[tuple[Path, str]]:
    cameras = list(_mapping(document.value.get("cameras")))
    if isinstance(camera, str) and camera not in cameras:
        yield _said(document, path, unknown(camera, cameras, "a camera"))


def _target(document: Document, path: Path, camera: str, target: Any) -> Iterator[tuple[Path, str]]:
    """Only what a rule goes by can be armed: a zone without a rule would do nothing."""
    known = _mapping(_mapping(document.value.get("cameras")).get(str(camera)))
    rules = known.get("rules")
    if not known or not isinstance(target, str) or not isinstance(rules, list):
        return
    names = dict.fromkeys(
        rule[key] for rule in rules if isinstance(rule, dict) for key in ("name", "zone", "line")
        if isinstance(rule.get(key), str)
    )  # fmt: skip
    if target not in names:
        yield _said(document, path, unknown(target, list(names), "a rule of this camera, or the zone or line of one"))


def _said(document: Document, path: Path, text: str) -> tuple[Path, str]:
    return path, document.problem(path, text)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
