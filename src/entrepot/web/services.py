"""What the web faces may call: use cases and questions, built once per process by `wiring.py`."""

from dataclasses import dataclass

from entrepot.access.accounts import CreateRobot, CreateToken
from entrepot.access.issue import IssueToken
from entrepot.access.queries import AccountQueries
from entrepot.access.revoke import DeleteRobot, RevokeToken
from entrepot.audit.denials import RecordDenial
from entrepot.audit.queries import SearchAudit
from entrepot.catalog.projects import CreateProject, EditProject
from entrepot.catalog.queries import CatalogQueries
from entrepot.catalog.quota import SetQuota
from entrepot.lifecycle.locks import LockTag
from entrepot.lifecycle.queries import StorageQueries
from entrepot.lifecycle.requests import RequestWork
from entrepot.lifecycle.restore import RestoreTag
from entrepot.lifecycle.trash import Purge, Undo
from entrepot.policy.modes import RequestMode
from entrepot.policy.queries import PolicyQueries
from entrepot.registry.deletion import Delete
from entrepot.registry.healing import SuspectCopy
from entrepot.registry.hot import RegistryReads
from entrepot.registry.listing import ListRepositories, ListTags
from entrepot.registry.pull import Pull
from entrepot.registry.push import PutManifest
from entrepot.registry.referrers import ListReferrers
from entrepot.registry.uploads import Uploads
from entrepot.runtime.jobs.ports import JobReader
from entrepot.scanning.feeds.receive import ReceiveFeed
from entrepot.scanning.queries import ScanQueries
from entrepot.web.authn import Authn
from entrepot.web.settings import Limits


@dataclass(frozen=True, slots=True)
class Services:
    """The bundle. realm: URL of the token endpoint; service: the registry's name in tokens.

    chunk_min_bytes: the smallest chunk of an upload that the store likes; 0: any.
    """

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
    undo: Undo
    restore_tag: RestoreTag
    lock_tag: LockTag
    purge: Purge
    set_quota: SetQuota
    storage: StorageQueries
    request_work: RequestWork
    list_tags: ListTags
    list_repositories: ListRepositories
    list_referrers: ListReferrers
    suspect: SuspectCopy
    chunk_min_bytes: int
    denials: RecordDenial
    create_project: CreateProject
    edit_project: EditProject
    create_robot: CreateRobot
    create_token: CreateToken
    delete_robot: DeleteRobot
    revoke_token: RevokeToken
    accounts: AccountQueries
    catalog: CatalogQueries
    scans: ScanQueries
    policy: PolicyQueries
    request_mode: RequestMode
    receive_feed: ReceiveFeed
    jobs: JobReader
    audit: SearchAudit
