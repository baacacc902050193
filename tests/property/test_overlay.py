"""The overlay of facts is what a runtime's file tree would hold, for layers as layer differs write them."""

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from entrepot.scanning.ecosystems.apk.extract import ApkExtractor
from entrepot.scanning.ecosystems.dpkg.extract import DpkgExtractor
from entrepot.scanning.layers.overlay import overlay
from tests.fakes.tars import apk_installed, directory, dpkg_status, facts_of, member, symlink, tar

DPKG = "var/lib/dpkg/status"
SINGLE = "var/lib/dpkg/status.d/base"
APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
PYTHON = ("opt/a/a-1.dist-info/METADATA", "opt/a/b-1.dist-info/METADATA", "opt/c.egg-info")
FILES = (DPKG, SINGLE, *APK, *PYTHON)
FOLDERS = ("var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/status.d", "lib", "lib/apk", "usr/lib", "opt", "opt/a")
OBSTACLES = ("var", "var/lib/dpkg", DPKG)
NAMES = ("bash", "curl", "zlib")

# A layer: path → what is there. ("file", packages) | ("directory",) | ("link", target) | ("obstacle",) | ("hide",) |
# ("empty",); a whiteout stands under the path it hides.
Layer = dict[str, tuple[object, ...]]
Packages = tuple[tuple[str, str], ...]


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    layer: Layer = {}
    for path in draw(st.lists(st.sampled_from(FILES + FOLDERS), max_size=6, unique=True)):
        if path in FILES:
            chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
            layer[path] = ("file", tuple((name, draw(st.sampled_from("12"))) for name in chosen))
        else:
            layer[path] = ("directory",)
    for path in draw(st.lists(st.sampled_from(FILES + FOLDERS), max_size=2, unique=True)):
        layer[f"{path}\0"] = draw(st.sampled_from((("hide",), ("empty",)))) if path in FOLDERS else ("hide",)
    if draw(st.integers(0, 3)) == 0:
        layer[draw(st.sampled_from(OBSTACLES))] = ("obstacle",)
    if draw(st.integers(0, 3)) == 0:
        layer["lib"] = ("link", draw(st.sampled_from(("usr/lib", "/usr/lib", "./usr//lib"))))
    # Nothing can be written below what is no directory.
    solid = [path for path, (kind, *_) in layer.items() if kind == "obstacle"]
    return {path: what for path, what in layer.items() if not any(path.startswith(f"{at}/") for at in solid)}


def as_tar(layer: Layer, seed: int) -> bytes:
    """The layer with its whiteouts at random places."""
    members, whiteouts = [], []
    for key in sorted(layer):
        path = key.rstrip("\0")
        folder, slash, name = path.rpartition("/")
        match layer[key]:
            case ("file", packages):
                members.append(member(path, content(path, packages)))  # type: ignore[arg-type]
            case ("directory",):
                members.append(directory(path))
            case ("link", target):
                members.append(symlink(path, str(target)))
            case ("obstacle",):
                members.append(member(path, flag=b"6"))
            case ("hide",):
                whiteouts.append(member(f"{folder}{slash}.wh.{name}"))
            case _:
                whiteouts.append(member(f"{path}/.wh..wh..opq"))
    for whiteout in whiteouts:
        members.insert(random.Random(seed).randint(0, len(members)), whiteout)  # noqa: S311
    return tar(*members)


def content(path: str, packages: Packages) -> bytes:
    if path in APK:
        return apk_installed(*packages)
    if path in {DPKG, SINGLE}:
        return dpkg_status(*packages)
    return b"Name: %s\nVersion: %s\n" % (packages[0][0].encode(), packages[0][1].encode())


class NaiveTree:
    """A root file system in memory: path → layer and what is there, without directories."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[int, tuple[object, ...]]] = {}

    def real(self, path: str) -> str:
        if path == "lib" or path.startswith("lib/"):
            return f"usr/{path}" if self.at.get("lib", (0, ("",)))[1][0] == "link" else path
        return path

    def parent_real(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        return f"{self.real(folder)}{slash}{name}"

    def remove(self, top: str, *, itself: bool = True) -> None:
        for path in [p for p in self.at if (p == top and itself) or p.startswith(f"{top}/")]:
            del self.at[path]

    def apply(self, number: int, layer: Layer) -> None:
        for path in sorted(path for path, what in layer.items() if what == ("directory",)):
            self.at.pop(self.parent_real(path), None)
        below = NaiveTree()
        below.at = dict(self.at)
        for key, (kind, *_) in layer.items():
            path = key.rstrip("\0")
            if kind == "hide":
                self.remove(below.parent_real(path))
            elif kind == "empty":
                self.remove(below.real(path), itself=False)
        for path in sorted(layer):
            kind = layer[path][0]
            if kind in {"file", "link", "obstacle"}:
                self.remove(self.parent_real(path))
                self.at[self.parent_real(path)] = number, layer[path]


def naive(image: Iterable[Layer]) -> set[tuple[str, str, str, int]]:
    """Path, name, version and layer of each package, from the trees of all prefixes of the image."""
    tree = NaiveTree()
    first: dict[tuple[str, str, str], int] = {}
    for number, layer in enumerate(image):
        tree.apply(number, layer)
        for path, (writer, what) in tree.at.items():
            if writer == number and what[0] == "file":
                for name, version in what[1]:  # type: ignore[attr-defined]
                    first.setdefault((path, name, version), number)
    found = set()
    for path, (writer, what) in tree.at.items():
        if what[0] == "file":
            packages: Packages = what[1]  # type: ignore[assignment]
            for name, version in packages if path not in PYTHON else packages[:1]:
                is_database = path in DpkgExtractor.databases | ApkExtractor.databases
                found.add((path, name, version, first[path, name, version] if is_database else writer))
    return found


@given(st.lists(layers(), max_size=5), st.integers(0, 1_000))
def test_the_overlay_is_what_a_file_tree_would_hold(image: list[Layer], seed: int) -> None:
    facts = [facts_of(as_tar(layer, seed + index)) for index, layer in enumerate(image)]
    assert all(layer.complete for layer in facts)
    overlaid = overlay(facts, {"rootfs": {"diff_ids": [layer.diff_id for layer in facts]}})

    doubtful = [reason for reason in overlaid.reasons if reason.startswith("unresolved_link:")]
    if doubtful:
        # Only one file written under both its names in one layer is beyond what facts can say.
        assert any(set(APK) <= layer.keys() for layer in image)
        return

    assert {(p.package.path, p.package.name, p.package.version, p.layer) for p in overlaid.packages} == naive(image)
