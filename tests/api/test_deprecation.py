"""What is going away says so in its answers and in the document, whatever it answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from starlette.testclient import TestClient

from api import failures
from api.contract import Api
from api.deprecation import deprecated
from api.errors import NotFoundError
from api.strictness import AnswerHeaders, HeadAsGet

SINCE, UNTIL = date(2027, 1, 1), date(2027, 9, 1)


@pytest.fixture
def app() -> FastAPI:
    app, router = Api(openapi_url=None), APIRouter(tags=["alerts"])
    going = [deprecated(SINCE, UNTIL, "/api/v1/new")]

    @router.get("/api/v1/old", dependencies=going, operation_id="old")
    def old() -> dict[str, int]:
        """What it does."""
        return {"a": 1}

    @router.get("/api/v1/old-file", dependencies=going)
    def old_file() -> PlainTextResponse:
        return PlainTextResponse("a file")

    @router.get("/api/v1/old-missing", dependencies=[deprecated(SINCE, UNTIL)])
    def old_missing() -> None:
        raise NotFoundError("There is none.")

    @router.get("/api/v1/new")
    def new() -> dict[str, int]:
        return {"a": 1}

    app.include_router(router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AnswerHeaders)
    failures.install(app)
    return app


@pytest.mark.parametrize("path", ["old", "old-file", "old-missing"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_answer_says_since_when_and_until_when(app: FastAPI, path: str, method: str) -> None:
    with TestClient(app) as client:
        answer = client.request(method, f"/api/v1/{path}")
    assert answer.headers["deprecation"] == f"@{int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())}"
    assert parsedate_to_datetime(answer.headers["sunset"]) == datetime(2027, 9, 1, tzinfo=UTC)
    assert answer.headers.get("link") == (None if "missing" in path else '</api/v1/new>; rel="successor-version"')


def test_the_document_calls_it_deprecated(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    old, new = paths["/api/v1/old"]["get"], paths["/api/v1/new"]["get"]
    assert old["deprecated"] is True
    assert old["description"].startswith("**Deprecated since 2027-01-01, gone after 2027-09-01.** Use `/api/v1/new`")
    assert set(old["responses"]["200"]["headers"]) == {"Deprecation", "Sunset", "Link"}
    assert "deprecated" not in new
    with TestClient(app) as client:
        assert "deprecation" not in client.get("/api/v1/new").headers


def test_nothing_goes_sooner_than_promised() -> None:
    with pytest.raises(ValueError, match="at least 183 days"):
        deprecated(SINCE, SINCE + timedelta(days=182))
