"""tsunagi serve | work | migrate | demo."""

import errno
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer

from hub.cli.opening import (
    connected,
    local_settings,
    opened,
    read_settings,
    refuse,
    require_not_newer,
)
from hub.cli.said import out, print_issues, print_problem
from hub.database import Database
from hub.settings import Settings

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Dev = Annotated[
    bool, typer.Option("--dev", help="手元で試す: 準備も自動で行う / local use.")
]


class Language(StrEnum):
    """In which language the demonstration speaks."""

    ja = "ja"
    en = "en"


def serve(
    dev: Dev = False,
    host: Annotated[
        str, typer.Option(help="待ち受けるアドレス / address to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="待ち受けるポート（0=空き） / port, 0 for a free one.",
        ),
    ] = 8080,
) -> None:
    """APIと配送を動かす / Run the API and the worker.

    TSUNAGI_WORKER=false では API だけ（配送は tsunagi work）。
    SIGTERM か Ctrl-C で、途中の処理を終えて止まる。 / Stops in order on SIGTERM.
    """
    # Starting makes a great many objects that live as long as the process: collecting
    # garbage meanwhile finds none and takes a fifth of the time to the first answer.
    gc.disable()
    from hub.logs import set_up
    from hub.running.safety import require_destinations, require_ready

    with _leaving_on_signals(), _listening(host, port) as listener:
        settings = read_settings(dev=dev, port=listener.getsockname()[1])
        set_up(dev=settings.dev)
        require_ready(settings)
        require_destinations(settings)
        if settings.dev:
            from hub.running.prepare import prepare

            with connected(settings) as database:
                require_not_newer(database)
            prepare(settings)
        with opened(settings, settings.request_seconds) as database:
            _require_safe(settings, database)
            _serve(settings, database, listener)


def _serve(settings: Settings, database: Database, listener: socket.socket) -> None:
    """Answer until a signal comes; then worker, sealer and checkpoints end."""
    from hub.app import create_app
    from hub.running.parts import delivering, is_set_back, make_worker, sealing

    if is_set_back(settings, database):
        print_problem(
            "バックアップから戻したデータベースです。読み取りだけを受け付け、何も届けません。"
            "tsunagi reconcile で確かめてください。",
            "The database was restored from a backup: the hub only reads and delivers"
            " nothing until `tsunagi reconcile`.",
        )
        app = create_app(settings, database, is_read_only=True)
        _answer(settings, app, listener)
        return
    with ExitStack() as stack:
        checkpoints = stack.enter_context(sealing(settings, database))
        wake = _nothing
        if settings.worker:
            worker = make_worker(settings, database)
            stack.enter_context(delivering(worker))
            wake = worker.wake.set

        def anchor() -> None:
            checkpoints.anchor(database)

        app = create_app(settings, database, wake, anchor)
        _answer(settings, app, listener)


def _answer(settings: Settings, app: Any, listener: socket.socket) -> None:
    """Answer requests until a signal comes."""
    import uvicorn

    from hub.running.protocol import Impatient

    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody could send them: hub/proxied.py
        date_header=True,
        timeout_graceful_shutdown=10,
    )
    gc.freeze()
    gc.enable()
    out.print(f"つなぎハブ {settings.fhir_base}", markup=False)
    uvicorn.Server(config).run(sockets=[listener])


def work(dev: Dev = False) -> None:
    """配送だけを動かす / Run the worker alone, beside API processes."""
    from hub.logs import set_up
    from hub.running.parts import make_worker, sealing
    from hub.running.safety import require_destinations, require_ready

    stop = threading.Event()
    with _on_signals(lambda *_: stop.set()):
        settings = read_settings(dev=dev)
        set_up(dev=settings.dev)
        require_ready(settings)
        require_destinations(settings)
        with opened(settings) as database:
            _require_safe(settings, database)
            with sealing(settings, database):
                make_worker(settings, database).run(stop)


def migrate() -> None:
    """データベースを最新の形にする / Bring the schema up to date; repeatable."""
    from hub.migrations import upgrade

    with connected(local_settings()) as database:
        require_not_newer(database)
        revision = upgrade(database)
    out.print(f"データベースは最新です / schema {revision}")


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="終わったら止める / stop at the end.")
    ] = False,
    lang: Annotated[Language, typer.Option(help="言葉 / language.")] = Language.ja,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="ハブのポート（0=空き） / port, 0 for a free one."
        ),
    ] = 0,
) -> None:
    """作り物の三人で、紹介から連絡票までを実際に動かす / Play the whole story."""
    from hub.demo.story import play

    if port:
        with _listening("127.0.0.1", port):
            pass  # the hub is started later, as a process of its own
    raise typer.Exit(play(once=once, lang=lang.value, port=port))


def _require_safe(settings: Settings, database: Database) -> None:
    """Refuse what could lose a referral; say what is only unwise."""
    from hub.running.safety import require_durable, warnings

    require_durable(settings, database)
    print_issues(warnings(settings, database))


@contextmanager
def _leaving_on_signals() -> Iterator[None]:
    """SIGTERM and SIGINT leave the block, once: what is in it ends in order, exit 0.

    The server has handlers of its own while it runs and then raises the signal again;
    with Python's default that would kill the process before the worker has ended.
    """

    def leave(*_: Any) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(0)

    with _on_signals(leave):
        yield


@contextmanager
def _on_signals(handler: Callable[..., None]) -> Iterator[None]:
    former = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, taken before anything is prepared; else say why not."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(found[4][:2], family=found[0], backlog=2048)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        refuse(
            f"ポート {port} は使われています。--port で別の番号を指定してください。"
            if in_use
            else f"{host}:{port} で待ち受けられません。--host と --port を"
            "確かめてください。",
            f"Port {port} is in use: choose another with --port."
            if in_use
            else f"Cannot listen at {host}:{port}: check --host and --port.",
        )
    with listener:
        yield listener


def _nothing() -> None:
    """Without a worker in this process there is nobody to wake."""
