"""tsunagi serve | work | migrate | demo."""

import signal
import threading
from contextlib import ExitStack
from typing import Annotated

import typer

from hub.cli.opening import local_settings, opened, read_settings
from hub.cli.said import out, print_problem
from hub.database import Database
from hub.settings import Settings

Dev = Annotated[
    bool, typer.Option("--dev", help="手元で試す: 準備も自動で行う / local use.")
]


def serve(
    dev: Dev = False,
    host: Annotated[str, typer.Option(help="待ち受けるアドレス")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="待ち受けるポート")] = 8080,
) -> None:
    """APIと配送を動かす / Run the API and, unless TSUNAGI_WORKER=false, the worker."""
    import uvicorn

    from hub.app import create_app
    from hub.logs import set_up
    from hub.running.parts import delivering, make_worker, sealing
    from hub.running.prepare import prepare

    settings = read_settings(dev=dev, port=port)
    set_up(dev=settings.dev)
    if settings.dev:
        prepare(settings)
    with opened(settings) as database, ExitStack() as stack:
        require_durable(settings, database)
        stack.enter_context(sealing(settings, database))
        wake = _nothing
        if settings.worker:
            worker = make_worker(settings, database)
            stack.enter_context(delivering(worker))
            wake = worker.wake.set
        app = create_app(settings, database, wake)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=10,
        )
        out.print(f"つなぎハブ {settings.fhir_base}", markup=False)
        uvicorn.Server(config).run()


def work(dev: Dev = False) -> None:
    """配送だけを動かす / Run the worker alone, beside API processes."""
    from hub.logs import set_up
    from hub.running.parts import make_worker, sealing

    settings = read_settings(dev=dev)
    set_up(dev=settings.dev)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as database, sealing(settings, database):
        make_worker(settings, database).run(stop)


def migrate() -> None:
    """データベースを最新の形にする / Bring the database schema up to date."""
    from hub.migrations import upgrade

    database = Database(local_settings().database_url)
    try:
        revision = upgrade(database)
    finally:
        database.close()
    out.print(f"データベースは最新です / schema {revision}")


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="終わったら止める / stop at the end.")
    ] = False,
    lang: Annotated[str, typer.Option(help="ja | en")] = "ja",
    port: Annotated[int, typer.Option(help="ハブのポート（0=空き）")] = 0,
) -> None:
    """作り物の三人で、紹介から連絡票までを実際に動かす / Play the whole story."""
    from hub.demo.story import play

    raise typer.Exit(play(once=once, lang=lang, port=port))


def require_durable(settings: Settings, database: Database) -> None:
    """Refuse to start where an acknowledged referral could be lost (security.md §5)."""
    weak = database.weaknesses()
    if weak and not settings.dev:
        names = ", ".join(weak)
        print_problem(
            f"PostgreSQL の設定 {names} が off です。"
            "受け付けた紹介を失うおそれがあるため起動しません。on にしてください。"
            f" / Refusing to start: {names} must not be off."
        )
        raise typer.Exit(2)


def _nothing() -> None:
    """Without a worker in this process there is nobody to wake."""
