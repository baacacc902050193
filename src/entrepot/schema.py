"""The one MetaData with every noun's tables in it: what migrations are compared with."""

from typing import Final

from sqlalchemy import MetaData

from entrepot.access import tables as access
from entrepot.audit import tables as audit
from entrepot.catalog import tables as catalog
from entrepot.content import tables as content
from entrepot.lifecycle import tables as lifecycle
from entrepot.policy import tables as policy
from entrepot.runtime.tables import METADATA
from entrepot.scanning import tables as scanning

NOUNS: Final = (access, audit, catalog, content, lifecycle, policy, scanning)
SCHEMA: Final[MetaData] = METADATA
