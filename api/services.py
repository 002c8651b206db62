"""Everything that the API consists of, over one database: opened together, closed together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.access.accounts import Accounts
from api.alerts import Policy
from api.arming import Arming, ArmingPlan
from api.desk import Desk
from api.external import External, Source
from api.heads import HEADS_FILE, Heads, begin
from api.idempotency import Idempotency
from api.incidents import Incidents
from api.keys import KEY_FILE, SiteKeys
from api.listing import Listing
from api.reasons import Reasons
from api.sender import SenderOptions
from api.storage.database import open_database
from api.storage.facets import note_said
from api.storage.ledger import Clock, Ledger
from api.stream import Feed
from api.targets import Reach
from api.webhooks import Webhooks


@dataclass(frozen=True)
class Services:
    ledger: Ledger
    heads: Heads
    desk: Desk
    listing: Listing
    incidents: Incidents
    accounts: Accounts
    feed: Feed
    arming: Arming
    external: External
    idempotency: Idempotency
    webhooks: Webhooks
    """Delivers from its `start` to its `close`; before and after, messages are kept."""


@contextmanager
def open_services(
    database: Path | str,
    *,
    media_dir: Path,
    keys: SiteKeys | None = None,
    policy: Policy | None = None,
    reasons: Reasons | None = None,
    sending: SenderOptions | None = None,
    arming: ArmingPlan | None = None,
    sources: Mapping[str, Source] | None = None,
    now: Clock = lambda: datetime.now(UTC),
) -> Iterator[Services]:
    """`database`: an SQLite file or a `postgresql://` address. `keys`: by default those of `media_dir`, made if absent.
    `sending`: how webhooks are delivered; by default as the environment says (GATEWATCH_WEBHOOK_ALLOW).
    `arming`: profiles and what can be armed; `sources`: who may send events from outside.

    Raises DeskError.
    """
    sending = sending or SenderOptions(reach=Reach.of_environment())
    keys = keys or SiteKeys.load_or_create(media_dir / KEY_FILE)
    ledger = Ledger(open_database(database), keys, now=now)
    ledger.on_entry(note_said)
    feed = Feed(ledger)
    webhooks, idempotency = Webhooks(ledger, sending), Idempotency(ledger)
    try:
        begin(ledger, file=media_dir / HEADS_FILE)
        feed.start()
        desk = Desk(ledger, media_dir=media_dir, policy=policy, reasons=reasons)
        listing = Listing(ledger, desk.reasons)
        heads, accounts = Heads(ledger, file=media_dir / HEADS_FILE), Accounts(ledger, media_dir)
        arms = Arming(ledger, arming)
        external = External(ledger, desk, arms, sources)
        yield Services(
            ledger, heads, desk, listing, Incidents(ledger), accounts, feed, arms, external, idempotency, webhooks
        )  # fmt: skip
    finally:
        webhooks.close()
        feed.close()
        ledger.close()
