"""`entrepot serve`: the registry, as a supervisor with its children, or as one of them."""

import asyncio
import shutil
import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from entrepot.cli.output import ExitCode

if TYPE_CHECKING:
    from entrepot.runtime.lifeline import Lifeline
    from entrepot.settings import Loaded, Settings

app = typer.Typer(add_completion=False)

MARGIN: Final = timedelta(seconds=5)
"""What a child may take to end beyond its drain, before it is killed."""

PROBE_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.02
PYTHON: Final = (sys.executable, "-P", "-m")
"""Runs a module in this environment; -P: not one that happens to lie in the current folder."""

CALLABLE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  said of others' settings, not our own
"""Addresses that stand for all, and one of theirs that can be called."""


class Role(StrEnum):
    """What one process of a server does."""

    WEB = "web"
    WORKER = "worker"


COURIER: Final = "courier"
"""The child that stands in for a worker where there is none: it takes the pulls of this machine to the audit log."""

CHILDREN: Final[dict[str | None, tuple[str, ...]]] = {
    None: (Role.WEB, Role.WORKER),
    Role.WEB: (Role.WEB, COURIER),
    Role.WORKER: (Role.WORKER,),
}
"""What runs under the supervisor, by the part that was asked for."""


Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of everything that is kept; else ENTREPOT_DATA, else ./entrepot-data."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; else ENTREPOT_CONFIG, else entrepot.toml in the data folder."),
]
SecretsDir = Annotated[
    Path | None,
    typer.Option(
        "--secrets-dir",
        help="One file per secret setting; else ENTREPOT_SECRETS_DIR, else secrets.d in the data folder.",
    ),
]


@app.command("serve")
def serve(
    data: Data = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Address of the web workers; port 0: a free one."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="web|worker", help="Run this part alone, on a data folder of its own."),
    ] = None,
    config: Config = None,
    secrets_dir: SecretsDir = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", hidden=True)] = False,
    prepares: Annotated[bool, typer.Option("--prepares", hidden=True)] = False,
) -> None:
    """Start the registry. On an empty folder it makes what it needs; SIGTERM stops it in order."""
    import structlog  # noqa: PLC0415  these take 0.5 s, which --help need not pay

    from entrepot.runtime.telemetry import logs  # noqa: PLC0415
    from entrepot.settings import export_metrics_folder, load  # noqa: PLC0415

    flags = {} if listen is None else {"server.listen": listen}
    loaded = load(flags, data=data, config=config, secrets_dir=secrets_dir)
    settings = loaded.settings
    logs.configure(settings.telemetry.log_level)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if role not in {None, *Role, COURIER}:
        raise typer.BadParameter("web or worker", param_hint="--role")
    if not lifeline:
        places = [("--config", config), ("--secrets-dir", secrets_dir)]
        repeated = [word for name, path in places if path is not None for word in (name, str(path.absolute()))]
        raise typer.Exit(_supervise(settings, repeated, CHILDREN[role]))
    export_metrics_folder(settings)
    line = _take_lifeline()
    try:
        _child(loaded, str(role), line, prepares=prepares)
    except Exception:  # noqa: BLE001  it ends here, and is logged
        # Nobody watches a child's terminal: the log is where its end must be understood.
        structlog.get_logger().exception("serve.failed", role=role)
        raise typer.Exit(ExitCode.FAILED) from None


def _take_lifeline() -> "Lifeline":
    from entrepot.runtime.lifeline import Lifeline  # noqa: PLC0415  see serve

    line = Lifeline.take_stdin()
    line.hold()
    return line


def _child(loaded: "Loaded", role: str, lifeline: "Lifeline", *, prepares: bool) -> None:
    from entrepot.wiring import prepare  # noqa: PLC0415  see serve

    settings = loaded.settings
    if prepares:
        prepare(settings)
    if role == Role.WEB:
        _web(loaded, lifeline)
    else:
        from entrepot.worker import courier, main  # noqa: PLC0415  a web process loads no worker code

        (courier if role == COURIER else main)(settings)


def _web(loaded: "Loaded", lifeline: "Lifeline") -> None:
    from entrepot.settings import describe  # noqa: PLC0415  see serve
    from entrepot.web.server import Draining, WebServer  # noqa: PLC0415  see serve
    from entrepot.wiring import web_app  # noqa: PLC0415

    settings, described = loaded.settings, describe(loaded)
    host, port = settings.listen
    draining = Draining()
    WebServer(
        load=lambda: web_app(settings, draining, described),
        host=host,
        port=port,
        workers=settings.web_workers,
        drain=settings.server.drain,
        body_drain=settings.server.body_drain,
        draining=draining,
        lifeline=lifeline,
        idle=settings.server.limits.idle,
        connections=settings.server.limits.connections,
    ).run()


def _supervise(settings: "Settings", repeated: list[str], roles: tuple[str, ...]) -> int:
    """Runs a server of these *roles*; gives its exit status. *repeated*: the flags that its children get too.

    The first of the roles prepares what the others need.
    """
    from entrepot.runtime.exclusive import lock_folder, reserve_port  # noqa: PLC0415  see serve
    from entrepot.runtime.supervisor import Child, Supervisor  # noqa: PLC0415
    from entrepot.web.settings import format_listen  # noqa: PLC0415

    with lock_folder(settings.data) as lock, reserve_port(*settings.listen) as reserved:
        host, port = reserved.getsockname()[:2]
        for left_over in (settings.run, settings.metrics):
            shutil.rmtree(left_over, ignore_errors=True)
        own = ["--data", str(settings.data), "--listen", format_listen(host, port), *repeated]
        start = (*PYTHON, "entrepot.cli.main", "serve", "--role")
        children = [Child(role, (*start, role, *own, "--lifeline")) for role in roles]
        children[0] = Child(roles[0], (*children[0].command, "--prepares"))
        patience = settings.server.drain + settings.server.body_drain + MARGIN
        callable_host = CALLABLE.get(host, host)
        url = settings.server.external_url or f"http://{format_listen(callable_host, port)}"

        async def run() -> int:
            async with asyncio.TaskGroup() as group:
                greeting = group.create_task(_greet(settings, callable_host, port, url if Role.WEB in roles else None))
                status = await Supervisor(children, patience, inherited=(lock,)).run()
                greeting.cancel()
            return status

        try:
            return asyncio.run(run())
        finally:
            shutil.rmtree(settings.metrics, ignore_errors=True)


async def _greet(settings: "Settings", host: str, port: int, url: str | None) -> None:
    """Waits until the server is ready, then prints where it is; on a terminal also the first admin password.

    url: None for a server without web workers, of which there is nothing to say.
    """
    if url is None:
        return
    password = settings.data / "admin-password"
    is_new = not password.exists()
    while not await _is_ready(host, port):  # noqa: ASYNC110  it sets no event of ours
        await asyncio.sleep(POLL_SECONDS)
    typer.echo(f"Entrepot is ready at {url}")
    first = _first_password(password if is_new else None)
    if first is not None:
        typer.echo(f'Log in as "admin" with the password {first} (kept in {password})')


def _first_password(path: Path | None) -> str | None:
    """The password in *path*; None if there is none, and where standard output is no terminal: it may be a log."""
    if path is None or not path.exists() or not sys.stdout.isatty():
        return None
    return path.read_text().strip()


async def _is_ready(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
