"""What a site file may hold: the keys, their types, defaults and bounds.

The descriptions are the text of `docs/configuration.md` and of the JSON schema; `gatewatch.site_messages` words the
errors. What needs a look at two places (a rule's zone, a schedule's name) is in `gatewatch.site_checks`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, SkipValidation, Tag

from api.reasons import CODE_PATTERN, Verdict
from rules.base import NAME_MAX, fits_name
from rules.schedules import Window
from rules.types import Severity

Language = Literal["en", "zh-CN"]
EVERY_FRAME_FPS = 1000.0


class Strict(BaseModel):
    """Unknown keys are refused, text is not a number, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True)


def checked_name(name: str) -> str:
    """The name, if it is one. Raises ValueError with the expectation as its text."""
    if not 0 < len(name) <= NAME_MAX or not all(map(fits_name, name)):
        raise ValueError(f"a name of up to {NAME_MAX} letters, digits, - and _")
    return name


def _printable(text: str) -> str:
    # Names are printed on terminals and drawn on pictures, where control characters do harm or look broken.
    if not text.isprintable():
        raise ValueError("printable text")
    return text


def _reason_code(code: str) -> str:
    if not re.fullmatch(CODE_PATTERN, code):
        raise ValueError("a code of up to 32 small letters, digits and _, the first a letter")
    return code


Name = Annotated[str, AfterValidator(checked_name)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Unit, Unit]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(_printable)]
Url = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^\S(.*\S)?$")]


class SiteInfo(Strict):
    """The guarded property."""

    name: Text = Field(description="Name of the site, as guards read it.")
    timezone: Text = Field(description="Time zone of the site by its IANA name, such as Asia/Shanghai.")
    language: Language = Field("en", description="Language of what guards read: en or zh-CN.")


class DetectorConfig(Strict):
    """What looks at the pictures."""

    weights: Text = Field(
        "nanodet-g",
        description="Weights by their name in the catalogue (`gatewatch models list`), or a file beside the site file.",
    )
    input_px: Annotated[int, Field(ge=64, le=4096, multiple_of=32)] = Field(
        448,
        description="Longer side of the picture that the detector sees, in pixels, a multiple of 32; "
        "the shorter side follows the camera's aspect ratio.",
    )
    min_score: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.5, description="Score that a track needs to be born, above 0 and at most 1; weaker detections may extend one."
    )


def _form(value: Any) -> str | None:
    return "mapping" if isinstance(value, dict | DetectorConfig) else "word" if value == "motion" else None


Detector = Annotated[
    Annotated[DetectorConfig, Tag("mapping")] | Annotated[Literal["motion"], Tag("word")], Discriminator(_form)
]


class Clips(Strict):
    """How much footage an alert keeps."""

    pre_s: Annotated[float, Field(ge=0.0, le=60.0)] = Field(5.0, description="Seconds before the event begins.")
    post_s: Annotated[float, Field(ge=0.0, le=60.0)] = Field(5.0, description="Seconds after the event ends.")


class Camera(Strict):
    """One camera and what is watched in its picture."""

    source: Url = Field(
        repr=False, description="Stream or file that is recorded: an RTSP or HTTP URL, a file, or a device."
    )
    analyse: Url | None = Field(
        None, repr=False, description="Second, smaller stream of the same view that is analysed instead."
    )
    analyse_fps: Annotated[float, Field(gt=0.0, le=EVERY_FRAME_FPS)] | None = Field(
        None, description="Analysed frames per second, a decimal number above 0; every frame where it is left out."
    )
    detector: Detector | None = Field(
        None,
        description="Overrides keys of the site's `detector` for this camera; the word `motion` makes an `object` of "
        "whatever moves, without a detector.",
    )
    zones: dict[Name, Annotated[tuple[Point, ...], Field(min_length=3)]] = Field(
        {}, description="Polygons by name: three or more points [x, y], from 0 to 1 of the picture's width and height."
    )
    lines: dict[Name, Annotated[tuple[Point, ...], Field(min_length=2)]] = Field(
        {}, description="Directed lines by name: two or more points [x, y]; left and right as seen along the line."
    )
    rules: tuple[SkipValidation[Any], ...] = Field((), description="Rules, see below.")


class ReasonLabels(Strict):
    """What guards read for a reason; a language that is left out shows the other one's."""

    en: Text | None = Field(None, description="In English.")
    zh_cn: Text | None = Field(None, alias="zh-CN", description="In Chinese.")


