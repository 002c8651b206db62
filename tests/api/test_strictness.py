"""What holds for every route: nothing unknown is passed over, no text breaks a database, HEAD answers like GET."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.desk import Desk
from tests.api.scenes import make_event, serving

V1 = "/api/v1"


@pytest.mark.parametrize(
    ("query", "kind", "named"),
    [
        ("stat=new", "unknown_parameter", "stat"),
        ("state=new&limit=2&limit=3", "repeated_parameter", "limit"),
        ("camera=a%00b", "unusable_text", "camera"),
    ],
)
def test_what_a_query_may_not_hold_is_named(client: TestClient, query: str, kind: str, named: str) -> None:
    answer = client.get(f"{V1}/alerts?{query}")
    assert answer.status_code == 422
    (problem,) = answer.json()["error"]["details"]["problems"]
    assert (problem["type"], problem["where"]) == (kind, ["query", named])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/alerts?stat=new"), ("PUT", "/arming?x=1"), ("GET", "/users/a%00b")]
)
def test_strangers_hear_first_that_they_must_log_in(app: FastAPI, client: TestClient, method: str, path: str) -> None:
    body = {} if method == "PUT" else None
    with TestClient(app, base_url="http://127.0.0.1:8400") as stranger:
        assert stranger.request(method, f"{V1}{path}", json=body).status_code == 401
    assert client.request(method, f"{V1}{path}", json=body).status_code == 422


def test_lists_may_be_repeated(client: TestClient) -> None:
    assert client.get(f"{V1}/alerts?state=new&state=acknowledged&severity=high&severity=low").status_code == 200


@pytest.mark.parametrize(
    "body", [rb'{"note": "a\u0000b"}', rb'{"note": "\ud83d"}', rb'{"\ud800": {"x": "\u0000"}}', rb'{"x": [["\udfff"]]}']
)
def test_texts_that_no_database_takes_are_refused(client: TestClient, desk: Desk, body: bytes) -> None:
    alert = desk.take(make_event())
    headers = {"content-type": "application/json"}
    answer = client.post(f"{V1}/alerts/{alert.alert_id}/acknowledge", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert client.get(f"{V1}/alerts/a%00b").status_code == 422


def test_whole_surrogate_pairs_and_any_script_are_texts(client: TestClient, desk: Desk) -> None:
    alert = desk.take(make_event())
    headers = {"content-type": "application/json"}
    body = rb'{"note": "\ud83d\ude00 \u8349\u576a"}'
    answer = client.post(f"{V1}/alerts/{alert.alert_id}/acknowledge", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/health", "/alerts", "/alerts?limit=0", "/alerts/none", "/nowhere"])
def test_head_answers_like_get_without_a_body(client: TestClient, path: str) -> None:
    get, head = client.get(f"{V1}{path}"), client.head(f"{V1}{path}")
    assert head.content == b""
    assert head.status_code == get.status_code
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in get.headers.items() if k != "date"
    }


def test_head_over_a_real_socket_leaves_the_connection_usable(app: FastAPI) -> None:
    import http.client
    from urllib.parse import urlsplit

    with serving(app) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
        for method in ("HEAD", "GET", "HEAD"):
            connection.request(method, f"{V1}/health")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, method == "GET")
        connection.close()


def test_what_is_reached_by_https_says_so(app: FastAPI) -> None:
    with TestClient(app, base_url="https://127.0.0.1:8400") as client:
        assert client.get(f"{V1}/health").headers["strict-transport-security"] == "max-age=31536000"
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        assert "strict-transport-security" not in client.get(f"{V1}/health").headers
