"""`gatewatch run`: live cameras to alerts, the API beside them.

live_supervisor.py  keeps the worker process       live_worker.py   what runs in it: cameras, detectors, evidence
live_desk.py        events -> alerts -> evidence   live_camera.py   one camera's threads
live_board.py       how all are doing              live_api.py      ... as the API tells it
live_pictures.py    pictures for who looks         live_plans.py    arming and outside sources
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from api.access.accounts import Accounts
from api.access.oidc_settings import OidcSettings
from api.alerts import Policy
from api.app import create_app
from api.guard import LOCAL_HOSTS
from api.retention import Retention
from api.services import Services, open_services
from api.streamed import end_streams
from gatewatch.connections import Door, allow_many_files, room_for
from gatewatch.errors import FrontError, OutputError
from gatewatch.heap import settled
from gatewatch.live_api import add_live_routes
from gatewatch.live_board import Board
from gatewatch.live_desk import LiveDesk
from gatewatch.live_plans import arming_plan, sources
from gatewatch.live_supervisor import Supervisor
from gatewatch.live_words import say
from gatewatch.live_worker import Setup
from gatewatch.log import Level
from gatewatch.protocols import config_of
from gatewatch.site import Site
from gatewatch.transport import PLAIN, Transport, days_left
from gatewatch.version import version
from gatewatch.words import counted

DATABASE = "gatewatch.db"
LOCK = ".gatewatch.lock"
PORT = 8470
ANY_HOST = ("0.0.0.0", "::")
FORCED = 130
CERT_DAYS = 14
"""A certificate that ends sooner is spoken of at the start."""


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the site."""

    data: Path
    host: str = "127.0.0.1"
    port: int = PORT
    database: str | None = field(default=None, repr=False)
    """An SQLite file or a `postgresql://` address; None: a file in `data`. May hold a password."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names by which clients may call."""
    transport: Transport = PLAIN
    oidc: OidcSettings | None = None
    ring_mb: int = 64
    log_level: Level = "warning"


def run_site(site: Site, options: RunOptions, *, say_line: Callable[[str], None] = print) -> None:
    """Watches until Ctrl-C or SIGTERM, then closes everything and returns.

    Raises FrontError, DeskError or what a worker's first start could not do, as FrontError.
    """
    language = site.language
    with ExitStack() as stack:
        stack.enter_context(only_one_on(options.data))
        room = room_for(allow_many_files())
        sock = Door(listening(options.host, options.port), room, options.transport.proxies)
        stack.enter_context(contextlib.closing(sock))
        services = stack.enter_context(_services(site, options))
        services.ledger.run_alone()
        services.webhooks.start()
        _say_first_login(services.accounts, language, say_line)
        board = Board(tuple(site.cameras))
        live = LiveDesk(site, services.desk, services.arming, board, say_line)
        left_behind = live.clear_left_behind()
        if left_behind:
            say_line(say(language, "left_behind", count=left_behind))
        stop = stack.enter_context(_Stop.catching())
        worker = _worker(site, options, board, live, stop, say_line)
        stop.on_force(worker.kill)
        app = create_app(
            services, site=site, version=version(), on_input=live.on_input, camera_count=board.camera_count,
            oidc=options.oidc, allowed_hosts=_hosts(options),
        )  # fmt: skip
        add_live_routes(app, board, live.view, sock)
        services.arming.on_change = live.arm
        services.external.authorise, services.external.on_alert = live.authorise, live.on_external
        address = f"{options.transport.scheme}://{_shown(options.host)}:{sock.getsockname()[1]}/"
        stack.enter_context(services.heads.running())
        keeper = Retention(
            services.ledger, services.heads, media_dir=options.data,
            closed_alerts_days=site.retention.closed_alerts_days,
        )  # fmt: skip
        stack.enter_context(keeper.running())
        server = stack.enter_context(_serving(app, sock, stop, options.transport))
        stack.enter_context(settled())
        _say_start(site, options, say_line)
        worker.start()
        try:
            say_line(say(language, "page", address=address))
            stop.wait()
            if stop.failure is None:
                say_line(say(language, "stopping"))
        finally:
            # The server goes on answering while the last clips are cut.
            live.give_up()
            worker.close()
        server.should_exit = True
    if stop.failure is not None:
        raise FrontError(stop.failure)
    say_line(say(language, "stopped"))


def _services(site: Site, options: RunOptions) -> AbstractContextManager[Services]:
    policy = Policy(
        cooldowns={(name, rule.name): rule.cooldown_s for name, c in site.cameras.items() for rule in c.rules}
    )
    return open_services(
        options.database or options.data / DATABASE, media_dir=options.data, policy=policy, reasons=site.reasons,
        arming=arming_plan(site), sources=sources(site, os.environ),
    )  # fmt: skip


