"""The composition root: every part is built here, once per process, from the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from entrepot.access.accounts import CreateRobot, CreateToken, ensure_admin
from entrepot.access.authenticate import Authenticate
from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.issue import IssueToken
from entrepot.access.keys import Keys, load_keys, make_keys
from entrepot.access.passwords import Passwords
from entrepot.access.queries import AccountQueries
from entrepot.access.tokens import Tokens
from entrepot.audit.denials import RecordDenial
from entrepot.audit.queries import SearchAudit
from entrepot.audit.recorder import Recorder
from entrepot.audit.spool import Spool
from entrepot.catalog.projects import CreateProject
from entrepot.catalog.queries import CatalogQueries
from entrepot.clock import Clock, SystemClock
from entrepot.content import sessions
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.reader import BlobReader
from entrepot.content.writer import BlobWriter
from entrepot.errors import InvalidError
from entrepot.policy.jobs import REACTIONS as POLICY
from entrepot.policy.modes import RequestMode
from entrepot.policy.queries import PolicyQueries
from entrepot.registry.deletion import Delete
from entrepot.registry.healing import SuspectCopy
from entrepot.registry.hot import RegistryReads
from entrepot.registry.hot_sql import registry_statements
from entrepot.registry.listing import ListTags
from entrepot.registry.pull import Pull
from entrepot.registry.push import PutManifest
from entrepot.registry.uploads import Uploads
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.hot import HotReader
from entrepot.runtime.jobs.queue import Queue
from entrepot.runtime.migrations.newest import NEWEST, revision_of
from entrepot.runtime.telemetry.metrics import Metrics
from entrepot.runtime.unit_of_work import Reaction, Work
from entrepot.scanning.feeds.receive import ReceiveFeed
from entrepot.scanning.jobs import REACTIONS as SCANNING
from entrepot.scanning.queries import ScanQueries
from entrepot.settings import Settings
from entrepot.web.app import App
from entrepot.web.authn import Authn
from entrepot.web.later import Later
from entrepot.web.ops import Ops
from entrepot.web.respond import AsgiApp
from entrepot.web.services import Services

REACTIONS: tuple[Reaction, ...] = (*SCANNING, *POLICY)
ROTATE_SECONDS = 0.5
PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every role stands on. spool: folder of pulls not in the log yet; incoming: of feeds not in force yet."""

    settings: Settings
    clock: Clock
    database: Database
    work: Work
    files: FilesystemBlobs
    spool: Path
    incoming: Path


def foundation(settings: Settings) -> Foundation:
    """The parts all roles share. Raises InvalidError: a storage URL that is no folder."""
    clock = SystemClock()
    database = open_database(settings.database_url.reveal())
    work = Work(database, clock, (Recorder(clock),), REACTIONS)
    files = FilesystemBlobs(_folder(settings.storage_url.reveal()))
    return Foundation(settings, clock, database, work, files, settings.data / "spool", settings.data / "incoming")


def prepare(settings: Settings) -> None:
    """Makes what is not there yet: folders, keys, the schema, the first admin. Then says so to the other roles."""
    base = foundation(settings)
    for folder in (base.spool, base.incoming, settings.run):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    base.files.prepare()
    make_keys(settings.data / "keys")
    if revision_of(base.database.path) != NEWEST:
        from entrepot.runtime.migrations.run import migrate  # noqa: PLC0415  0.3 s, once in a database's life

        migrate(settings.database_url.reveal())

    async def first_admin() -> None:
        await ensure_admin(base.work, base.clock, settings.data / "admin-password")
        async with base.work(SYSTEM) as unit:
            await sessions.free_all(unit)  # leases of web processes that were killed
        await base.database.close()

    asyncio.run(first_admin())
    (settings.run / PREPARED).touch()


def web_app(settings: Settings, draining: Callable[[], bool]) -> App:
    """The application of a web process. draining: whether the server is about to stop."""
    base = foundation(settings)
    hot = HotReader(base.database.path)
    keys = load_keys(settings.data / "keys")
    spool = Spool(base.spool, base.clock)
    services = _services(base, hot, keys, spool)
    ops = Ops(hot, draining, str(settings.metrics))
    api = Later(lambda: _api(services))

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(_rotate(spool)), group.create_task(_load(api))]
            yield
            for task in beside:
                task.cancel()
        spool.rotate()
        await base.database.close()
        hot.close()

    return App(services, ops, api, Metrics(), base.clock, life)


def _api(services: Services) -> AsgiApp:
    from entrepot.web.api.app import api_app  # noqa: PLC0415  0.5 s that no pull has to wait for

    return api_app(services, version("entrepot"))


async def _load(api: Later) -> None:
    await api.ready()


async def _rotate(spool: Spool) -> None:
    """Hands spooled pulls over to the worker, twice a second."""
    while True:
        await asyncio.sleep(ROTATE_SECONDS)
        spool.rotate()


def _services(base: Foundation, hot: HotReader, keys: Keys, spool: Spool) -> Services:
    settings, clock, work, database = base.settings, base.clock, base.work, base.database
    limits = settings.server.limits
    external = settings.external_url
    tokens = Tokens(keys, urlsplit(external).netloc, clock)
    access = AccessReads(hot, access_statements())
    authenticate = Authenticate(access, Passwords(keys.hmac), keys.hmac, clock, spool)
    reads = RegistryReads(hot, registry_statements())
    reader = BlobReader(base.files.root)
    writer = BlobWriter(base.files, limits.blob_bytes)
    pull = Pull(reads, reader, spool, clock)
    queue = Queue(database, clock, settings.jobs.lease)
    return Services(
        realm=f"{external}/v2/auth",
        service=tokens.service,
        token_seconds=int(settings.access.token_ttl.total_seconds()),
        limits=limits,
        authn=Authn(authenticate, tokens),
        issue=IssueToken(reads, tokens, clock, spool, settings.access.token_ttl),
        reads=reads,
        pull=pull,
        put_manifest=PutManifest(pull, work, writer, clock),
        uploads=Uploads(pull, work, writer, clock, access),
        delete=Delete(pull, work, clock),
        list_tags=ListTags(pull),
        suspect=SuspectCopy(work),
        reader=reader,
        denials=RecordDenial(work),
        create_project=CreateProject(work, clock),
        create_robot=CreateRobot(work, clock, keys.hmac),
        create_token=CreateToken(work, clock, keys.hmac),
        accounts=AccountQueries(database),
        catalog=CatalogQueries(database),
        scans=ScanQueries(database, base.files),
        policy=PolicyQueries(database),
        request_mode=RequestMode(work, clock),
        receive_feed=ReceiveFeed(work, queue, base.incoming, limits.feed_body_bytes),
        jobs=queue,
        audit=SearchAudit(database),
    )


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise InvalidError("storage.url must be file:///<folder>", "storage.url")
    return Path(unquote(parts.path))
