"""Which rules are armed: the site's profile, and what was armed or disarmed by itself since.

The database holds it, so it survives restarts; whoever runs the rules is told at once through `on_change`, and reads
`state` when it starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from api.errors import InvalidError, NotFoundError, StaleError
from api.journal import SYSTEM, Actor, Entry
from api.storage import messages
from api.storage.ledger import Ledger, Write

EVERY_RULE = ""
"""As a target: all rules of the camera."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """A way in which a site is watched."""

    name: str
    disarmed: tuple[tuple[str, str], ...] = ()
    """(camera, target) of what is not armed in it."""
    drill: bool = False
    """Alerts that are raised in it are marked as drills."""


DEFAULT_PROFILES: Mapping[str, Profile] = {
    name: Profile(name, drill=name == "drill") for name in ("day", "night", "holiday", "drill")
}
DEFAULT_FIRST = "day"


@dataclass(frozen=True, slots=True)
class ArmedRule:
    """What can be armed: a rule, by its own name or by the name of its zone or line."""

    name: str
    place: str | None

    def named_by(self, target: str) -> bool:
        return target in (EVERY_RULE, self.name, self.place)


@dataclass(frozen=True, slots=True)
class ArmingPlan:
    """What the site file says about arming."""

    profiles: Mapping[str, Profile] = field(default_factory=lambda: DEFAULT_PROFILES)
    first: str = DEFAULT_FIRST
    """The profile of a site that was never in one."""
    rules: Mapping[str, tuple[ArmedRule, ...]] = field(default_factory=dict)
    """Camera -> its rules."""


@dataclass(frozen=True, slots=True)
class Override:
    camera: str
    target: str
    armed: bool
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True)
class ArmingState:
    profile: Profile
    version: int
    """Grows with every change of profile and every override."""
    set_at: datetime
    """When the profile was set."""
    set_by: str
    overrides: tuple[Override, ...] = ()


class Arming:
    """Thread-safe. Raises UnavailableError where the database is busy."""

    def __init__(self, ledger: Ledger, plan: ArmingPlan | None = None) -> None:
        self.plan = plan or ArmingPlan()
        self.on_change: Callable[[ArmingState], None] = lambda _: None
        """Called after each change, in order, by the thread that made it; must not block."""
        self._ledger = ledger
        self._state = self._stored()
        ledger.listen(self._on_entries)

    @property
    def state(self) -> ArmingState:
        return self._state

    def disarmed(self, state: ArmingState | None = None) -> frozenset[tuple[str, str]]:
        """(camera, rule) of every rule that is not armed: the profile's, then each override over it in its order."""
        state = state or self._state
        off = set()
        for camera, rules in self.plan.rules.items():
            said = [(target, False) for of, target in state.profile.disarmed if of == camera]
            said += [(one.target, one.armed) for one in state.overrides if one.camera == camera]
            for rule in rules:
                armed = next((armed for target, armed in reversed(said) if rule.named_by(target)), True)
                if not armed:
                    off.add((camera, rule.name))
        return frozenset(off)

    def set_profile(self, name: str, *, actor: Actor, expected_version: int | None) -> ArmingState:
        """Puts the site into a profile; overrides end. Raises InvalidError for an unknown one, StaleError."""
        with self._ledger.writing() as write:
            self.set_profile_in(write, name, actor=actor, expected_version=expected_version)
        return self.state

    def set_profile_in(self, write: Write, name: str, *, actor: Actor, expected_version: int | None = None) -> None:
        """`set_profile` within a transaction that also writes something else."""
        if name not in self.plan.profiles:
            known = ", ".join(self.plan.profiles)
            raise InvalidError(
                f"There is no profile {name}; expected one of {known}.", {"profiles": list(self.plan.profiles)}
            )
        row = messages.arming_row(write.session)
        if row is None:
            # The first change of all: until now the site was in its first profile, as nobody had to write down.
            row = messages.add_arming(write.session, self.plan.first, write.at, SYSTEM.name)
        _check_version(expected_version, row.version)
        before = row.profile
        messages.clear_overrides(write.session)
        row.profile, row.version, row.set_at, row.set_by = name, row.version + 1, write.at, actor.name
        body = {"profile": name, "before": before, "drill": self.plan.profiles[name].drill}
        write.journal(actor, "arming", name, "profile", body, version=row.version)

    def override(
        self, camera: str, target: str, armed: bool, *, actor: Actor, expected_version: int | None = None
    ) -> ArmingState:
        """Arms or disarms what `target` names (a rule, zone or line of the camera; empty: all of its rules) until the
        profile changes. Raises NotFoundError, StaleError."""
        with self._ledger.writing() as write:
            self.override_in(write, camera, target, armed, actor=actor, expected_version=expected_version)
        return self.state

    def override_in(
        self, write: Write, camera: str, target: str, armed: bool, *, actor: Actor, expected_version: int | None = None
    ) -> None:
        """`override` within a transaction that also writes something else."""
        self.check(camera, target)
        row = messages.arming_row(write.session)
        if row is None:
            row = messages.add_arming(write.session, self.plan.first, write.at, SYSTEM.name)
        _check_version(expected_version, row.version)
        row.version += 1
        messages.put_override(write.session, camera, target, armed, write.at, actor.name)
        body = {"target": target, "armed": armed, "profile": row.profile}
        where = f"{camera}/{target}" if target else camera
        write.journal(actor, "arming", where, "override", body, camera=camera, version=row.version)

    def check(self, camera: str, target: str) -> None:
        """Raises NotFoundError where there is nothing to arm there."""
        if camera not in self.plan.rules:
            raise NotFoundError(f"There is no camera {camera}.")
        if target != EVERY_RULE and not any(rule.named_by(target) for rule in self.plan.rules[camera]):
            raise NotFoundError(f"Camera {camera} has no rule {target}, nor one on a zone or line of that name.")

    def _stored(self) -> ArmingState:
        with self._ledger.reading() as session:
            row = messages.arming_row(session)
            if row is None:
                return ArmingState(self.plan.profiles[self.plan.first], 1, self._ledger.now(), SYSTEM.name)
            profile = self.plan.profiles.get(row.profile)
            if profile is None:
                # Nothing is written: whoever looks at the database without the site file knows no profiles of its own.
                profile = self.plan.profiles[self.plan.first]
                _log.warning("there is no profile %s: the site is watched as in %s", row.profile, profile.name)
            overrides = tuple(
                Override(one.camera, one.target, one.armed, one.set_at, one.set_by)
                for one in messages.overrides(session)
            )
            return ArmingState(profile, row.version, row.set_at, row.set_by, overrides)

    def _on_entries(self, entries: Sequence[Entry]) -> None:
        # In the order of the journal, one commit after the other: the newest always wins.
        changed = False
        for entry in entries:
            if entry.subject != "arming" or entry.version is None:
                continue
            changed = True
            if entry.action == "profile":
                profile = self.plan.profiles[entry.body["profile"]]
                self._state = ArmingState(profile, entry.version, entry.at, entry.actor.name)
            else:
                camera, target = entry.camera or "", entry.body["target"]
                kept = tuple(o for o in self._state.overrides if (o.camera, o.target) != (camera, target))
                new = Override(camera, target, entry.body["armed"], entry.at, entry.actor.name)
                self._state = replace(self._state, version=entry.version, overrides=(*kept, new))
        if changed:
            self.on_change(self._state)


def _check_version(expected: int | None, found: int) -> None:
    if expected is not None and expected != found:
        raise StaleError(
            f"Arming has changed: expected version {expected}, found {found}.", {"expected": expected, "found": found}
        )
