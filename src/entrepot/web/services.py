"""What the web faces may call: use cases and questions, built once per process by `wiring.py`."""

from dataclasses import dataclass

from entrepot.access.accounts import CreateRobot, CreateToken
from entrepot.access.issue import IssueToken
from entrepot.access.queries import AccountQueries
from entrepot.audit.denials import RecordDenial
from entrepot.audit.queries import SearchAudit
from entrepot.catalog.projects import CreateProject
from entrepot.catalog.queries import CatalogQueries
from entrepot.content.reader import BlobReader
from entrepot.policy.modes import RequestMode
from entrepot.policy.queries import PolicyQueries
from entrepot.registry.deletion import Delete
from entrepot.registry.healing import SuspectCopy
from entrepot.registry.hot import RegistryReads
from entrepot.registry.listing import ListTags
from entrepot.registry.pull import Pull
from entrepot.registry.push import PutManifest
from entrepot.registry.uploads import Uploads
from entrepot.runtime.jobs.queue import Queue
from entrepot.scanning.feeds.receive import ReceiveFeed
from entrepot.scanning.queries import ScanQueries
from entrepot.web.authn import Authn
from entrepot.web.settings import Limits


@dataclass(frozen=True, slots=True)
class Services:
    """The bundle. realm: URL of the token endpoint; service: the registry's name in tokens."""

    realm: str
    service: str
    token_seconds: int
    limits: Limits
    authn: Authn
    issue: IssueToken
    reads: RegistryReads
    pull: Pull
    put_manifest: PutManifest
    uploads: Uploads
    delete: Delete
    list_tags: ListTags
    suspect: SuspectCopy
    reader: BlobReader
    denials: RecordDenial
    create_project: CreateProject
    create_robot: CreateRobot
    create_token: CreateToken
    accounts: AccountQueries
    catalog: CatalogQueries
    scans: ScanQueries
    policy: PolicyQueries
    request_mode: RequestMode
    receive_feed: ReceiveFeed
    jobs: Queue
    audit: SearchAudit
