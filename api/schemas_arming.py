"""Arming as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from api.access.principal import Principal
from api.arming import Arming, ArmingState
from api.schemas import Name, Version

Target = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f]*$")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ArmingIn(_In):
    profile: Name = Field(description="One of `profiles`.", examples=["night"])
    version: Version = None


class OverrideIn(_In):
    camera: Name
    target: Target = Field(description="A rule of the camera, or the zone or line of rules; empty: all its rules.")
    armed: StrictBool
    version: Version = None


class DisarmedOut(BaseModel):
    camera: str
    target: str = Field(description="A rule, zone or line; empty: every rule of the camera.")


class ProfileOut(BaseModel):
    name: str
    drill: bool = Field(description="Alerts that are raised in it are marked as drills.")
    disarmed: list[DisarmedOut]


class OverrideOut(BaseModel):
    camera: str
    target: str
    armed: bool
    set_at: datetime
    set_by: str


class RuleArmedOut(BaseModel):
    camera: str
    rule: str
    armed: bool = Field(description="By profile and overrides; a rule's own schedule comes on top.")


class ArmingOut(BaseModel):
    """How the site is watched now. Callers see what concerns their cameras."""

    version: int
    profile: str
    drill: bool
    set_at: datetime = Field(description="When the profile was set.")
    set_by: str
    overrides: list[OverrideOut] = Field(description="In the order in which they were set; a later one goes first.")
    rules: list[RuleArmedOut]
    profiles: list[ProfileOut]


def arming_out(arming: Arming, state: ArmingState, principal: Principal) -> ArmingOut:
    off = arming.disarmed(state)
    return ArmingOut(
        version=state.version,
        profile=state.profile.name,
        drill=state.profile.drill,
        set_at=state.set_at,
        set_by=state.set_by,
        overrides=[
            OverrideOut(camera=o.camera, target=o.target, armed=o.armed, set_at=o.set_at, set_by=o.set_by)
            for o in state.overrides
            if principal.sees(o.camera)
        ],
        rules=[
            RuleArmedOut(camera=camera, rule=rule.name, armed=(camera, rule.name) not in off)
            for camera, rules in arming.plan.rules.items()
            if principal.sees(camera)
            for rule in rules
        ],
        profiles=[
            ProfileOut(
                name=profile.name,
                drill=profile.drill,
                disarmed=[
                    DisarmedOut(camera=camera, target=target)
                    for camera, target in profile.disarmed
                    if principal.sees(camera)
                ],
            )
            for profile in arming.plan.profiles.values()
        ],
    )
