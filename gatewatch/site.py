"""The site file, read and checked: `load_site`.

site_yaml.py      text -> values and their lines
site_model.py     the keys, types, defaults and bounds
site_alerts.py    the reasons for verdicts
site_desk.py      arming, and events from outside
site_checks.py    rules by their registry, references, geometry, time zone
site_messages.py  one sentence for each problem
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from api.reasons import Reasons
from gatewatch.errors import SiteError
from gatewatch.site_alerts import reason_problems, site_reasons
from gatewatch.site_checks import RuleReader, geometry_problems, motion_problems, timezone_problems
from gatewatch.site_desk import desk_problems
from gatewatch.site_messages import found, keys_of, problems
from gatewatch.site_model import (
    AlertsConfig,
    ArmingConfig,
    Camera,
    Clips,
    Detector,
    DetectorConfig,
    EffectConfig,
    Language,
    ProfileConfig,
    ReasonConfig,
    ReasonLabels,
    RetentionConfig,
    SiteFile,
    SiteInfo,
    SourceConfig,
)
from gatewatch.site_yaml import Document, Path, parse, read_text
from rules.base import ALWAYS
from rules.schedules import Window

__all__ = ["Camera", "Clips", "Detector", "DetectorConfig", "Language", "Site", "SiteError", "Window", "load_site"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class Site:
    """A site file that passed every check."""

    path: FilePath
    sha256: str
    """Of the file's bytes, in hex."""
    name: str
    timezone: ZoneInfo
    language: Language
    detector: Detector
    schedules: Mapping[str, tuple[Window, ...]]
    clips: Clips
    reasons: Reasons
    """Those that guards can give with a verdict."""
    retention: RetentionConfig
    arming: ArmingConfig
    external: Mapping[str, SourceConfig]
    """Who may send events from outside."""
    cameras: Mapping[str, Camera]
    """`Camera.rules` holds the `Config` of each rule, by `rules.registry`."""
    document: Document = field(repr=False)
    """Values as written, with their lines; holds credentials as far as the file does."""

    def detector_of(self, camera: str) -> Detector:
        """The camera's detector: its own keys, else those of the site, else the defaults."""
        own = self.cameras[camera].detector
        if own is None or own == "motion" or self.detector == "motion":
            return self.detector if own is None else own
        return self.detector.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})

    def weights_of(self, detector: DetectorConfig) -> str:
        """A name of the catalogue, or the path of a file; a relative one is looked for beside the site file."""
        beside = self.path.parent / detector.weights
        is_path = "/" in detector.weights or "." in detector.weights
        return str(beside) if is_path and beside.is_file() else detector.weights

    def open_address(
        self,
        camera: str,
        stream: Literal["source", "analyse"] = "source",
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Address of a stream with its `${VAR}` filled in, to be opened now; holds credentials, never print it.

        Raises SiteError where a variable is missing.
        """
        raw = getattr(self.cameras[camera], stream) or self.cameras[camera].source
        address = _filled(self.document, ("cameras", camera, stream), raw, os.environ if environ is None else environ)
        if _URL.match(address) or FilePath(address).is_absolute():
            return address
        beside = self.path.parent / address
        return str(beside) if beside.exists() else address


def load_site(path: str | os.PathLike[str]) -> Site:
    """Reads and checks a site file (YAML or JSON). Raises SiteError with every problem found."""
    file = FilePath(path)
    data, text = read_text(file)
    document = parse(str(path), text)
    if not isinstance(document.value, dict):
        raise SiteError(
            document.problem((), f"expected a mapping with the keys site and cameras, found {found(document.value)}")
        )
    content, said = _validate(document)
    rules = _rules(document, said)
    if said or content is None:
        ordered = sorted(said.items(), key=lambda item: document.line(item[0]))
        raise SiteError([text for _, text in ordered])
    return Site(
        path=file,
        sha256=hashlib.sha256(data).hexdigest(),
        name=content.site.name,
        timezone=ZoneInfo(content.site.timezone),
        language=content.site.language,
        detector=content.detector,
        schedules=content.schedules,
        clips=content.clips,
        reasons=site_reasons(content.alerts),
        retention=content.retention,
        arming=content.arming,
        external=content.external,
        cameras={name: _with_rules(camera, rules[name]) for name, camera in content.cameras.items()},
        document=document,
    )


def site_schema() -> dict[str, Any]:
    """JSON schema of a site file, with every registered kind of rule."""
    from pydantic.json_schema import models_json_schema

    from rules.registry import RULES

    configs = [rule.Config for rule in RULES.values()]
    references, definitions = models_json_schema(
        [(SiteFile, "validation"), *((config, "validation") for config in configs)]
    )
    schema = {**references[(SiteFile, "validation")], **definitions}
    rules = schema["$defs"]["Camera"]["properties"]["rules"]
    rules["items"] = {"oneOf": [references[(config, "validation")] for config in configs]}
    for kind, config in zip(RULES, configs, strict=True):
        own = references[(config, "validation")]["$ref"].rpartition("/")[2]
        schema["$defs"][own].setdefault("properties", {}).setdefault("kind", {"const": kind, "type": "string"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Gatewatch site file", **schema}


def _validate(document: Document) -> tuple[SiteFile | None, dict[Path, str]]:
    value = document.value
    cameras = value.get("cameras")
    if isinstance(cameras, dict):
        # Rules are read one by one with the model of their kind.
        bare = {name: _without_rules(camera) for name, camera in cameras.items()}
        value = {**value, "cameras": bare}
    said: dict[Path, str] = {}
    content = None
    try:
        content = SiteFile.model_validate_json(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except ValidationError as error:
        said = problems(document, error.errors(include_url=False), (), _keys_at)
    site = value.get("site")
    zone = site.get("timezone") if isinstance(site, dict) else None
    if isinstance(zone, str) and ("site", "timezone") not in said:
        said.update(timezone_problems(document, zone))
    for path, text in (*reason_problems(document), *desk_problems(document)):
        said.setdefault(path, text)
    return content, said


def _rules(document: Document, said: dict[Path, str]) -> dict[str, tuple[BaseModel, ...]]:
    schedules = document.value.get("schedules")
    reader = RuleReader(document, list(schedules) if isinstance(schedules, dict) else [])
    if isinstance(schedules, dict) and ALWAYS in schedules:
        path: Path = ("schedules", ALWAYS)
        said.setdefault(
            path, document.problem(path, "expected another name, as always means at any time, found always")
        )
    cameras = document.value.get("cameras")
    result = {}
    for name, camera in cameras.items() if isinstance(cameras, dict) else ():
        if not isinstance(camera, dict):
            continue
        result[name] = reader.read(name, camera)
        for path, text in geometry_problems(document, name, camera):
            said.setdefault(path, text)
        for stream in ("source", "analyse"):
            path = ("cameras", name, stream)
            address = camera.get(stream)
            if isinstance(address, str) and "${" in _VARIABLE.sub("", address):
                said.setdefault(
                    path, document.problem(path, "expected ${NAME} with letters, digits and _, found a ${ without it")
                )
    for name in result:
        for path, text in motion_problems(document, name, cameras[name]):
            reader.problems.setdefault(path, text)
    said.update(reader.problems)
    return result


def _without_rules(camera: Any) -> Any:
    return {key: value for key, value in camera.items() if key != "rules"} if isinstance(camera, dict) else camera


def _with_rules(camera: Camera, rules: Sequence[BaseModel]) -> Camera:
    return camera.model_copy(update={"rules": tuple(rules)})


def _keys_at(path: Path) -> Sequence[str]:
    """Keys that the mapping at a path may have."""
    model: type[BaseModel] = SiteFile
    if path[:1] == ("site",):
        model = SiteInfo
    elif path[-1:] == ("detector",):
        model = DetectorConfig
    elif path[:1] == ("schedules",):
        model = Window
    elif path[:1] == ("clips",):
        model = Clips
    elif path[:1] == ("alerts",):
        model = ReasonLabels if path[-1:] == ("label",) else AlertsConfig if len(path) == 1 else ReasonConfig
    elif path[:1] == ("retention",):
        model = RetentionConfig
    elif path[:1] == ("arming",):
        model = ArmingConfig if len(path) == 1 else ProfileConfig
    elif path[:1] == ("external",):
        model = SourceConfig if len(path) == 2 else EffectConfig
    elif path[:1] == ("cameras",):
        model = Camera
    return keys_of(model)


def _filled(document: Document, path: Path, raw: str, environ: Mapping[str, str]) -> str:
    missing = [name for name in _VARIABLE.findall(raw) if name not in environ]
    if missing:
        raise SiteError(
            document.problem(path, f"expected the environment variable {missing[0]} to be set, found it missing")
        )
    url = _URL.match(raw)
    if url is None:
        return _VARIABLE.sub(lambda name: environ[name[1]], raw)
    head, _, tail = url["rest"].partition("/")
    user, at, host = head.rpartition("@")
    user = _VARIABLE.sub(lambda name: quote(environ[name[1]], safe=""), user)
    rest = _VARIABLE.sub(lambda name: environ[name[1]], f"{at}{host}{_ and '/'}{tail}")
    return url["scheme"] + user + rest
