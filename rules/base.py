"""What a rule is: its configuration, what it is shown in each frame, and what it answers.

A rule is one file in this folder that defines a subclass of `Rule` with a `kind` of its own and a `Config`;
`rules.registry` finds it. See docs/adding-a-rule.md.
"""

from __future__ import annotations

import difflib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from pipeline.types import GROUPS, LABEL_GROUP, Box
from rules.geometry import Anchor, Polyline, Zone
from rules.types import Direction, Input, Measured, Severity

EPSILON_S = 1e-6
"""Times are sums of decimal fractions; a threshold counts as reached this much earlier."""

ANY = "any"
ALWAYS = "always"


NAME_MAX = 64
"""Characters of a name at most."""


def fits_name(character: str) -> bool:
    """Whether a name may hold this character: letters and digits of any script, `-` and `_`."""
    category = unicodedata.category(character)
    # Marks (M) are parts of letters in many scripts.
    return character in "-_" or category[0] in "LM" or category == "Nd"


def _name(value: str) -> str:
    if not 1 <= len(value) <= NAME_MAX:
        raise ValueError(f"a name has 1 to {NAME_MAX} characters, found {len(value)}")
    for character in value:
        if not fits_name(character):
            raise ValueError(f"a name has letters, digits, '-' and '_' only, found {character!r}")
    return value


def _label(value: str) -> str:
    if value == ANY or value in GROUPS or value in LABEL_GROUP:
        return value
    groups = [group for group in GROUPS if group not in LABEL_GROUP]
    near = difflib.get_close_matches(value, [ANY, *groups, *LABEL_GROUP], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise ValueError(
        f"'{value}' is not a label; expected 'any', a label ({', '.join(LABEL_GROUP)}) "
        f"or a group ({', '.join(groups)}){hint}"
    )


Name = Annotated[str, AfterValidator(_name)]
Label = Annotated[str, AfterValidator(_label)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=86400, allow_inf_nan=False)]
"""A length of time; numbers only ("30" in quotes is refused)."""
PositiveSeconds = Annotated[float, Field(strict=True, gt=0, le=86400, allow_inf_nan=False)]
DirectionChoice = Literal["left_to_right", "right_to_left", "both"]


class RuleConfig(BaseModel):
    """What every rule can be told. Unknown keys are refused; the text under a field is its description for users."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Name
    """Name of the rule, once per camera."""
    kind: str
    """Which rule."""
    labels: Annotated[tuple[Label, ...], Field(min_length=1)] = (ANY,)
    """What it is about: labels or groups of labels."""
    severity: Severity = "medium"
    """How urgent its alerts are."""
    schedule: Name = ALWAYS
    """Name of a schedule; the rule is armed within it. `always` is always."""
    anchor: Anchor = "bottom_centre"
    """The point of the object's box that stands for the object."""
    cooldown_s: Seconds = 30.0
    """An event within so many seconds of an alert's last one joins that alert."""

    @field_validator("labels", mode="before")
    @classmethod
    def _no_bare_string(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f"expected a list of labels, such as [{value}], found '{value}'")
        return value


class ZoneRuleConfig(RuleConfig):
    """A rule on a zone."""

    zone: Name
    """Name of a zone of the camera."""


class LineRuleConfig(RuleConfig):
    """A rule on a directed line."""

    line: Name
    """Name of a line of the camera."""
    direction: DirectionChoice = "both"
    """As seen by someone who stands on the line's first point and looks towards its last."""


def labels_meant(labels: Sequence[str]) -> frozenset[str] | None:
    """The single labels that a configured list stands for, or None where it means any."""
    if ANY in labels:
        return None
    meant: set[str] = set()
    for label in labels:
        meant.update(GROUPS.get(label, (label,)))
    return frozenset(meant)


@dataclass(slots=True)
class Seen:
    """One object in one frame, as a rule sees it."""

    object_id: int
    """The object's, unlike a track's id it outlives a broken track."""
    label: str
    points: list[tuple[float, float, float]]
    """(media_time_s, x, y) of the anchor, normalised: samples that became known only now, then this frame's."""
    box: Box
    """Source pixels, unclipped."""
    group: str
    held: bool

    @property
    def size_px(self) -> float:
        """The longer side of the box: the measure of how far it must move to have moved."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


@dataclass(slots=True)
class View:
    """One frame of one camera, as a rule sees it."""

    time_s: float
    interval_s: float
    """Time since the frame before, 0 in the first."""
    width_px: int
    height_px: int
    objects: Sequence[Seen]
    """Objects present now whose label's group the rule is for. A detector wavers between the labels of a group, so the
    rule follows them all and asks for the label only when it decides."""
    ended: Sequence[int] = ()
    """Object ids whose track ended at this frame. Their state stays until `forget`: the object may be found again."""
    effective: Callable[[float], bool] = field(default=lambda _: True)
    """Is the rule in effect (schedule, armed) at this media time?"""
    effective_since_s: float = float("-inf")
    """Since when it has been in effect, as far as it is now; minus infinity where it always was."""
    blind: str | None = None
    """Why the camera cannot see, else None."""


@dataclass(slots=True)
class Finding:
    """What a rule decided at a frame; the engine makes the event of it."""

    object_id: int
    start_s: float
    measured: Mapping[str, Measured]
    direction: Direction | None = None
    others: tuple[int, ...] = ()
    """Further objects that took part; their tracks follow in `track_ids`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a rule watches: the camera's zones and lines, checked."""

    zones: Mapping[str, Zone]
    lines: Mapping[str, Polyline]


C = TypeVar("C", bound=RuleConfig)


class Rule(ABC, Generic[C]):
    """One rule of one camera. Fed in order of time; keeps state per object id and drops it in `forget`."""

    kind: ClassVar[str]
    """The word in the site file."""
    version: ClassVar[str] = "1"
    """Raised whenever the same tracks would give other events."""
    title: ClassVar[Mapping[str, str]] = {}
    """Name for people, by language (en, zh-CN)."""
    needs_fps: ClassVar[float] = 3.0
    """Analysed frames a second below which the rule loses events."""
    Config: ClassVar[type[RuleConfig]]

    def __init__(self, config: C, setting: Setting) -> None:
        self.config = config
        self.setting = setting
        self.labels = labels_meant(config.labels)
        self.groups = None if self.labels is None else frozenset(LABEL_GROUP[label] for label in self.labels)

    @abstractmethod
    def update(self, view: View) -> list[Finding]:
        """What is decided at this frame."""

    @abstractmethod
    def forget(self, object_id: int) -> None:
        """The object will not come back: drop what is kept of it. Unknown ids are fine."""

    @abstractmethod
    def state_size(self) -> int:
        """How many things are kept now; 0 once every object is forgotten and its after-effects have passed."""

    def receive(self, message: Input) -> bool:  # noqa: ARG002 - most rules take none
        """Takes an input of this rule's line that is due; False where it is of no use to the rule."""
        return False

    def memory_s(self) -> float:
        """For how long the rule follows an object that is not seen; tracks are stitched over at least that."""
        return 0.0

    def wants(self, label: str) -> bool:
        """Is the rule for this label?"""
        return self.labels is None or label in self.labels
