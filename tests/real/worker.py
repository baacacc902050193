"""The worker of a real server, stopped for a while: what is pushed meanwhile waits."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator

from tests.real.server import Server


@contextlib.contextmanager
def worker_stopped(server: Server) -> Iterator[None]:
    """The worker stands still (SIGSTOP), and holds no lock of the database while it does."""
    (worker,) = [pid for pid, command in server.processes().items() if "--role worker" in command]

    def is_stopped_outside_of_a_transaction() -> bool:
        os.kill(worker, signal.SIGSTOP)
        body = json.dumps({"name": "probe"}).encode()
        written = server.request("POST", "/api/v1/auth/tokens", body, headers={"Content-Type": "application/json"})
        if written.status != 201:
            os.kill(worker, signal.SIGCONT)
        return written.status == 201

    server.wait_until("the worker is stopped", is_stopped_outside_of_a_transaction, 60)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)
