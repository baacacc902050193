"""What libraries load at first use is loaded before the child is confined: every kind of file is read in a real one."""

import random
import tempfile

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.pool import LayerPool
from tests.fakes.auditable import auditable, crates
from tests.fakes.jars import jar, manifest, pom
from tests.fakes.tars import member, program, tar

BILL = b"""{"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": [
{"referenceType": "purl", "referenceLocator": "pkg:npm/%40b/c@1?upstream=%C3%BC"}]}]}"""


async def test_a_confined_child_reads_the_files_of_every_language() -> None:
    noise = random.Random(1).randbytes(6 << 20)  # noqa: S311
    inner = jar({**pom("a.b", "c", "1"), "noise": noise})
    layer = tar(
        member("a/specifications/a-1.gemspec", b"# stub: a 1 ruby lib\n"),
        member("v/composer/installed.json", b'[{"name": "a/b", "version": "1"}]'),
        member("w/composer/installed.json", b'[{"name": "\xff"}]'),
        member("x.deps.json", b'{"libraries": {"A/1": {"type": "package"}}}'),
        member("x/conda-meta/a.json", b'{"name": "a", "version": "1"}'),
        member("opt/c.war", jar({**manifest(Implementation_Version="2", Implementation_Title="d"), "c.jar": inner})),
        member("opt/broken.jar", b"PK"),
        program("bin/t", auditable(crates(("s", "1")))),
        member("var/lib/db/sbom/a.spdx.json", BILL),
    )
    with tempfile.TemporaryFile() as file:
        file.write(layer)
        file.flush()
        async with LayerPool() as pool:
            facts = await pool.analyse(file, Digest.of(layer), len(layer))

    assert [(package.ecosystem, package.name, package.version) for package in facts.packages] == [
        ("rubygems", "a", "1"),
        ("crates.io", "s", "1"),
        ("maven", "a.b:c", "1"),
        ("jar", "d", "2"),
        ("packagist", "a/b", "1"),
        ("npm", "@b/c", "1"),
        ("nuget", "A", "1"),
        ("conda", "a", "1"),
    ]
    assert [problem.code for problem in facts.problems] == ["analyser:php:malformed", "analyser:java:malformed"]