class ReasonConfig(Strict):
    """One reason that guards can give with a verdict."""

    code: Annotated[str, AfterValidator(_reason_code)] = Field(
        description="What programs read: up to 32 small letters, digits and _, the first a letter; a code of the "
        "built-in reasons takes that one's place."
    )
    verdicts: Annotated[tuple[Verdict, ...], Field(min_length=1)] = Field(
        description="With which verdicts it can be given."
    )
    label: ReasonLabels = Field(description="What guards read, by language: `en`, `zh-CN`; at least one of them.")
    needs_note: bool = Field(False, description="Whether the guard must say more in a note.")


class AlertsConfig(Strict):
    """How guards handle alerts."""

    reasons: tuple[ReasonConfig, ...] = Field(
        (), description="The site's own reasons for verdicts, shown before the built-in ones."
    )
    default_reasons: bool = Field(True, description="Whether guards are shown the built-in reasons, too.")


PROFILES = ("day", "night", "holiday", "drill")
"""Profiles that every site has."""


class ProfileConfig(Strict):
    """A way in which the site is watched."""

    disarm: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)] | Literal["all"]] = Field(
        {}, description="What is not armed in it, by camera: a list of rules, zones and lines, or the word `all`."
    )
    drill: bool | None = Field(
        None, description="Alerts that are raised in it are marked as drills; by default in the profile `drill` alone."
    )


class ArmingConfig(Strict):
    """Which rules are armed when."""

    first: Name = Field("day", description="The profile in which a site begins that was never in one.")
    profiles: dict[Name, ProfileConfig] = Field(
        {}, description="Profiles by name. `day`, `night`, `holiday` and `drill` are there without being named."
    )


def _event_kind(kind: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", kind):
        raise ValueError("a kind of up to 64 small letters, digits and _, the first a letter")
    return kind


def _only_variable(text: str) -> str:
    if not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", text):
        # Without what was found: it may be the secret itself.
        raise ValueError("expected the name of an environment variable as ${NAME} and nothing else, found other text")
    return text


class EffectConfig(Strict):
    """What an event from outside does."""

    do: Literal["alert", "authorise", "arm", "disarm", "profile", "nothing"] = Field(
        description="`alert` raises one, `authorise` lets the next one pass the line, `arm` and `disarm` hold until "
        "the profile changes, `profile` sets one, `nothing` is only written down."
    )
    camera: Name | None = Field(
        None, description="With `alert`: whose pictures show it, if any. With `authorise`, `arm`, `disarm`: required."
    )
    line: Name | None = Field(None, description="With `authorise`: the line; required.")
    target: Name | None = Field(
        None,
        description="With `arm` and `disarm`: the rule, or the zone or line of rules; all of the camera's by default.",
    )
    profile: Name | None = Field(None, description="With `profile`: which one; required.")
    severity: Severity = Field("high", description="With `alert`: how serious it is.")


class SourceConfig(Strict):
    """Who may send events from outside."""

    secret: Annotated[str, AfterValidator(_only_variable)] = Field(
        repr=False,
        description="`${NAME}`: the environment variable that holds the secret with which messages are signed, of at "
        "least 16 characters.",
    )
    events: dict[Annotated[str, AfterValidator(_event_kind)], EffectConfig] = Field(
        min_length=1,
        description="What its events do, by kind: `barrier_opened`, `badge_granted`, `beam_tripped`, `panic_button`, "
        "`fire_panel`, or any other name of small letters, digits and _.",
    )


class RetentionConfig(Strict):
    """How long what is done with is kept."""

    closed_alerts_days: Annotated[int, Field(ge=1, le=36500)] | None = Field(
        None,
        description="Days after which a closed alert goes, with its events, pictures and clips; without end where it "
        "is left out. Open alerts, and those of open incidents, stay.",
    )


class SiteFile(Strict):
    """The whole file."""

    site: SiteInfo = Field(description="The guarded property.")
    detector: Detector = Field(
        default_factory=lambda: DetectorConfig.model_construct(),
        description="What looks at the pictures.",
    )
    schedules: dict[Name, Annotated[tuple[Window, ...], Field(min_length=1)]] = Field(
        {}, description="Parts of the week by name; a rule with a `schedule` is armed only within it."
    )
    clips: Clips = Field(
        default_factory=lambda: Clips.model_construct(), description="How much footage an alert keeps."
    )
    alerts: AlertsConfig = Field(
        default_factory=lambda: AlertsConfig.model_construct(), description="How guards handle alerts."
    )
    arming: ArmingConfig = Field(
        default_factory=lambda: ArmingConfig.model_construct(), description="Which rules are armed when."
    )
    retention: RetentionConfig = Field(
        default_factory=lambda: RetentionConfig.model_construct(),
        description="How long what is done with is kept.",
    )
    external: dict[Name, SourceConfig] = Field({}, description="Who may send events from outside, by name.")
    cameras: Annotated[dict[Name, Camera], Field(min_length=1)] = Field(description="Cameras by name.")
