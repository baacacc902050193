"""The composition root: every part is built here, once per process, from the settings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

from entrepot.access.accounts import CreateRobot, CreateToken, ensure_admin
from entrepot.access.authenticate import Authenticate
from entrepot.access.delays import LoginDelays
from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.issue import IssueToken
from entrepot.access.keys import Keys, load_keys, make_keys
from entrepot.access.members import RemoveMember, SetMember, SetSiteRoles
from entrepot.access.passwords import Passwords
from entrepot.access.people import ChangePassword, CreatePerson, DisablePerson, ResetPassword
from entrepot.access.queries import AccountQueries
from entrepot.access.revocations import Revocations
from entrepot.access.revoke import DeleteRobot, RevokeToken
from entrepot.access.sessions import Sessions
from entrepot.access.sign_in_links import SignInLinks
from entrepot.access.tokens import Tokens
from entrepot.audit.denials import RecordDenial
from entrepot.audit.queries import SearchAudit
from entrepot.audit.recorder import Recorder
from entrepot.audit.spool import Spool
from entrepot.catalog.lists import CatalogLists
from entrepot.catalog.projects import CreateProject, EditProject
from entrepot.catalog.queries import CatalogQueries
from entrepot.catalog.quota import SetQuota
from entrepot.clock import Clock, SystemClock
from entrepot.content import sessions
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.part_budget import PartBudget
from entrepot.content.ports import BlobReader, BlobStore, UploadWriter
from entrepot.content.reader import FileReader
from entrepot.content.writer import FileWriter, Room
from entrepot.errors import InvalidError, UnavailableError
from entrepot.lifecycle.approve import DecidePromotion
from entrepot.lifecycle.gauge import StorageGauge
from entrepot.lifecycle.leasing import RenewLease
from entrepot.lifecycle.lists import RepositoryLists
from entrepot.lifecycle.locks import LockTag
from entrepot.lifecycle.pipelines import SetPipeline
from entrepot.lifecycle.plan import PlanDeletion
from entrepot.lifecycle.promote import RequestPromotion
from entrepot.lifecycle.promotion_lists import PromotionLists
from entrepot.lifecycle.queries import StorageQueries
from entrepot.lifecycle.requests import RequestWork
from entrepot.lifecycle.restore import RestoreTag
from entrepot.lifecycle.trash import Purge, Undo
from entrepot.policy.jobs import REACTIONS as POLICY
from entrepot.policy.modes import RequestMode
from entrepot.policy.queries import PolicyQueries
from entrepot.registry.deletion import Delete
from entrepot.registry.healing import SuspectCopy
from entrepot.registry.hot import RegistryReads
from entrepot.registry.hot_sql import registry_statements
from entrepot.registry.listing import ListRepositories, ListTags
from entrepot.registry.pull import Pull
from entrepot.registry.push import PutManifest
from entrepot.registry.referrers import ListReferrers
from entrepot.registry.uploads import UploadLimits, Uploads
from entrepot.runtime.database import PATIENCE, Database, open_database
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.errors import SchemaOldError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.hot import HotReader
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.idempotency import Claims, MarkClaim
from entrepot.runtime.jobs.queue import job_reader
from entrepot.runtime.migrations.newest import NEWEST, revision_of
from entrepot.runtime.quantities import parse_networks
from entrepot.runtime.telemetry.metrics import Metrics, StorageMetrics, TokenMetrics
from entrepot.runtime.unit_of_work import Reaction, Work
from entrepot.scanning.feeds.receive import ReceiveFeed
from entrepot.scanning.jobs import REACTIONS as SCANNING
from entrepot.scanning.queries import ScanQueries
from entrepot.scanning.steps import ReadSteps
from entrepot.settings import Settings
from entrepot.web.access_log import AccessLog
from entrepot.web.admission import Admission, part
from entrepot.web.app import App
from entrepot.web.authn import Authn
from entrepot.web.gauges import Gauges
from entrepot.web.later import Later
from entrepot.web.limits.body import Pace
from entrepot.web.limits.turns import Turns
from entrepot.web.ops import Ops
from entrepot.web.respond import AsgiApp
from entrepot.web.services import Services, SettingRow

REACTIONS: tuple[Reaction, ...] = (*SCANNING, *POLICY)
ROTATE_SECONDS = 0.5
PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every role stands on. spool: folder of pulls not in the log yet; scratch: of objects needed as files."""

    settings: Settings
    clock: Clock
    database: Database
    work: Work
    files: BlobStore
    reader: BlobReader
    writer: UploadWriter
    chunk_min_bytes: int
    spool: Path
    scratch: Path


def foundation(settings: Settings, patience: timedelta = PATIENCE) -> Foundation:
    """The parts all roles share. patience: how long a statement may take. Raises InvalidError: an unknown URL."""
    clock, metrics = SystemClock(), StorageMetrics()
    database = open_database(settings.database_url.reveal(), settings.database.pool, patience)
    work = Work(database, clock, (Recorder(clock), MarkClaim(clock)), REACTIONS)
    spool, scratch = settings.data / "spool", settings.data / "scratch"
    return Foundation(settings, clock, database, work, *_storage(settings, metrics, scratch), spool, scratch)


