"""`entrepot demo`: the registry shows its main job on real images, and reports."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from entrepot.cli.demo.build import write_layout
from entrepot.cli.demo.images import shop_web
from entrepot.cli.demo.report import COLUMNS, Line, Report
from entrepot.cli.demo.scene import ADMIN
from entrepot.cli.demo.server import DemoServer, log_of, start
from entrepot.cli.demo.stages import sign_in_link
from entrepot.cli.demo.steps import prepare, steps
from entrepot.cli.output import Format, Output
from entrepot.errors import EntrepotError

app = typer.Typer(add_completion=False)


class DemoFailedError(EntrepotError):
    """A line of the demo did not hold."""


@app.command("demo")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running, and say how to stop it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Only put the two images there, as the OCI layout PATH:1.0, PATH:1.1."),
    ] = None,
) -> None:
    """Push a vulnerable image, see it analysed and refused; push its fixed successor, see it pulled.

    Offline, without root, in a folder and on a port of its own. Ends with 0 only if every line held.
    """
    out = Output.to_terminal(Format.JSON if json else Format.TABLE)
    if images is not None:
        _give(images, out)
        return
    folder = Path(tempfile.mkdtemp(prefix="entrepot-demo-"))
    try:
        with _stoppable():
            server, report = _run(folder, out, keep=keep)
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder)
        raise
    if json:
        out.item(report.item(), ())
    else:
        out.text("")
        out.items([line.item() for line in report.lines], COLUMNS, "nothing was shown")
    if server is not None:
        _explain(server, out)
    if not report.held:
        broken = "; ".join(report.broken) or "it was stopped"
        raise DemoFailedError(f"the demo did not hold: {broken}; the server's log: {log_of(folder)}")
    out.note(f"all {len(report.lines)} lines hold, {report.seconds:.1f} s")
    if server is None:
        shutil.rmtree(folder)


def _give(folder: Path, out: Output) -> None:
    """Puts the two images into *folder*, for whoever wants to push them himself."""
    old, new = shop_web()
    write_layout(folder, {"1.0": old, "1.1": new})
    out.note(f"oci:{folder}:1.0 is as it was built in June 2023, oci:{folder}:1.1 has what was fixed since")


def _run(folder: Path, out: Output, *, keep: bool) -> tuple[DemoServer | None, Report]:
    """The report, and the server if it was left running."""
    begun = time.monotonic()
    lines: list[Line] = []
    server: DemoServer | None = None
    ended = False
    try:
        server = start(folder, detached=keep)
        for line in steps(prepare(server)):
            lines.append(line)
            _tell(out, line)
        ended = True
    except (EntrepotError, OSError) as error:
        lines.append(Line("the demo runs to its end", str(error), held=False))
        _tell(out, lines[-1])
    finally:
        if server is not None and not (keep and ended):
            server.stop()
            server = None
    return server, Report(tuple(lines), ended, time.monotonic() - begun)


def _tell(out: Output, line: Line) -> None:
    if not out.notes.isatty():
        return
    mark = {True: "ok ", False: "FAILED ", None: "not tried "}[line.held]
    out.note(f"{mark} {line.claim}: {line.shown}")


def _explain(server: DemoServer, out: Output) -> None:
    password = server.folder / "data" / "admin-password"
    out.note(f"the server is at {server.url}, process {server.process.pid}, everything it has is in {server.folder}")
    out.note(f"pages:  {sign_in_link(server)} (once, within 10 minutes)")
    out.note(f"log in: entrepot login {server.url} -u {ADMIN} --password-stdin < {password}")
    out.note(f"stop:   kill {server.process.pid} && rm -r {server.folder}")


@contextmanager
def _stoppable() -> Iterator[None]:
    """While inside, SIGTERM ends the demo as Ctrl-C does: by way of every `finally`."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
