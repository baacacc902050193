"""What runs in a worker."""

from entrepot.clock import Clock
from entrepot.content.ports import BlobStore
from entrepot.runtime.database import Database
from entrepot.runtime.jobs.model import Task
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning.analyse import AnalyseLayer
from entrepot.scanning.assess import AssessImage
from entrepot.scanning.feeds.apply import ApplyFeeds
from entrepot.scanning.jobs import ApplyFeed, Rematch, ScanImage, ScanLayer
from entrepot.scanning.layers.pool import LayerPool
from entrepot.scanning.reevaluate import Reevaluate


def tasks(
    work: Work, database: Database, files: BlobStore, pool: LayerPool, clock: Clock, metrics: WorkMetrics
) -> tuple[Task, ...]:
    """The kinds of jobs scanning runs, with what each needs."""
    return (
        Task(ScanLayer, AnalyseLayer(work, files, pool, clock, metrics)),
        Task(ScanImage, AssessImage(work, database, files, clock, metrics)),
        Task(ApplyFeed, ApplyFeeds(work, files, clock)),
        Task(Rematch, Reevaluate(work, clock)),
    )
