"""When heads are signed, where they go, and who can check them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from api.errors import InvalidError
from api.heads import HEADS_FILE, Heads, SignedHead, kept_heads
from api.keys import signature_holds
from tests.api.journal.lives import audit_of, live, reopened
from tests.api.scenes import START, make_event


def test_a_head_is_signed_once_in_each_hour_of_the_clock(database: str, media: Path) -> None:
    now = [START]
    with reopened(database, media, now=lambda: now[0]) as services:
        heads = services.heads
        assert heads.tick() is not None
        for minutes in (1, 30, 59):
            now[0] = START + timedelta(minutes=minutes)
            assert heads.tick() is None
        now[0] = START + timedelta(hours=1)
        head = heads.tick()
        assert head is not None
        assert heads.tick() is None
    with reopened(database, media, now=lambda: now[0]) as services:
        assert services.heads.tick() is None  # A restart within the hour needs none.
        now[0] -= timedelta(hours=3)  # A clock that was set back does not silence them.
        assert services.heads.tick() is not None
    assert [kept.seq for kept in kept_heads(media / HEADS_FILE)]


def test_the_thread_signs_at_its_start_and_at_its_end(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        with services.heads.running():
            services.desk.take(make_event())
        last = kept_heads(media / HEADS_FILE)[-1]
        assert last.hash == services.heads.look().hash or last.seq < services.heads.look().seq
        before = services.heads.look().seq
        services.heads.close()
        with services.heads.running():
            pass
        assert services.heads.look().seq == before  # Nothing came since: nothing to sign.
    assert audit_of(database, media).intact


def test_the_public_key_alone_checks_a_head(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        live(services)
        head = services.heads.sign("asked")
    told = json.loads(json.dumps(head.to_json()))
    assert SignedHead.from_json(told).holds(head.public_key)
    at = told["at"][:23] + "Z"
    text = f'{{"at":"{at}","gatewatch":"journal head","hash":"{told["hash"]}","seq":{told["seq"]}}}'
    assert signature_holds(told["public_key"], text.encode(), told["signature"])  # As docs/journal.md says.
    assert not signature_holds(told["public_key"], text.replace("1", "2").encode(), told["signature"])


@pytest.mark.parametrize("value", [None, 3, {}, {"seq": "1"}, {"at": "yesterday"}, []])
def test_what_is_no_head_is_refused(value: object) -> None:
    with pytest.raises(InvalidError):
        SignedHead.from_json(value)


def test_a_signed_head_reaches_webhooks_and_the_journal(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        heard: list[str] = []
        services.ledger.listen(lambda entries: heard.extend(f"{e.subject}.{e.action}" for e in entries))
        head = services.heads.sign("asked")
        assert heard == ["journal.head_signed"]
        assert services.heads.look().seq == head.seq + 1


def test_heads_that_cannot_be_kept_do_not_stop_the_site(database: str, media: Path) -> None:
    with reopened(database, media) as services:
        Heads(services.ledger, file=media / "absent" / "heads.jsonl").sign("asked")
    (media / HEADS_FILE).write_text('{"cut off')
    assert kept_heads(media / HEADS_FILE) == []
