import gzip
import io
import json
import tarfile
from importlib.resources import files

import zstandard

from entrepot.cli.demo import images
from entrepot.cli.demo.build import Layer


def content(layer: Layer) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer.blob.data))) as tar:
        return {
            member.name: file.read()
            for member in tar
            if member.isreg() and (file := tar.extractfile(member)) is not None
        }


def test_both_images_share_the_layer_of_python_distributions_and_no_other() -> None:
    old, new = images.shop_web()

    assert [a.digest == b.digest for a, b in zip(old.layers, new.layers, strict=True)] == [False, True, False]


def test_the_bases_have_these_bytes() -> None:
    assert (
        str(images.base(after=False).digest)
        == "sha256:484dc20a657dd37a2d34c01c9c577b11eacc5db89524b158bc255539cef075da"
    )
    assert (
        str(images.base(after=True).digest) == "sha256:5db92c51cc6a0dc8ea672b88b6dc0375213d3ae3fdcdb49baf17951ffc0a215b"
    )


def test_a_source_is_named_where_it_differs_as_dpkg_does() -> None:
    status = content(images.base(after=False))["var/lib/dpkg/status"].decode()
    paragraphs = {each.splitlines()[0]: each for each in status.split("\n\n")}

    assert "Source: util-linux (2.38.1-5)\nVersion: 1:2.38.1-5+b1" in paragraphs["Package: bsdutils"]
    assert "Source: glibc\nVersion: 2.36-9" in paragraphs["Package: libc6"]
    assert "Source:" not in paragraphs["Package: curl"]


def test_the_extract_covers_every_package_of_both_images() -> None:
    data = (files("entrepot.cli.demo") / "data" / "advisories.jsonl.zst").read_bytes()
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        header = json.loads(io.TextIOWrapper(stream, "utf-8").readline())["entrepot_feed"]

    sources = {row.source for after in (False, True) for row in images.packages(after=after)}
    assert set(header["packages"]["debian:12"]) == sources
    assert len(header["packages"]["pypi"]) == len(images.DISTRIBUTIONS) + 1
    assert len(data) <= 1_000_000
