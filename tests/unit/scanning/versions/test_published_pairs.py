from collections.abc import Callable
from pathlib import Path

import pytest

from entrepot.scanning.versions import (
    apk,
    composer,
    cran,
    deb,
    gem,
    golang,
    hackage,
    maven,
    nuget,
    pep440,
    pub,
    rpm,
    semver,
)

DATA = Path(__file__).parents[3] / "data" / "feeds"


@pytest.mark.parametrize(
    ("scheme", "key"),
    [
        ("apk", apk.key),
        ("composer", composer.key),
        ("cran", cran.key),
        ("deb", deb.key),
        ("gem", gem.key),
        ("hackage", hackage.key),
        ("maven", maven.key),
        ("nuget", nuget.key),
        ("pub", pub.key),
        ("pypi", pep440.key),
        ("rpm", rpm.key),
        ("semver", semver.key),
        ("semver", golang.key),
    ],
)
def test_keys_order_as_the_published_pairs_say(scheme: str, key: Callable[[str], bytes]) -> None:
    wrong = []
    for line in (DATA / f"versions-{scheme}.txt").read_text().splitlines():
        left, sign, right = line.split(" ")
        found = "<" if key(left) < key(right) else ">" if key(left) > key(right) else "="
        wrong += [line] if found != sign else []

    assert wrong == []
