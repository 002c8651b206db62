"""Log-ins, sessions, users, passwords and tokens as people and programs meet them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from starlette.testclient import TestClient

from api.access.accounts import Accounts
from api.access.authenticate import COOKIE
from api.access.limits import Buckets, Limits, Rate
from api.access.passwords import Passwords, check_password, one_time_password
from api.access.users import UserChange
from api.app import create_app
from api.errors import ForbiddenError, InvalidError, TooManyRequestsError
from api.journal import SYSTEM
from api.services import Services
from gatewatch import cli
from gatewatch.live_api import add_live_routes
from gatewatch.live_board import Board
from tests.api.access.conftest import PASSWORD, V1, Clock, browser_of, code_of, log_in, person
from tests.api.kit import ADDRESS, client_as, token_for
from tests.api.scenes import Site, make_event


class TestSessions:
    def test_a_guard_logs_in_works_and_logs_out(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts, display_name="张伟", cameras=["north-gate"])
        with browser_of(app) as client:
            told = log_in(client, " Wei.Zhang ").json()
            assert (told["user"], told["display_name"], told["role"]) == ("wei.zhang", "张伟", "guard")
            assert (told["cameras"], told["must_change_password"]) == (["north-gate"], False)
            assert "alerts.handle" in told["permissions"]
            assert client.get(f"{V1}/session").json() == told
            assert client.get(f"{V1}/alerts").status_code == 200
            assert client.delete(f"{V1}/session").status_code == 204
            assert COOKIE not in client.cookies
            assert code_of(client.get(f"{V1}/session")) == (401, "not_authenticated")

    def test_it_ends_after_a_shift_without_use_and_after_a_day(
        self, app: FastAPI, accounts: Accounts, clock: Clock
    ) -> None:
        person(accounts)
        with browser_of(app) as client:
            log_in(client)
            clock.later(hours=11, minutes=59)
            assert client.get(f"{V1}/session").status_code == 200
            clock.later(hours=12)
            assert code_of(client.get(f"{V1}/session")) == (401, "session_over")
            log_in(client)
            for _ in range(3):
                clock.later(hours=7, minutes=59)
                assert client.get(f"{V1}/session").status_code == 200
            clock.later(minutes=4)
            assert code_of(client.get(f"{V1}/session")) == (401, "session_over")

    def test_a_one_time_password_is_good_for_a_new_one_only(self, app: FastAPI, accounts: Accounts) -> None:
        _, password = accounts.users.create("li.na", "guard", actor=SYSTEM)
        with browser_of(app) as client, browser_of(app) as elsewhere:
            assert log_in(elsewhere, "li.na", password).status_code == 200
            assert log_in(client, "li.na", password).json()["must_change_password"] is True
            assert code_of(client.get(f"{V1}/alerts")) == (403, "password_change_required")
            assert client.get(f"{V1}/health").json() == {"status": "ok", "version": "1.2.3"}

            def choose(current: str, new: str) -> Any:
                body = {"current_password": current, "new_password": new}
                return client.post(f"{V1}/session/password", json=body)

            assert code_of(choose("not that", PASSWORD)) == (422, "wrong_password")
            assert code_of(choose(password, password)) == (422, "weak_password")
            assert code_of(choose(password, "Lakeside Gardens")) == (422, "weak_password")
            before = client.cookies[COOKIE]
            done = choose(password, PASSWORD)
            assert (done.status_code, done.json()["must_change_password"]) == (200, False)
            assert client.cookies[COOKIE] != before
            assert client.get(f"{V1}/alerts").status_code == 200
            assert code_of(elsewhere.get(f"{V1}/session")) == (401, "session_over")
            assert code_of(log_in(elsewhere, "li.na", password)) == (401, "login_failed")

    def test_who_is_disabled_is_out_at_once(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts)
        with browser_of(app) as client:
            log_in(client)
            assert client.get(f"{V1}/session").status_code == 200
            version = accounts.users.get("wei.zhang").version
            accounts.users.change(
                "wei.zhang", UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=version
            )
            assert code_of(client.get(f"{V1}/session")) == (401, "session_over")
            assert code_of(log_in(client)) == (401, "login_failed")

    def test_health_tells_numbers_only_to_those_who_may_read_them(self, app: FastAPI, services: Services) -> None:
        with browser_of(app) as client:
            assert client.get(f"{V1}/health").json() == {"status": "ok", "version": "1.2.3"}
            wrong = {"authorization": "Bearer gw_00_none"}
            assert client.get(f"{V1}/health", headers=wrong).json() == {"status": "ok", "version": "1.2.3"}
        with client_as(app, services, "guard") as client:
            assert client.get(f"{V1}/health").json()["alerts"] == {}
        with client_as(app, services, "guard", cameras=["roof"]) as client:
            assert "alerts" not in client.get(f"{V1}/health").json()


class TestLockout:
    def test_ten_wrong_ones_lock_and_longer_each_time(
        self, accounts: Accounts, clock: Clock, services: Services
    ) -> None:
        person(accounts)
        # Each address may fail only so often: these come from many.
        app = create_app(services, site=Site(), version="1", limits=Limits(logins=Rate(1000.0, 1000)))
        with browser_of(app) as client:
            for minutes in (15, 30):
                for _ in range(10):
                    assert code_of(log_in(client, password="wrong")) == (401, "login_failed")
                assert code_of(log_in(client)) == (401, "login_failed"), "right, but locked"
                clock.later(minutes=minutes, seconds=-1)
                assert code_of(log_in(client)) == (401, "login_failed")
                clock.later(seconds=2)
            assert log_in(client).status_code == 200
            assert accounts.users.get("wei.zhang").failed_logins == 0

    def test_an_administrator_unlocks(self, app: FastAPI, accounts: Accounts, services: Services) -> None:
        person(accounts)
        with services.ledger.writing() as write:
            from api.storage import people

            row = people.user_named(write.session, "wei.zhang")
            assert row is not None
            row.failed_logins = 9
        with browser_of(app) as client, client_as(app, services, "administrator") as chief:
            log_in(client, password="wrong")
            assert chief.get(f"{V1}/users/wei.zhang").json()["locked_until"] == "2026-03-01T06:15:00Z"
            assert chief.post(f"{V1}/users/wei.zhang/unlock", json={}).json()["locked_until"] is None
            assert log_in(client).status_code == 200

    def test_hashes_are_as_strong_as_they_should_be_and_dated_ones_are_renewed(self) -> None:
        passwords = Passwords()
        strong = passwords.hash(PASSWORD)
        assert strong.startswith("$argon2id$v=19$m=65536,t=3,")
        assert passwords.verify(PASSWORD, strong) == (True, None)
        passwords.use(Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1))
        right, better = passwords.verify(PASSWORD, strong)
        assert right
        assert better is not None

    def test_everybody_who_cannot_get_in_gets_the_same_answer_after_the_same_work(
        self, app: FastAPI, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        person(accounts)
        person(accounts, "gone")
        accounts.users.change("gone", UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=1)
        person(accounts, "locked")
        accounts.users.create("oidc", "guard", actor=SYSTEM, provider=("https://login.test", "1"))
        with accounts.ledger.writing() as write:
            from datetime import timedelta

            from api.storage import people

            row = people.user_named(write.session, "locked")
            assert row is not None
            row.locked_until = write.at + timedelta(minutes=1)
        verified = []
        hasher = accounts.passwords._hash
        real = hasher.verify_and_update

        def counted(password: str, hashed: str) -> Any:
            verified.append(hashed.split("$")[1:4])
            return real(password, hashed)

        monkeypatch.setattr(hasher, "verify_and_update", counted)
        answers = []
        with browser_of(app) as client:
            for name in ("wei.zhang", "nobody", "gone", "locked", "oidc"):
                answers.append(log_in(client, name, "wrong" if name == "wei.zhang" else PASSWORD))
        assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
        assert len(verified) == 5
        assert all(one == verified[0] for one in verified), "Argon2 of the same strength"


class TestUsers:
    def test_a_camera_that_is_none_is_refused(self, app: FastAPI, services: Services) -> None:
        add_live_routes(app, Board(("gate", "yard")))
        services.desk.take(make_event(camera="shed"))
        with client_as(app, services, "administrator") as chief:

            def told(cameras: list[str], user: str = "li.na") -> Any:
                return chief.post(f"{V1}/users", json={"user": user, "role": "guard", "cameras": cameras})

            refused = told(["gate", "gaet"])
            assert code_of(refused) == (422, "invalid_request")
            assert (
                refused.json()["error"]["message"] == "cameras: expected cameras of the site (gate, yard), found gaet."
            )
            assert told(["gate", "shed"]).status_code == 201, "there are alerts of a camera that is gone"
            person(services.accounts, "wang", cameras=["gone"])
            for cameras, status in ((["gone", "yard"], 200), (["gone", "roof"], 422)):
                change = {"cameras": cameras, "version": chief.get(f"{V1}/users/wang").json()["version"]}
                assert chief.patch(f"{V1}/users/wang", json=change).status_code == status
        person(services.accounts, "boss", role="administrator")
        with browser_of(app) as client:
            log_in(client, "boss")
            token = TestTokens.BODY | {"permissions": ["alerts.read"]}
            for camera, status in (("yard", 201), ("roof", 422)):
                assert client.post(f"{V1}/tokens", json=token | {"cameras": [camera]}).status_code == status

    def test_an_administrator_makes_changes_and_disables(self, app: FastAPI, services: Services) -> None:
        with client_as(app, services, "administrator") as chief, browser_of(app) as client:
            made = chief.post(f"{V1}/users", json={"user": "li.na", "role": "guard", "cameras": ["yard", "gate"]})
            assert (made.status_code, made.headers["cache-control"], made.headers["etag"]) == (201, "no-store", '"1"')
            assert log_in(client, "li.na", made.json()["one_time_password"]).json()["must_change_password"] is True
            assert code_of(chief.post(f"{V1}/users", json={"user": "li.na", "role": "guard"})) == (409, "conflict")
            told = chief.get(f"{V1}/users/li.na")
            assert "one_time_password" not in told.json()
            assert code_of(chief.patch(f"{V1}/users/li.na", json={"role": "auditor"}))[0] == 428
            stale = chief.patch(f"{V1}/users/li.na", json={"role": "auditor"}, headers={"if-match": '"9"'})
            assert (code_of(stale), stale.json()["error"]["details"]) == (
                (409, "stale_version"), {"expected": 9, "found": 1},
            )  # fmt: skip
            change = {"role": "supervisor", "cameras": None, "version": 1}
            changed = chief.patch(f"{V1}/users/li.na", json=change).json()
            assert (changed["role"], changed["cameras"], changed["version"]) == ("supervisor", None, 2)
            again = chief.post(f"{V1}/users/li.na/reset-password", json={}).json()
            assert code_of(client.get(f"{V1}/session")) == (401, "session_over")
            assert log_in(client, "li.na", again["one_time_password"]).status_code == 200
            assert code_of(chief.get(f"{V1}/users/nobody")) == (404, "not_found")
            names = [item["user"] for item in chief.get(f"{V1}/users").json()["items"]]
            assert names == ["administrator1", "li.na"]
            page = chief.get(f"{V1}/users", params={"limit": 1}).json()
            assert page["next_cursor"] == "administrator1"
            rest = chief.get(f"{V1}/users", params={"limit": 1, "cursor": page["next_cursor"]}).json()
            assert ([item["user"] for item in rest["items"]], rest["next_cursor"]) == (["li.na"], None)

    def test_somebody_can_always_get_in(self, app: FastAPI, services: Services, accounts: Accounts) -> None:
        with client_as(app, services, "administrator") as chief:
            for change in ({"role": "guard"}, {"disabled": True}):
                answer = chief.patch(f"{V1}/users/administrator1", json=change | {"version": 1})
                assert code_of(answer) == (403, "forbidden"), "nobody does this to themselves"
            with pytest.raises(ForbiddenError, match="last administrator"):
                accounts.users.change(
                    "administrator1", UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=None
                )
            other = chief.post(f"{V1}/users", json={"user": "boss", "role": "administrator", "cameras": ["roof"]})
            assert code_of(other) == (422, "invalid_request"), "an administrator sees all"

    @pytest.mark.parametrize("name", ["", "Li", "li na", "../etc", "a" * 65, "李", "-li", "li\x00"])
    def test_names_are_plain(self, app: FastAPI, services: Services, name: str) -> None:
        with client_as(app, services, "administrator") as chief:
            assert chief.post(f"{V1}/users", json={"user": name, "role": "guard"}).status_code == 422


@pytest.mark.parametrize(
    "password",
    [
        "short", "eleven char", "x" * 257, "aaaaaaaaaaaaaaaa", "abababababab", "abcdefghijklmn", "zyxwvutsrqponml",
        "012345678901234", "qwertyuiopqwer", "administrator1", "Password123456!", "gatewatch2026", "wei.zhang1234",
        "Lakeside Gardens", "ＬＡＫＥＳＩＤＥ　ＧＡＲＤＥＮＳ", "woaini1314520520",
    ],
)  # fmt: skip
def test_weak_passwords(password: str) -> None:
    with pytest.raises(InvalidError):
        check_password(password, names=["wei.zhang", "Lakeside Gardens", ""])


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "湖边的七只苍鹭飞过水面上空",
        "tR4-zz9-pp0-qq",
        pytest.param(one_time_password(), id="made"),
    ],
)
def test_good_passwords(password: str) -> None:
    check_password(password, names=["wei.zhang", "Lakeside Gardens"])


class TestTokens:
    BODY: dict[str, Any] = {  # noqa: RUF012 - it is read only
        "name": "desk", "permissions": ["alerts.read"], "expires_at": "2026-04-01T00:00:00Z",
    }  # fmt: skip

    def test_a_token_is_shown_once_works_ends_and_is_revoked(
        self, app: FastAPI, accounts: Accounts, clock: Clock
    ) -> None:
        person(accounts, role="integrator")
        with browser_of(app) as client:
            log_in(client)
            made = client.post(f"{V1}/tokens", json=self.BODY)
            assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
            token = made.json()["token"]
            assert token not in client.get(f"{V1}/tokens").text
            with TestClient(app, base_url=ADDRESS, headers={"authorization": f"Bearer {token}"}) as program:
                assert program.get(f"{V1}/alerts").status_code == 200
                assert code_of(program.get(f"{V1}/cameras")) in ((403, "forbidden"), (404, "not_found"))
                assert code_of(program.get(f"{V1}/site")) == (403, "forbidden")
                told = program.get(f"{V1}/session").json()
                assert (told["kind"], told["user"], told["csrf_token"]) == ("token", "wei.zhang", None)
                assert client.get(f"{V1}/tokens").json()["items"][0]["last_used_at"] == "2026-03-01T06:00:00Z"
                assert client.delete(f"{V1}/tokens/{made.json()['token_id']}").status_code == 204
                assert code_of(program.get(f"{V1}/alerts")) == (401, "invalid_token")
            token = client.post(f"{V1}/tokens", json=self.BODY).json()["token"]
        clock.later(days=31)
        with TestClient(app, base_url=ADDRESS, headers={"authorization": f"Bearer {token}"}) as program:
            assert code_of(program.get(f"{V1}/alerts")) == (401, "invalid_token")

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"expires_at": "2026-03-01T05:59:59Z"}, 422), ({"expires_at": "2027-03-03T00:00:00Z"}, 422),
            ({"expires_at": None}, 422), ({"permissions": []}, 422), ({"permissions": ["journal.read"]}, 403),
            ({"permissions": ["alerts.read", "users.write"]}, 403), ({"cameras": ["roof"]}, 403),
            ({"name": ""}, 422),
        ],
    )  # fmt: skip
    def test_what_a_token_cannot_be(
        self, app: FastAPI, accounts: Accounts, change: dict[str, Any], status: int
    ) -> None:
        person(accounts, role="integrator", cameras=["gate", "yard"])
        with browser_of(app) as client:
            log_in(client)
            body = self.BODY | {"cameras": ["gate"]} | change
            assert client.post(f"{V1}/tokens", json=body).status_code == status

    def test_without_cameras_it_gets_those_of_its_owner(self, app: FastAPI, accounts: Accounts) -> None:
        person(accounts, role="integrator", cameras=["gate", "yard"])
        with browser_of(app) as client:
            log_in(client)
            for body in (self.BODY, self.BODY | {"cameras": None}):
                made = client.post(f"{V1}/tokens", json=body)
                assert (made.status_code, made.json()["cameras"]) == (201, ["gate", "yard"])

    def test_it_never_does_more_than_its_owner(self, app: FastAPI, services: Services) -> None:
        with client_as(app, services, "integrator", cameras=["gate", "yard"]) as program:
            assert program.get(f"{V1}/session").json()["cameras"] == ["gate", "yard"]
            users = services.accounts.users
            narrower = UserChange(role="guard", cameras=["yard", "roof"])
            users.change("integrator1", narrower, actor=SYSTEM, by=None, expected_version=1)
            told = program.get(f"{V1}/session").json()
            assert told["cameras"] == ["yard"]
            assert "inputs.write" not in told["permissions"]
            assert code_of(program.post(f"{V1}/inputs", json={}))[0] == 403
            users.change("integrator1", UserChange(disabled=True), actor=SYSTEM, by=None, expected_version=2)
            assert code_of(program.get(f"{V1}/session")) == (401, "invalid_token")

    def test_a_token_makes_no_tokens_and_sees_its_owner_s_alone(self, app: FastAPI, services: Services) -> None:
        other = token_for(services, "supervisor").split("_")[1]
        with client_as(app, services, "supervisor") as program, client_as(app, services, "administrator") as chief:
            assert code_of(program.post(f"{V1}/tokens", json=self.BODY)) == (403, "session_required")
            assert [item["owner"] for item in program.get(f"{V1}/tokens").json()["items"]] == ["supervisor2"]
            assert code_of(program.get(f"{V1}/tokens", params={"all": True})) == (403, "forbidden")
            assert code_of(program.delete(f"{V1}/tokens/{other}")) == (404, "not_found")
            everybody = chief.get(f"{V1}/tokens", params={"all": True}).json()["items"]
            assert {item["owner"] for item in everybody} == {"supervisor1", "supervisor2", "administrator1"}
            assert chief.delete(f"{V1}/tokens/{other}").status_code == 204


class TestLimits:
    def test_a_bucket_fills_again(self) -> None:
        moment = [0.0]
        buckets = Buckets(Rate(0.5, 3), clock=lambda: moment[0])
        for _ in range(3):
            buckets.take("a")
        with pytest.raises(TooManyRequestsError) as refused:
            buckets.take("a")
        assert refused.value.details == {"retry_after_s": 2}
        buckets.take("b")
        moment[0] = 2.0
        buckets.take("a")
        buckets.give_back("a")
        buckets.take("a")

    def test_who_asks_too_much_is_told_when_to_come_again(self, services: Services) -> None:
        limits = Limits(Rate(0.1, 2), Rate(0.1, 4), Rate(0.1, 2))
        app = create_app(services, site=Site(), version="1", limits=limits)
        with client_as(app, services, "guard") as client, client_as(app, services, "guard") as other:
            for _ in range(2):
                assert client.get(f"{V1}/site").status_code == 200
            answer = client.get(f"{V1}/site")
            assert (code_of(answer), answer.headers["retry-after"]) == ((429, "too_many_requests"), "10")
            assert other.get(f"{V1}/site").status_code == 200
        with browser_of(app) as stranger:
            codes = [log_in(stranger, "nobody", "wrong").status_code for _ in range(3)]
            assert codes == [401, 401, 429]
            assert [stranger.get(f"{V1}/site").status_code for _ in range(2)] == [401, 429]

    def test_log_ins_that_work_are_not_counted(self, services: Services, accounts: Accounts) -> None:
        person(accounts)
        app = create_app(services, site=Site(), version="1", limits=Limits(logins=Rate(0.1, 1)))
        with browser_of(app) as client:
            assert [log_in(client).status_code for _ in range(3)] == [200, 200, 200]

    def test_only_wrong_passwords_are_counted_where_a_new_one_is_chosen(
        self, services: Services, accounts: Accounts
    ) -> None:
        person(accounts)
        app = create_app(services, site=Site(), version="1", limits=Limits(logins=Rate(0.01, 2)))
        with browser_of(app) as client, browser_of(app) as neighbour:
            log_in(client)

            def choose(current: str, new: str) -> tuple[int, str]:
                body = {"current_password": current, "new_password": new}
                return code_of(client.post(f"{V1}/session/password", json=body))

            assert {choose(PASSWORD, "short") for _ in range(10)} == {(422, "weak_password")}
            assert {choose(PASSWORD, PASSWORD) for _ in range(3)} == {(422, "weak_password")}
            assert log_in(neighbour).status_code == 200
            assert {choose("wrong", "a-quiet-otter-naps-here") for _ in range(2)} == {(422, "wrong_password")}
            assert choose(PASSWORD, "a-quiet-otter-naps-here") == (429, "too_many_requests")
            assert log_in(neighbour).status_code == 429


class TestFirstStart:
    def test_without_a_terminal_the_password_lies_in_a_file_until_it_is_changed(
        self, app: FastAPI, accounts: Accounts
    ) -> None:
        first = accounts.first_start(on_terminal=False)
        assert first is not None
        assert first.file is not None
        assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
        assert first.file.read_text() == f"admin\n{first.password}\n"
        assert accounts.first_start(on_terminal=False) is None
        with browser_of(app) as client:
            log_in(client, "admin", first.password)
            body = {"current_password": first.password, "new_password": PASSWORD}
            assert client.post(f"{V1}/session/password", json=body).status_code == 200
        assert not first.file.exists()

    def test_on_a_terminal_it_is_shown_and_written_nowhere(self, accounts: Accounts, media: Path) -> None:
        first = accounts.first_start(on_terminal=True)
        assert first is not None
        assert first.file is None
        secret = first.password.encode()
        assert not [path for path in media.parent.rglob("*") if path.is_file() and secret in path.read_bytes()]
        assert accounts.users.get("admin").must_change_password

    def test_a_run_without_a_terminal_says_where_the_password_is_and_not_what_it_is(
        self, accounts: Accounts, media: Path
    ) -> None:
        from gatewatch.live import _say_first_login

        lines: list[str] = []
        for _ in range(2):
            _say_first_login(accounts, "zh-CN", lines.append)
        (line,) = lines
        file = media / "first-password.txt"
        assert str(file) in line
        assert file.read_text().splitlines()[1] not in line

    def test_the_demo_s_password_is_new_each_time_and_works_as_it_is(self, app: FastAPI, accounts: Accounts) -> None:
        old, new = accounts.demo_login(), accounts.demo_login()
        with browser_of(app) as client:
            assert log_in(client, "admin", old).status_code == 401
            assert log_in(client, "admin", new).json()["must_change_password"] is False


def test_whoever_is_locked_out_finds_help_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from api.services import open_services

    data = tmp_path / "data"
    assert cli.run(["users", "list", "--data", str(data)]) == 1
    with open_services(data / "gatewatch.db", media_dir=data) as services:
        services.accounts.first_start(on_terminal=True)
        beside = create_app(services, site=Site(), version="1")
        capsys.readouterr()
        assert cli.run(["users", "reset-password", "admin", "--data", str(data)]) == 0
        password = capsys.readouterr().out.split("password ")[1].split(" ")[0]
        with browser_of(beside) as client:
            assert log_in(client, "admin", password).status_code == 200
        assert cli.run(["users", "add", "li.na", "--role", "guard", "--camera", "roof", "--data", str(data)]) == 0
        assert cli.run(["users", "disable", "li.na", "--data", str(data)]) == 0
        assert cli.run(["users", "disable", "admin", "--data", str(data)]) == 1
        assert "last administrator" in capsys.readouterr().err
        assert cli.run(["users", "list", "--data", str(data)]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown == ["admin  administrator  all cameras  must choose a password",
                         "li.na  guard  roof  disabled; must choose a password"]  # fmt: skip
        with services.ledger.reading() as session:
            from api.storage.ledger import entries_after

            said = [(e.actor.kind, e.action) for e in entries_after(session, 0, 100) if e.subject == "user"]
    assert said == [("system", action) for action in ("created", "password_reset", "created", "disabled")]