def _storage(
    settings: Settings, metrics: StorageMetrics, scratch: Path
) -> tuple[BlobStore, BlobReader, UploadWriter, int]:
    """The store of the settings, what reads and writes blobs in it, and the smallest chunk of an upload it likes."""
    storage, most, url = settings.storage, settings.server.limits.blob_bytes, settings.storage_url.reveal()
    cache = ByteCache(settings.cache.bytes, settings.cache.blob_max, metrics.asked, metrics.cached)
    if urlsplit(url).scheme == "file":
        files = FilesystemBlobs(_folder(url))
        room = Room(storage.least_free, storage.least_free_percent)
        return files, FileReader(files, cache), FileWriter(files, most, room, metrics.sync_failed), 0
    # A client of clouds, which a folder does not need.
    from entrepot.content.backends.object_store import ObjectBlobs  # noqa: PLC0415
    from entrepot.content.object_reader import ObjectReader  # noqa: PLC0415
    from entrepot.content.object_writer import LEAST_PART, ObjectWriter  # noqa: PLC0415

    objects = ObjectBlobs.at(url, scratch)
    networks = parse_networks(storage.redirect)
    if networks and objects.host == urlsplit(settings.external_url).hostname:
        raise InvalidError("clients would send their credentials along to a store at the same host", "storage.redirect")
    writer = ObjectWriter(objects, PartBudget(storage.part_budget), most)
    return objects, ObjectReader(objects, cache, networks), writer, LEAST_PART


def hot_reader(base: Foundation) -> HotReader:
    """A new reader for the pull path."""
    if base.database.kind is Kind.SQLITE:
        return SqliteReader(database_path(base.database.url))
    from entrepot.runtime.hot_postgres import PostgresReader  # noqa: PLC0415  a driver that SQLite does not need

    return PostgresReader(libpq_url(base.database.url), base.settings.database.pool)


def prepare(settings: Settings) -> None:
    """Makes what is not there yet: folders, keys, the schema, the first admin. Then says so to the other roles."""
    base = foundation(settings)
    for folder in (base.spool, base.scratch, settings.run):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    if isinstance(base.files, FilesystemBlobs):
        asyncio.run(base.files.prepare())
    else:
        # In a process that ends: a client of clouds starts threads, and the web workers to be forked would miss them.
        with ProcessPoolExecutor(1, get_context("fork")) as apart:
            apart.submit(_prepare_store, settings).result()
    make_keys(settings.keys)
    revision = revision_of(base.database.url)
    if revision != NEWEST:
        if revision is not None and base.database.kind is Kind.POSTGRESQL:
            raise SchemaOldError(f"the database has schema {revision}, this version needs {NEWEST}: entrepot migrate")
        from entrepot.runtime.migrations.run import migrate  # noqa: PLC0415  0.3 s, once in a database's life

        migrate(base.database.url)

    async def first_admin() -> None:
        await ensure_admin(base.work, base.clock, settings.data / "admin-password")
        if base.database.kind is Kind.SQLITE:  # nobody else writes: these are leases of processes that were killed
            async with base.work(SYSTEM) as unit:
                await sessions.free_all(unit)
        await base.database.close()

    asyncio.run(first_admin())
    (settings.run / PREPARED).touch()


def _prepare_store(settings: Settings) -> None:
    asyncio.run(foundation(settings).files.prepare())


def web_app(settings: Settings, draining: Callable[[], bool], described: Sequence[SettingRow] = ()) -> App:
    """The application of a web process.

    draining: whether the server is about to stop; described: the settings as people read them.
    """
    base = foundation(settings)
    hot = hot_reader(base)
    keys = load_keys(settings.keys)
    spool = Spool(base.spool, base.clock)
    admission = _admission(settings)
    access = AccessReads(hot, access_statements(base.database.kind))
    revocations = Revocations(access, base.clock, settings.access.token_ttl)
    services = _services(base, hot, keys, spool, admission, access, revocations, described)
    metrics = Metrics()
    gauges = Gauges(
        services.jobs,
        services.storage_gauge,
        services.scans,
        services.policy,
        services.promotions,
        base.spool,
        settings.keys,
        base.clock,
        version("entrepot"),
    )
    ops = Ops(hot, draining, str(settings.metrics), gauges)
    api, pages = Later(lambda: _api(services)), Later(lambda: _pages(services))

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        await hot.open()
        with contextlib.suppress(UnavailableError):  # it is asked again beside; until it answers no pull is served
            await revocations.refresh()
        async with asyncio.TaskGroup() as group:
            works = (_rotate(spool), _load(api, pages), revocations.keep_fresh(), metrics.watch(base.database.in_use))
            beside = [group.create_task(work) for work in works]
            yield
            for task in beside:
                task.cancel()
        spool.rotate()
        await base.database.close()
        await hot.close()

    return App(services, ops, api, pages, metrics, AccessLog(base.clock), life, admission)


