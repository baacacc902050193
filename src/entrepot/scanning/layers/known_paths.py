"""The places at which the scan looks, and the extractors that look there."""

from typing import Final

from entrepot.scanning.ecosystems.apk.extract import ApkExtractor
from entrepot.scanning.ecosystems.dpkg.extract import DpkgExtractor
from entrepot.scanning.ecosystems.python.extract import PythonExtractor
from entrepot.scanning.extractor import Extractor
from entrepot.scanning.layers.paths import ancestors
from entrepot.scanning.os import APK_REPOSITORIES, OS_RELEASE_PATHS

EXTRACTORS: Final[tuple[Extractor, ...]] = (DpkgExtractor(), ApkExtractor(), PythonExtractor())

# Fixed places: a link at or above one of them moves what a runtime sees there.
KNOWN: Final[frozenset[str]] = frozenset(
    {APK_REPOSITORIES, *OS_RELEASE_PATHS}.union(*(e.databases | e.folders for e in EXTRACTORS))
)
ON_THE_WAY: Final[frozenset[str]] = KNOWN.union(*(ancestors(path) for path in KNOWN))
