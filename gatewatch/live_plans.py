"""The site file's arming and sources, as the API takes them."""

from __future__ import annotations

from collections.abc import Mapping

from api.arming import DEFAULT_PROFILES, EVERY_RULE, ArmedRule, ArmingPlan, Profile
from api.external import Effect, Source
from gatewatch.errors import SiteError
from gatewatch.site import Site
from gatewatch.site_model import EffectConfig, ProfileConfig

SECRET_MIN = 16


def arming_plan(site: Site) -> ArmingPlan:
    own = {name: _profile(name, config) for name, config in site.arming.profiles.items()}
    rules = {
        name: tuple(
            ArmedRule(rule.name, getattr(rule, "zone", None) or getattr(rule, "line", None)) for rule in camera.rules
        )
        for name, camera in site.cameras.items()
    }
    return ArmingPlan({**DEFAULT_PROFILES, **own}, site.arming.first, rules)


def sources(site: Site, environ: Mapping[str, str]) -> dict[str, Source]:
    """Who may send events, with their secrets out of `environ`. Raises SiteError where one is missing or too short."""
    return {
        name: Source(
            name, _secret(site, name, config.secret, environ),
            {kind: _effect(effect) for kind, effect in config.events.items()},
        )
        for name, config in site.external.items()
    }  # fmt: skip


def _secret(site: Site, source: str, variable: str, environ: Mapping[str, str]) -> str:
    name, path = variable[2:-1], ("external", source, "secret")
    secret = environ.get(name)
    if secret is None:
        raise SiteError(
            site.document.problem(path, f"expected the environment variable {name} to be set, found it missing")
        )
    if len(environ[name]) < SECRET_MIN:
        text = (
            f"expected {SECRET_MIN} or more characters in the environment variable {name}, found {len(environ[name])}"
        )
        raise SiteError(site.document.problem(path, text))
    return secret


def _profile(name: str, config: ProfileConfig) -> Profile:
    disarmed = tuple(
        (camera, target)
        for camera, targets in config.disarm.items()
        for target in ((EVERY_RULE,) if isinstance(targets, str) else targets)
    )
    return Profile(name, disarmed, name == "drill" if config.drill is None else config.drill)


def _effect(config: EffectConfig) -> Effect:
    return Effect(
        config.do, config.severity, config.camera, config.line or config.target or EVERY_RULE, config.profile or ""
    )
