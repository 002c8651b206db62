"""`python -m gatewatch.docs`: writes `docs/configuration.md` from the models, so that it says what the code does."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.reasons import DEFAULT_REASONS
from gatewatch.site_checks import LABELS
from gatewatch.site_model import (
    AlertsConfig,
    ArmingConfig,
    Camera,
    Clips,
    DetectorConfig,
    EffectConfig,
    ProfileConfig,
    ReasonConfig,
    RetentionConfig,
    SiteFile,
    SiteInfo,
    SourceConfig,
)
from rules.base import RuleConfig
from rules.registry import RULES
from rules.schedules import Window

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

_INTRO = """\
# Configuration

<!-- Made by `python -m gatewatch.docs`. Change the descriptions in the code, not this page. -->

One YAML file (or JSON) describes one site. `gatewatch check SITE.yaml` says what is wrong in it, line by line, or what
would run; `gatewatch check --schema` prints its JSON schema, which editors use for completion.

```yaml
site: {name: Lakeside Gardens, timezone: Asia/Shanghai, language: zh-CN}
detector: {weights: nanodet-g, input_px: 448, min_score: 0.5}
schedules:
  night: [{days: [mon, tue, wed, thu, fri, sat, sun], from: "22:00", to: "06:00"}]
cameras:
  north-gate:
    source: rtsp://guard:${NORTH_GATE_PASSWORD}@192.0.2.8/main
    analyse: rtsp://guard:${NORTH_GATE_PASSWORD}@192.0.2.8/sub
    analyse_fps: 5
    zones: {lawn: [[0.0, 0.45], [0.56, 0.66], [0.93, 0.9], [0.0, 1.0]]}
    lines: {barrier: [[0.22, 0.30], [0.22, 0.52]]}
    rules:
      - {name: lawn-intrusion, kind: intrusion, zone: lawn, labels: [person], severity: high, schedule: night}
      - {name: barrier-tailgate, kind: tailgating, line: barrier, labels: [car, truck, bus], headway_s: 3}
```

* Unknown keys are refused, and text is not a number: `"5"` in quotes is text.
* The file is YAML 1.2: `no` and `on` are text. Aliases (`*name`) may repeat a value; merge keys (`<<`) are refused.
* Names of cameras, zones, lines, schedules and rules have up to 64 letters of any script, digits, `-` and `_`. Zones,
  lines and rules may share a name.
* `${VAR}` in `source` and `analyse` is replaced by an environment variable when the source is opened; in the user part
  of a URL it is percent-encoded. Inside a one-line `{...}` write it in quotes. A missing variable stops `gatewatch run`
  alone, neither `check` nor `reanalyse`.
* Relative files (`source`, `weights`) are looked for beside the site file.
* Points are [x, y], 0 to 1 of the picture's width and height, from the top left corner. The edges of a zone that lie on
  the picture's border reach beyond it.
"""


def page() -> str:
    """The whole page."""
    parts = [
        _INTRO,
        _section("The file", SiteFile),
        _section("`site`", SiteInfo),
        _section(
            "`detector`", DetectorConfig, "For the whole site, or for one camera, which then overrides single keys."
        ),
        _section("`schedules`: each window", Window),
        _section("`clips`", Clips),
        _section("`alerts`", AlertsConfig, _REASONS),
        _section("`alerts.reasons`: each reason", ReasonConfig),
        _section("`retention`", RetentionConfig, "See [the journal](journal.md#retention)."),
        _section("`arming`", ArmingConfig, _ARMING),
        _section("`arming.profiles`: each profile", ProfileConfig),
        _section("`external`: each source", SourceConfig, _EXTERNAL),
        _section("`external`: each event", EffectConfig),
        _section("`cameras`: each camera", Camera),
        _section(
            "`rules`: keys of every rule",
            RuleConfig,
            f"Labels and groups of labels: {', '.join(f'`{label}`' for label in LABELS)}.",
        ),
        *(_rule(kind, rule.Config, rule.title["en"]) for kind, rule in RULES.items()),
        _ENVIRONMENT,
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


_REASONS = f"""Every verdict needs a reason. The built-in ones, by their codes:

{
    chr(10).join(
        f"* `{r.code}` ({r.label['en']}, {r.label['zh-CN']}): {', '.join(r.verdicts)}"
        + ("; needs a note" if r.needs_note else "")
        for r in DEFAULT_REASONS
    )
}

```yaml
alerts:
  reasons:
    - {{code: gardener, verdicts: [resolved, false_alarm], label: {{en: Gardener, zh-CN: 园丁}}}}
    - {{code: loose_dog, verdicts: [resolved], label: {{zh-CN: 流浪狗}}, needs_note: true}}
```"""

_ARMING = """How a site is armed is set by [the API](arming.md) and kept over restarts.

```yaml
arming:
  first: day
  profiles:
    day: {disarm: {north-gate: [lawn-intrusion]}}
    holiday: {disarm: {yard: all}}
    inspection: {drill: true}
```"""

_EXTERNAL = """What signs its messages with the source's secret may [send events](arming.md#events-from-outside).

