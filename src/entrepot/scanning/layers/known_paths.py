"""The places at which the scan looks, and the extractors that look there."""

from typing import Final

from entrepot.scanning.ecosystems.apk.extract import ApkExtractor
from entrepot.scanning.ecosystems.conda.extract import CondaExtractor
from entrepot.scanning.ecosystems.dotnet.extract import DotnetExtractor
from entrepot.scanning.ecosystems.dpkg.extract import DpkgExtractor
from entrepot.scanning.ecosystems.golang.extract import GolangExtractor
from entrepot.scanning.ecosystems.java.extract import JavaExtractor
from entrepot.scanning.ecosystems.npm.extract import NpmExtractor
from entrepot.scanning.ecosystems.php.extract import PhpExtractor
from entrepot.scanning.ecosystems.python.extract import PythonExtractor
from entrepot.scanning.ecosystems.rpm.extract import RpmExtractor
from entrepot.scanning.ecosystems.ruby.extract import RubyExtractor
from entrepot.scanning.ecosystems.rust.extract import RustExtractor
from entrepot.scanning.ecosystems.sbom.extract import SbomExtractor
from entrepot.scanning.executables import BinaryExtractor
from entrepot.scanning.extractor import Extractor
from entrepot.scanning.layers.paths import ancestors
from entrepot.scanning.os import APK_REPOSITORIES, OS_RELEASE_PATHS

ARCHIVES: Final[Extractor] = JavaExtractor()
"""Reads members that hold whole programs, so they may be larger than metadata."""
BILLS: Final[Extractor] = SbomExtractor()
"""Reads what somebody wrote down at build time, which any other source of the same package outranks."""
EXTRACTORS: Final[tuple[Extractor, ...]] = (
    DpkgExtractor(),
    ApkExtractor(),
    RpmExtractor(),
    PythonExtractor(),
    NpmExtractor(),
    RubyExtractor(),
    PhpExtractor(),
    DotnetExtractor(),
    CondaExtractor(),
    ARCHIVES,
    BILLS,
)
BINARY_EXTRACTORS: Final[tuple[BinaryExtractor, ...]] = (GolangExtractor(), RustExtractor())

# Fixed places: a link at or above one of them moves what a runtime sees there.
KNOWN: Final[frozenset[str]] = frozenset(
    {APK_REPOSITORIES, *OS_RELEASE_PATHS}.union(*(e.databases | e.folders for e in EXTRACTORS))
)
ON_THE_WAY: Final[frozenset[str]] = KNOWN.union(*(ancestors(path) for path in KNOWN))
