"""The layers of an image, one over the other: its packages, and which layer and build step brought each.

Invariant: what is above hides what is below exactly as in a runtime, and what could not be followed is a reason,
never an absence. It holds because whiteouts, opaque directories and replacing members of a layer act on the lower
layers' state before anything of the layer itself is added, whatever their order in the tar. Example: layer 1 has
var/lib/dpkg/status with bash and curl, layer 2 the same file with bash and a whiteout of opt/app; the image has
bash from layer 1, and nothing below opt/app. Test: property/test_overlay.py. Design: scanning.md, section 4.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from entrepot.scanning.layers.known_paths import BILLS, KNOWN
from entrepot.scanning.layers.links import follow, resolve, resolve_parent
from entrepot.scanning.layers.paths import ancestors
from entrepot.scanning.model import ImageFacts, ImagePackage, LayerFacts, Link, OsRelease, Package, PackageDatabase
from entrepot.scanning.os import APK_REPOSITORIES, OS_RELEASE_PATHS, UNKNOWN, as_advised, namespace, os_name
from entrepot.scanning.steps import build_steps, diff_ids

OS_ECOSYSTEMS: Final = frozenset(("apk", "deb", "rpm"))
"""Those whose database lists every package of theirs that is installed."""


@dataclass(frozen=True, slots=True)
class _Branches:
    """What etc/apk/repositories names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stands at a path, and the layer that last wrote it."""

    layer: int
    thing: PackageDatabase | tuple[Package, ...] | OsRelease | Link | _Branches


def overlay(layers: Sequence[LayerFacts | None], config: Mapping[str, object]) -> ImageFacts:
    """The image whose *layers*, lowest first, have these facts, and whose parsed config document is *config*.

    None stands for a layer without facts. Reasons, sorted: `missing_layer`; codes of problems that cut a layer's
    facts short; `diffid_mismatch`; `unresolved_link:<path>`; `unknown_os`.
    """
    tree = _Tree()
    reasons: set[str] = set()
    for index, facts in enumerate(layers):
        if facts is None:
            reasons.add("missing_layer")
        else:
            reasons.update(_cuts(facts))
            tree.add(index, facts)
    if not _diff_ids_agree(layers, diff_ids(config)):
        reasons.add("diffid_mismatch")
    reasons.update(f"unresolved_link:{path}" for path in tree.unresolved())
    release, branches = tree.release(), tree.apk_branches()
    steps = build_steps(config, len(layers))
    packages = []
    for layer, package in _ranked(list(tree.packages())):
        facts = layers[layer]
        place = namespace(package.ecosystem, release, branches)
        if facts is not None:
            packages.append(ImagePackage(as_advised(package, place), place, layer, facts.digest, steps[layer]))
        if place == UNKNOWN:
            reasons.add("unknown_os")
    packages.sort(key=_order)
    return ImageFacts(tuple(packages), tuple(sorted(reasons)), os_name(release, branches))


def _order(found: ImagePackage) -> tuple[str, ...]:
    package = found.package
    return (package.ecosystem, package.name, package.version, package.arch, package.path)


def _cuts(facts: LayerFacts) -> Iterable[str]:
    codes = {f"{p.code}:{p.path}" if p.code == "unresolved_link" else p.code for p in facts.problems if p.cut}
    return codes if codes or facts.complete else {"incomplete_layer"}


def _diff_ids_agree(layers: Sequence[LayerFacts | None], announced: Sequence[str]) -> bool:
    """Whether each layer that was walked to its end is the one that the config announces at its place."""
    return len(announced) == len(layers) and all(
        facts is None or not facts.diff_id or facts.diff_id == diff_id
        for facts, diff_id in zip(layers, announced, strict=True)
    )


class _Tree:
    """The merged tree, as far as facts know it: only paths at which something of interest stands."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}
        self._first: dict[tuple[str, str, str, str], int] = {}
        self._doubtful: set[str] = set()

    def add(self, layer: int, facts: LayerFacts) -> None:
        """Puts a layer's facts over what stands."""
        # A directory that takes a link's place comes before what the same layer hides or writes below it.
        for path in facts.directories:
            self._standing.pop(resolve_parent(path, self._links()), None)
        below = self._links()
        self._hide(
            hidden={resolve_parent(path, below) for path in facts.whiteouts},
            emptied={resolve(path, below) or path for path in facts.opaques},
        )
        left = self._links()
        new_links = {resolve_parent(link.path, left): _Standing(layer, link) for link in facts.links}
        self._hide(hidden=new_links.keys() | {resolve_parent(path, left) for path in facts.obstacles}, emptied=set())
        self._standing |= new_links
        self._put(layer, facts, self._links())

    def _put(self, layer: int, facts: LayerFacts, links: Mapping[str, str]) -> None:
        written: set[str] = set()
        for release in facts.os_releases:
            self._standing[resolve_parent(release.path, links)] = _Standing(layer, release)
        if facts.apk_branches:
            self._standing[resolve_parent(APK_REPOSITORIES, links)] = _Standing(layer, _Branches(facts.apk_branches))
        for database in facts.databases:
            path = resolve_parent(database.path, links)
            if path in written:
                self._doubtful.add(database.path)  # one file under two names: which came last, facts don't say
            written.add(path)
            self._standing[path] = _Standing(layer, database)
            for package in database.packages:
                self._first.setdefault((path, package.name, package.version, package.arch), layer)
        alone: dict[str, list[Package]] = {}
        for package in facts.packages:
            alone.setdefault(resolve_parent(package.path, links), []).append(package)
        for path, packages in alone.items():
            self._standing[path] = _Standing(layer, tuple(packages))

    def _hide(self, hidden: set[str], emptied: set[str]) -> None:
        """Drops what stands at or below a path of *hidden*, and below one of *emptied* (empty text: the root)."""
        if not hidden and not emptied:
            return
        gone = hidden | emptied
        is_all_gone = "" in emptied
        self._standing = {
            path: standing
            for path, standing in self._standing.items()
            if not (is_all_gone or path in hidden or any(above in gone for above in ancestors(path)))
        }

    def _links(self) -> dict[str, str]:
        return {path: s.thing.target for path, s in self._standing.items() if isinstance(s.thing, Link)}

    def unresolved(self) -> set[str]:
        """Links that lead from a known path to one that no layer's facts tell of."""
        links = self._links()
        ways = [follow(path, links) for path in KNOWN]
        return self._doubtful | {
            way.link for way in ways if way.link and way.path not in KNOWN and way.path not in self._standing
        }

    def release(self) -> OsRelease | None:
        """The os-release that programs in the image would read."""
        links = self._links()
        for path in OS_RELEASE_PATHS:
            standing = self._standing.get(resolve(path, links) or path)
            if standing is not None and isinstance(standing.thing, OsRelease):
                return standing.thing
        return None

    def apk_branches(self) -> tuple[str, ...]:
        """The branches that apk in the image would use."""
        standing = self._standing.get(resolve(APK_REPOSITORIES, self._links()) or APK_REPOSITORIES)
        return standing.thing.names if standing is not None and isinstance(standing.thing, _Branches) else ()

    def packages(self) -> Iterable[tuple[int, Package]]:
        """Each package with the layer that brought it, at the path where it stands in the image."""
        for path, standing in self._standing.items():
            match standing.thing:
                case PackageDatabase(packages=packages):
                    for package in packages:
                        first = self._first[path, package.name, package.version, package.arch]
                        yield first, _placed(package, path)
                case tuple(packages):
                    for package in packages:
                        yield standing.layer, _placed(package, path)
                case _:
                    pass


def _ranked(packages: Sequence[tuple[int, Package]]) -> Iterable[tuple[int, Package]]:
    """*packages* less what only a bill of materials says of a package, or of a whole package manager, known better."""
    own = [package for _, package in packages if not BILLS.wants(package.path)]
    known = {(package.ecosystem, package.name, package.version) for package in own}
    managed = {package.ecosystem for package in own} & OS_ECOSYSTEMS
    for layer, package in packages:
        is_repeated = package.ecosystem in managed or (package.ecosystem, package.name, package.version) in known
        if not (is_repeated and BILLS.wants(package.path)):
            yield layer, package


def _placed(package: Package, path: str) -> Package:
    return package if package.path == path else replace(package, path=path)