```yaml
external:
  gate-system:
    secret: ${GATE_SYSTEM_SECRET}
    events:
      barrier_opened: {do: authorise, camera: north-gate, line: barrier}
      panic_button: {do: alert, severity: critical, camera: north-gate}
      fire_panel: {do: alert, severity: critical}
      guard_left: {do: profile, profile: night}
```"""

_ENVIRONMENT = """\
## Environment

| variable | what it sets |
| --- | --- |
| `GATEWATCH_LOG_LEVEL` | What to log: `debug`, `info`, `warning` (default) or `error`; also `gatewatch --log-level`. |
| `GATEWATCH_PROVIDERS` | Execution providers of ONNX Runtime, such as `cuda` or `openvino,cpu`; \
the processor by default. See [detectors](detectors.md). |
| `GATEWATCH_THREADS` | Threads that one inference takes; 1 by default. |
| `GATEWATCH_WEIGHTS` | Folder of pulled and exported weights. |
| `GATEWATCH_DATA` | Folder for alerts, snapshots and clips of `gatewatch run`; also `--data`. |
| `GATEWATCH_DATABASE` | Where alerts are kept: an SQLite file or a `postgresql://` address; also `--database`. |
| `GATEWATCH_TLS_CERT` | PEM file of the certificate with which `gatewatch run` serves HTTPS; also `--tls-cert`. |
| `GATEWATCH_TLS_KEY` | PEM file of its key; also `--tls-key`. |
| `GATEWATCH_BEHIND_PROXY` | Addresses of proxies that are believed; also `--behind-proxy`. |
| `GATEWATCH_WEBHOOK_ALLOW` | Networks beside the public internet to which webhooks may be sent, such as \
`10.1.0.0/16,192.168.7.20/32`. See [webhooks](webhooks.md#where-it-may-go). |
| `GATEWATCH_OIDC_` and a name | Log-in at an OpenID provider; see [signing in](oidc.md). |
| `GATEWATCH_BENCH_DATABASE` | Database of `gatewatch bench desk`; also `--database`. |
| `GATEWATCH_FONT` | Font file for Chinese text in snapshots, where the usual ones are not installed. |
| `NO_COLOR` | No colours in logs. |
| any other | Where a `source` or `analyse` names it as `${NAME}`. |
"""


def _rule(kind: str, config: type[BaseModel], title: str) -> str:
    own = {name for name in config.model_fields if name not in RuleConfig.model_fields}
    return _section(f"Rule `{kind}`", config, f"{title}. See [its page](rules/{kind}.md).", only=own)


def _section(title: str, model: type[BaseModel], words: str = "", only: Iterable[str] | None = None) -> str:
    rows = "\n".join(_rows(model, only))
    head = "| key | value | default | what it is |\n| --- | --- | --- | --- |"
    return f"## {title}\n\n" + (f"{words}\n\n" if words else "") + f"{head}\n{rows}\n"


def _rows(model: type[BaseModel], only: Iterable[str] | None) -> Iterator[str]:
    shape = model.model_json_schema()
    definitions = shape.get("$defs", {})
    for name, info in model.model_fields.items():
        if only is not None and name not in only:
            continue
        key = info.alias or name
        form = _form(shape["properties"][key], definitions)
        words = info.description or "See its page."
        yield f"| `{key}` | {form} | {_default(info)} | {words} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory is not None:
        return "its own defaults"
    value = list(info.default) if isinstance(info.default, tuple) else info.default
    if value is None or value in ({}, []) or value is PydanticUndefined:
        return "none"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _form(shape: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return _form(definitions[name], definitions) if "enum" in definitions[name] else "keys, see below"
    for way in ("anyOf", "oneOf"):
        if way in shape:
            forms = [_form(option, definitions) for option in shape[way] if option.get("type") != "null"]
            return " or ".join(dict.fromkeys(forms))
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    return _plain_form(shape, definitions)


def _plain_form(shape: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kind = shape.get("type")
    if kind == "object":
        inner = shape.get("additionalProperties") or next(iter(shape.get("patternProperties", {}).values()), None)
        return f"name: {_form(inner, definitions)}" if isinstance(inner, dict) else "keys"
    if kind == "array":
        if "prefixItems" in shape:
            return "[x, y]"
        return f"list of {_form(shape['items'], definitions)}" if shape.get("items") else "list"
    if kind in ("number", "integer"):
        return ("whole number" if kind == "integer" else "number") + _bounds(shape)
    return {"string": "text", "boolean": "`true`, `false`"}.get(str(kind), "any")


def _bounds(shape: Mapping[str, Any]) -> str:
    words = {
        "exclusiveMinimum": "above {:g}",
        "minimum": "at least {:g}",
        "maximum": "at most {:g}",
        "multipleOf": "a multiple of {:g}",
    }
    said = [text.format(shape[key]) for key, text in words.items() if key in shape]
    return f", {', '.join(said)}" if said else ""


def main() -> None:
    """Writes the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.name, "written", file=sys.stderr)


if __name__ == "__main__":
    main()
