"""A real PostgreSQL: `ENTREPOT_TEST_DATABASE` if set, else the Debian package's binaries on a folder of their own.

One cluster per test process, so there is nothing for the processes of xdist to agree on; a database of its own per
test. Its order of text is English, not that of bytes: SQL that forgot `COLLATE "C"` is seen here.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString, Self
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from entrepot.runtime.migrations.run import migrate
from tests.real.daemons import free_port
from tests.real.memory import memory
from tests.real.programs import missing

VARIABLE: Final = "ENTREPOT_TEST_DATABASE"
INSTALLED: Final = Path("/usr/lib/postgresql")
USER: Final = "nobody"  # PostgreSQL refuses to run as root
READY_SECONDS: Final = 20
STOP_SECONDS: Final = 20
POLL_SECONDS: Final = 0.02
SETTINGS: Final = ("listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=64MB", "log_min_messages=fatal")
# No test on the shared cluster kills PostgreSQL itself; one that does takes a durable cluster of its own.
FORGETFUL: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(slots=True)
class Cluster:
    """PostgreSQL on the folder *data*, at *port* of the loopback address; *durable*: every commit is synced."""

    binaries: Path
    data: Path
    port: int
    durable: bool
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's address of the database `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> Self:
        """Start, and wait until it takes connections; it ends with this process, however that ends."""
        options = (*SETTINGS, f"port={self.port}", f"unix_socket_directories={self.data}")
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for option in options if self.durable else (*options, *FORGETFUL):
            command += ["-c", option]
        with (self.data.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _unprivileged(command, "--pdeathsig", "QUIT"), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=READY_SECONDS).close()
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.data.parent / "log").read_text()[-4000:]) from error
                time.sleep(POLL_SECONDS)
            else:
                return self

    def stop(self) -> None:
        """End it, connections included."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a failure of power would: at once, nothing written that was not. `start` then recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(STOP_SECONDS)
            self.process = None


@dataclass(slots=True)
class Postgres:
    """Databases of one test on the cluster whose superuser's address is *admin*; all are dropped after it."""

    admin: str
    template: str
    names: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The test's database, this version's schema in it, in the form of the setting `database.url`."""
        return _address(self.admin, self.names[0]) if self.names else self.fresh()

    def fresh(self, *, migrated: bool = True) -> str:
        """The address of one more database; without *migrated* it is empty."""
        self.names.append(f"entrepot_test_{uuid.uuid4().hex}")
        template = self.template if migrated else "template0"
        if migrated:
            _make_template(self.admin, template)
        _do(self.admin, "CREATE DATABASE {} TEMPLATE {}", self.names[-1], template)
        return _address(self.admin, self.names[-1])

    def drop(self) -> None:
        """Every database of the test goes, whoever is connected."""
        while self.names:
            _do(self.admin, "DROP DATABASE {} WITH (FORCE)", self.names.pop())


@contextlib.contextmanager
def cluster(*, durable: bool) -> Iterator[Cluster]:
    """A started cluster of the caller's own, which it may kill, stop and start again; nothing of it is left after."""
    binaries = _binaries()
    # Not in pytest's folder: that one is closed to the user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="entrepot-postgres-", dir=None if durable else memory()))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        words = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        collation = ["--locale-provider=icu", "--icu-locale=en-US"]
        command = [str(binaries / "initdb"), "-D", str(data), *words, *collation]
        subprocess.run(_unprivileged(command), check=True, capture_output=True, cwd=folder)
        started = Cluster(binaries, data, free_port(), durable).start()
        try:
            yield started
        finally:
            started.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[tuple[str, str]]:
    """The superuser's address of the shared cluster, and the name of the template of test databases."""
    template = f"entrepot_template_{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        admin = os.environ.get(VARIABLE) or stack.enter_context(cluster(durable=False)).url
        try:
            yield admin, template
        finally:
            if _exists(admin, template):
                _do(admin, "ALTER DATABASE {} IS_TEMPLATE false", template)
                _do(admin, "DROP DATABASE {}", template)


@pytest.fixture
def postgres(postgres_server: tuple[str, str]) -> Iterator[Postgres]:
    """PostgreSQL with a database of the test's own, and more of them if it asks."""
    databases = Postgres(*postgres_server)
    try:
        yield databases
    finally:
        databases.drop()


def _make_template(admin: str, name: str) -> None:
    if not _exists(admin, name):
        _do(admin, "CREATE DATABASE {} TEMPLATE template0", name)
        migrate(_address(admin, name))
        # A connection to a template, autovacuum's too, would be in the way of copying it.
        _do(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS false IS_TEMPLATE true", name)


def _exists(admin: str, name: str) -> bool:
    with psycopg.connect(admin, autocommit=True) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _do(admin: str, statement: LiteralString, *names: str) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _address(admin: str, name: str) -> str:
    return urlsplit(admin)._replace(path=f"/{name}").geturl()


def _binaries() -> Path:
    folders = sorted(INSTALLED.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not folders:
        missing(f"PostgreSQL: neither {VARIABLE} nor the Debian package postgresql")
    return folders[-1].parent


def _unprivileged(command: Sequence[str], *options: str) -> list[str]:
    """*command* under `setpriv` with *options*, as an ordinary user."""
    user = pwd.getpwnam(USER)
    who = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *who, *options, "--", *command]
