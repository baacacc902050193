"""What the web faces may call: use cases and questions, built once per process by `wiring.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from entrepot.access.accounts import CreateRobot, CreateToken
from entrepot.access.issue import IssueToken
from entrepot.access.members import RemoveMember, SetMember, SetSiteRoles
from entrepot.access.people import ChangePassword, CreatePerson, DisablePerson, ResetPassword
from entrepot.access.queries import AccountQueries
from entrepot.access.revoke import DeleteRobot, RevokeToken
from entrepot.access.sessions import Sessions
from entrepot.access.sign_in_links import SignInLinks
from entrepot.audit.denials import RecordDenial
from entrepot.audit.queries import SearchAudit
from entrepot.catalog.lists import CatalogLists
from entrepot.catalog.projects import CreateProject, EditProject
from entrepot.catalog.queries import CatalogQueries
from entrepot.catalog.quota import SetQuota
from entrepot.lifecycle.approve import DecidePromotion
from entrepot.lifecycle.gauge import StorageGauge
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
from entrepot.runtime.idempotency import Claims
from entrepot.runtime.jobs.ports import JobReader
from entrepot.runtime.telemetry.metrics import TokenMetrics
from entrepot.scanning.feeds.receive import ReceiveFeed
from entrepot.scanning.queries import ScanQueries
from entrepot.scanning.steps import ReadSteps
from entrepot.web.authn import Authn
from entrepot.web.settings import Limits


class SettingRow(Protocol):
    """A setting as people read it: its value in force, hidden if it is secret, and where that comes from."""

    @property
    def name(self) -> str:
        """Its dotted name."""
        ...

    @property
    def value(self) -> str:
        """Its value in force."""
        ...

    @property
    def source(self) -> str:
        """Where it is set."""
        ...

    @property
    def summary(self) -> str:
        """What it is."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The bundle. external: the address clients use; realm: URL of the token endpoint; service: the registry's name in
    tokens.

    chunk_min_bytes: the smallest chunk of an upload that the store likes; 0: any.
    """

    external: str
    realm: str
    service: str
    token_seconds: int
    limits: Limits
    authn: Authn
    issue: IssueToken
    token_metrics: TokenMetrics
    reads: RegistryReads
    pull: Pull
    put_manifest: PutManifest
    uploads: Uploads
    delete: Delete
    undo: Undo
    restore_tag: RestoreTag
    lock_tag: LockTag
    request_promotion: RequestPromotion
    decide_promotion: DecidePromotion
    set_pipeline: SetPipeline
    promotions: PromotionLists
    purge: Purge
    set_quota: SetQuota
    storage: StorageQueries
    storage_gauge: StorageGauge
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
    create_person: CreatePerson
    disable_person: DisablePerson
    change_password: ChangePassword
    reset_password: ResetPassword
    set_member: SetMember
    remove_member: RemoveMember
    set_site_roles: SetSiteRoles
    accounts: AccountQueries
    catalog: CatalogQueries
    scans: ScanQueries
    steps: ReadSteps
    policy: PolicyQueries
    request_mode: RequestMode
    receive_feed: ReceiveFeed
    jobs: JobReader
    audit: SearchAudit
    claims: Claims
    lists: CatalogLists
    repositories: RepositoryLists
    plan: PlanDeletion
    sessions: Sessions
    sign_in_links: SignInLinks
    settings: Sequence[SettingRow]
