"""Several servers as one registry: PostgreSQL and an S3 server below, nginx in front draws one for each request."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.real.daemons import free_port
from tests.real.object_store import ObjectStore, S3Server
from tests.real.postgres import Postgres
from tests.real.programs import require_program
from tests.real.server import Server, new_server, running

REPLICAS: Final = 3
NGINX: Final = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream replicas {{
    random;
{servers}
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    large_client_header_buffers 4 64k;
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream error timeout;
      proxy_read_timeout 120s;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The started *servers*, and *front*: a server object at nginx's address, for its API; it has no process."""

    front: Server
    servers: list[Server]


def environment(url: str, database: Postgres, store: ObjectStore, keys: Path) -> dict[str, str]:
    """The settings that make servers of separate data folders one registry at *url*."""
    return {
        "ENTREPOT_DATABASE__URL": database.url,
        "ENTREPOT_STORAGE__URL": store.url,
        "ENTREPOT_ACCESS__KEYS": str(keys),
        "ENTREPOT_SERVER__EXTERNAL_URL": url,
        "ENTREPOT_SERVER__WEB_WORKERS": "1",
        **store.environment,
    }


@contextlib.contextmanager
def running_replicas(folder: Path, database: Postgres, store: ObjectStore, count: int = REPLICAS) -> Iterator[Replicas]:
    """*count* servers on *database* and *bucket* behind nginx; nothing of them is left after."""
    nginx = require_program("nginx")
    port = free_port()
    shared = environment(f"http://127.0.0.1:{port}", database, store, folder / "keys")
    servers = [new_server(folder / f"replica-{number}", **shared) for number in range(count)]
    with contextlib.ExitStack() as stack:
        for each in servers:
            stack.enter_context(running(each))
        names = "\n".join(f"    server {each.host} max_fails=1 fail_timeout=1s;" for each in servers)
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, servers=names))
        process = subprocess.Popen([nginx, "-c", str(config), "-e", str(folder / "nginx.log")])
        stack.callback(process.wait)
        stack.callback(process.terminate)
        front = Server(servers[0].data, servers[0].log, port)
        front.wait_until("nginx answers", lambda: _answers(front), 10)
        yield Replicas(front, servers)
        front.http.clear()


@pytest.fixture(scope="session")
def shared_replicas(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: tuple[str, str], moto_server: S3Server
) -> Iterator[Replicas]:
    """Three started replicas for many tests: each makes its own project, and none stops one."""
    database, store = Postgres(*postgres_server), ObjectStore(moto_server, moto_server.bucket())
    try:
        with running_replicas(tmp_path_factory.mktemp("replicas"), database, store) as started:
            yield started
    finally:
        database.drop()


def _answers(front: Server) -> bool:
    with contextlib.suppress(Exception):
        return front.http.request("GET", f"{front.url}/readyz", timeout=2).status == 200
    return False
