"""What the environment may say about the OpenID provider, and what is said back where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.access.oidc_settings import OidcSettings, oidc_from_environment
from api.errors import DeskError

GOOD = {
    "GATEWATCH_OIDC_ISSUER": "https://login.example.com/realms/site",
    "GATEWATCH_OIDC_CLIENT_ID": "gatewatch",
    "GATEWATCH_OIDC_CLIENT_SECRET": "hidden",
    "GATEWATCH_OIDC_ROLES": "gw-guards=guard, cn=admins=administrator",
}


def test_nothing_set_means_no_provider() -> None:
    assert oidc_from_environment({"PATH": "/bin", "GATEWATCH_OIDC_ISSUER": " "}) is None


def test_pairs_or_json_say_the_roles(tmp_path: Path) -> None:
    settings = oidc_from_environment(GOOD)
    assert settings is not None
    assert settings.roles == {"gw-guards": "guard", "cn=admins": "administrator"}
    assert settings.secret() == "hidden"
    assert "hidden" not in repr(settings)
    (tmp_path / "secret").write_text("from a file\n")
    more = {key: value for key, value in GOOD.items() if not key.endswith("SECRET")} | {
        "GATEWATCH_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        "GATEWATCH_OIDC_ROLES": '{"CN=Guards,OU=Site": "guard"}',
    }
    settings = oidc_from_environment(more)
    assert settings is not None
    assert (settings.secret(), settings.roles) == ("from a file", {"CN=Guards,OU=Site": "guard"})


def test_the_first_entry_that_fits_decides() -> None:
    settings = OidcSettings(issuer="https://a.test", client_id="x", roles={"boss": "supervisor", "all": "guard"})
    assert settings.role_of(["all", "boss"]) == "supervisor"
    assert settings.role_of("all") == "guard"
    assert settings.role_of(["none"]) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"GATEWATCH_OIDC_ISSUER": ""},
            "GATEWATCH_OIDC_ISSUER: expected a value, as GATEWATCH_OIDC_CLIENT_ID is set.",
        ),
        (
            {"GATEWATCH_OIDC_ISSUER": "http://login.example.com"},
            "GATEWATCH_OIDC_ISSUER: expected https (http is for this machine alone), found 'http://login.example.com'.",
        ),
        (
            {"GATEWATCH_OIDC_ISSUER": "login.example.com"},
            "GATEWATCH_OIDC_ISSUER: expected an https address without user, query or fragment, "
            "found 'login.example.com'.",
        ),
        (
            {"GATEWATCH_OIDC_ROLES": "gw-guards=gaurd"},
            "GATEWATCH_OIDC_ROLES: expected one of guard, supervisor, administrator, auditor, integrator "
            "for 'gw-guards', found 'gaurd'.",
        ),
        (
            {"GATEWATCH_OIDC_ROLES": "guard"},
            "GATEWATCH_OIDC_ROLES: expected CLAIM_VALUE=ROLE, separated by commas, found 'guard'.",
        ),
        ({"GATEWATCH_OIDC_ISUER": "x"}, "GATEWATCH_OIDC_ISUER: there is no such setting."),
        (
            {"GATEWATCH_OIDC_CLIENT_SECRET_FILE": "/nowhere/secret"},
            "GATEWATCH_OIDC_CLIENT_SECRET_FILE: expected a file, found none at /nowhere/secret.",
        ),
        (
            {"GATEWATCH_OIDC_SCOPE": "profile"},
            "OpenID Connect: expected openid in GATEWATCH_OIDC_SCOPE, found 'profile'.",
        ),
        (
            {"GATEWATCH_OIDC_REDIRECT_URI": "https://gate.example.com/"},
            "OpenID Connect: expected GATEWATCH_OIDC_REDIRECT_URI to end in /api/v1/oidc/callback, "
            "found 'https://gate.example.com/'.",
        ),
    ],
)
def test_each_mistake_has_its_sentence(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(DeskError) as raised:
        oidc_from_environment(GOOD | changes)
    assert str(raised.value) == sentence
    assert "hidden" not in str(raised.value)