def _admission(settings: Settings) -> Admission:
    limits, processes = settings.server.limits, settings.web_workers
    return Admission(
        Turns(limits.in_flight, limits.queue),
        Pace(limits.body_rate_bytes, limits.body_window),
        limits.request_line_bytes,
        limits.header_bytes,
        limits.header_count,
        part(limits.in_flight_principal, processes),
        part(limits.in_flight_address, processes),
    )


def _api(services: Services) -> AsgiApp:
    from entrepot.web.api.app import api_app  # noqa: PLC0415  0.5 s that no pull has to wait for

    return api_app(services, version("entrepot"))


def _pages(services: Services) -> AsgiApp:
    from entrepot.web.pages.app import pages_app  # noqa: PLC0415  as above

    return pages_app(services)


async def _load(*later: Later) -> None:
    for each in later:
        await each.ready()


async def _rotate(spool: Spool) -> None:
    """Hands spooled pulls over to the worker, twice a second."""
    while True:
        await asyncio.sleep(ROTATE_SECONDS)
        spool.rotate()


def _services(
    base: Foundation,
    hot: HotReader,
    keys: Keys,
    spool: Spool,
    admission: Admission,
    access: AccessReads,
    revocations: Revocations,
    described: Sequence[SettingRow],
) -> Services:
    settings, clock, work, database = base.settings, base.clock, base.work, base.database
    limits = settings.server.limits
    external = settings.external_url
    tokens = Tokens(keys, urlsplit(external).netloc, clock, revocations)
    delays = LoginDelays(settings.access.login_delay)
    passwords = Passwords(keys.hmac)
    authenticate = Authenticate(access, passwords, keys.hmac, clock, spool, delays)
    reads = RegistryReads(hot, registry_statements(database.kind))
    writer = base.writer
    pull = Pull(reads, base.reader, spool, clock, RenewLease(work, clock), settings.external_url)
    upload_limits = UploadLimits(limits.uploads_per_repository, limits.uploads_per_account)
    jobs = job_reader(database)
    storage, lists, repositories = StorageQueries(database), CatalogLists(database), RepositoryLists(database)
    return Services(
        external=external,
        realm=f"{external}/v2/auth",
        service=tokens.service,
        token_seconds=int(settings.access.token_ttl.total_seconds()),
        limits=limits,
        authn=Authn(authenticate, tokens, admission),
        issue=IssueToken(reads, tokens, clock, spool, settings.access.token_ttl),
        token_metrics=TokenMetrics(),
        reads=reads,
        pull=pull,
        put_manifest=PutManifest(pull, work, writer, clock),
        uploads=Uploads(pull, work, writer, clock, access, upload_limits),
        chunk_min_bytes=base.chunk_min_bytes,
        delete=Delete(pull, work, clock, settings.lifecycle.trash),
        undo=Undo(work, clock),
        restore_tag=RestoreTag(work, clock),
        lock_tag=LockTag(work, clock),
        request_promotion=RequestPromotion(work, clock),
        decide_promotion=DecidePromotion(work, clock, access),
        set_pipeline=SetPipeline(work),
        promotions=PromotionLists(database, clock),
        purge=Purge(work, clock),
        set_quota=SetQuota(work),
        storage=storage,
        storage_gauge=StorageGauge(storage, clock),
        request_work=RequestWork(work),
        list_tags=ListTags(pull),
        list_repositories=ListRepositories(pull, access),
        list_referrers=ListReferrers(pull),
        suspect=SuspectCopy(work),
        denials=RecordDenial(work),
        create_project=CreateProject(work, clock),
        edit_project=EditProject(work),
        create_robot=CreateRobot(work, clock, keys.hmac),
        create_token=CreateToken(work, clock, keys.hmac),
        delete_robot=DeleteRobot(work, clock, revocations),
        revoke_token=RevokeToken(work, clock, revocations),
        create_person=CreatePerson(work, clock, passwords),
        disable_person=DisablePerson(work, clock, revocations),
        change_password=ChangePassword(work, clock, authenticate, passwords, revocations),
        reset_password=ResetPassword(work, clock, passwords, revocations),
        set_member=SetMember(work, clock),
        remove_member=RemoveMember(work, clock),
        set_site_roles=SetSiteRoles(work, clock),
        accounts=AccountQueries(database),
        catalog=CatalogQueries(database),
        scans=ScanQueries(database, base.files),
        steps=ReadSteps(base.files),
        policy=PolicyQueries(database),
        request_mode=RequestMode(work, clock),
        receive_feed=ReceiveFeed(work, jobs, writer, limits.feed_body_bytes),
        jobs=jobs,
        audit=SearchAudit(database),
        claims=Claims(work, clock),
        lists=lists,
        repositories=repositories,
        plan=PlanDeletion(work, clock, storage, lists, repositories),
        sessions=Sessions(work, database, access, clock, keys.hmac),
        sign_in_links=SignInLinks(work, access, clock, keys.hmac),
        settings=described,
    )


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise InvalidError("storage.url must be file:///<folder>", "storage.url")
    return Path(unquote(parts.path))