def _say_start(site: Site, options: RunOptions, say_line: Callable[[str], None]) -> None:
    def tell(key: str, **values: object) -> None:
        say_line(say(site.language, key, **values))

    cameras = counted(site.language, len(site.cameras), "camera")
    tell("starting", cameras=cameras, names=", ".join(site.cameras))
    tell("data", path=options.data)
    transport = options.transport
    if options.host not in LOCAL_HOSTS and transport.in_the_open:
        tell("open", host=options.host)
    left = CERT_DAYS if transport.cert is None else days_left(transport.cert)
    if left < 0:
        tell("cert_over", path=transport.cert)
    elif left < CERT_DAYS:
        tell("cert_ends", path=transport.cert, days=left)


def _say_first_login(accounts: Accounts, language: str, say_line: Callable[[str], None]) -> None:
    """Tells how to get in where nobody ever did: on a terminal, else by a file, as what is printed is kept in logs."""
    first = accounts.first_start(on_terminal=sys.stdout.isatty())
    if first is None:
        return
    if first.file is None:
        say_line(say(language, "first_login", user=first.user, password=first.password))
    else:
        say_line(say(language, "first_login_file", user=first.user, path=first.file))
        structlog.get_logger().warning("the first password was written to a file", path=str(first.file))


def _worker(
    site: Site, options: RunOptions, board: Board, live: LiveDesk, stop: _Stop, say_line: Callable[[str], None]
) -> Supervisor:
    cameras = tuple(site.cameras)
    setup = Setup(site, cameras, options.data.resolve(), options.log_level, options.ring_mb * 1_000_000)
    worker = Supervisor(
        "worker1",
        setup,
        board,
        handle=lambda message, run: live.take(worker, message, run),
        on_lost=lambda: live.lost(worker),
        on_failed=stop.fail,
        say=lambda key, **values: say_line(say(site.language, key, **values)),
    )
    live.serves(worker, cameras)
    return worker


def listening(host: str, port: int) -> socket.socket:
    """A listening socket; raises FrontError where the address cannot be had. Port 0 takes a free one."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise FrontError(f"--host: expected an address of this machine, found {host} ({error.strerror}).") from None
    sock = socket.socket(family, kind, number)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        hint = " (another program uses it; choose one with --port)" if error.errno == errno.EADDRINUSE else ""
        raise FrontError(f"{host}:{port}: cannot be served on: {error.strerror}{hint}.") from None
    return sock


def _hosts(options: RunOptions) -> tuple[str, ...]:
    given = () if options.host in ANY_HOST else (_shown(options.host),)
    own = (socket.gethostname(),) if options.host not in LOCAL_HOSTS else ()
    return tuple(dict.fromkeys((*LOCAL_HOSTS, *given, *own, *options.allowed_hosts)))


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def only_one_on(data: Path) -> Iterator[None]:
    """Two runs on one data folder would be two writers of one database."""
    import fcntl

    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / LOCK).open("w", encoding="ascii")
    except OSError as error:
        raise OutputError(f"{data}: expected a folder that can be written to: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(f"{data}: another gatewatch run keeps its data here.") from None
        yield


class _Stop:
    """Waits for Ctrl-C, SIGTERM or a failure. A second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.failure: str | None = None
        self._asked = False
        self._force: Callable[[], None] = lambda: None
        self._read, self._write = os.pipe()

    @classmethod
    @contextmanager
    def catching(cls) -> Iterator[_Stop]:
        stop = cls()
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, stop._signalled) for number in numbers}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(stop._read)
            os.close(stop._write)

    def on_force(self, force: Callable[[], None]) -> None:
        self._force = force

    def fail(self, why: str | None) -> None:
        """Ends the run, from any thread; with a sentence, it could not do its work."""
        self.failure = self.failure or why
        self._wake()

    def wait(self) -> None:
        select.select([self._read], [], [])

    def _signalled(self, number: int, _frame: object) -> None:
        if self._asked and number == signal.SIGINT:
            self._force()
            os._exit(FORCED)
        self._asked = True
        self._wake()

    def _wake(self) -> None:
        os.write(self._write, b".")


@contextmanager
def _serving(app: Any, door: Door, stop: _Stop, transport: Transport) -> Iterator[uvicorn.Server]:
    """The API in a thread of its own; returns once it answers, ends with the block."""
    with (
        transport.served() as options,
        _running(_Server(config_of(app, door.tally, **options)), door, stop) as server,
    ):
        yield server


@contextmanager
def _running(server: _Server, sock: socket.socket, stop: _Stop) -> Iterator[uvicorn.Server]:
    def serve() -> None:
        try:
            server.run(sockets=[sock])
        finally:
            server.answering.set()
            if not server.should_exit:
                structlog.get_logger().error("the server ended")
                stop.fail("The server ended unexpectedly.")

    thread = threading.Thread(target=serve, name="api", daemon=True)
    thread.start()
    server.answering.wait()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end_streams(self.config.app)
        await super().shutdown(sockets)
