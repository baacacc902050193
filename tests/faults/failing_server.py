"""The web role of a server, with points to die at: stays loaded, and forks a server for each line on its input.

A line names the data folder, the port, and the file of the points; the answer is the process id, which is that of a
process group of its own. Loading takes a second, a fork none.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path


def _serve(folder: Path, port: int, memory: Path) -> None:
    from entrepot.cli.commands.serve import _web  # noqa: PLC0415
    from entrepot.runtime.lifeline import Lifeline  # noqa: PLC0415
    from entrepot.settings import Loaded, Settings  # noqa: PLC0415
    from entrepot.web.settings import Server  # noqa: PLC0415
    from entrepot.wiring import prepare  # noqa: PLC0415
    from tests.faults.points import Points  # noqa: PLC0415

    os.setsid()
    os.dup2(os.open(folder.parent / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    os.dup2(2, 1)
    Points(memory).plant()
    settings = Settings(data=folder, server=Server(listen=f"127.0.0.1:{port}", web_workers=1, drain=timedelta(0)))
    prepare(settings)
    lifeline, _ = os.pipe()
    _web(Loaded(settings, {}), Lifeline(lifeline))


def main() -> None:
    """Forks a server per line."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=sys.argv[1])
    import entrepot.web.api.app  # noqa: PLC0415  what a server would load at its start
    import entrepot.web.server  # noqa: PLC0415
    import entrepot.wiring  # noqa: F401, PLC0415
    import tests.faults.points  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("loaded", flush=True)
    for line in sys.stdin:
        folder, port, memory = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _serve(Path(folder), port, Path(memory))
            except BaseException:  # noqa: BLE001  it ends here
                traceback.print_exc()
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
