import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.cli.demo.build import (
    STORED_BLOCK,
    Directory,
    Entry,
    File,
    Image,
    Symlink,
    gzip_stored,
    image,
    index,
    layer,
    write_layout,
)
from entrepot.oci.digest import Digest

FILES: Mapping[str, Entry] = {
    "etc/os-release": b"ID=debian\n",
    "usr/bin/su": File(b"x" * 70_000, 0o4755),
    "lib": Symlink("usr/lib"),
    "opt/" + "n" * 120 + "/é": b"long",
    "srv/empty": Directory(0o700),
}


def sample(platform: str = "linux/amd64") -> Image:
    return image([layer(FILES, whiteouts=["var/cache/x", "top"], opaques=["srv"], step="RUN x")], platform=platform)


def members(blob: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        return tar.getmembers()


def test_the_same_arguments_give_these_bytes_on_every_machine_and_python() -> None:
    one = sample()
    both = index([one, sample("linux/arm64/v8")])

    assert str(one.layers[0].diff_id) == "sha256:39d40c1db47c1db003a5063e3448143d09f70b139ebed87ddc83fc88bdd887fb"
    assert str(one.layers[0].digest) == "sha256:8759d8c58452eabdbc117617681b939fb5f437fe62981c0a5659a102a5882c91"
    assert str(one.digest) == "sha256:c037935f3c31fd3c2f71b94ce7d7188c34ffb0d6814d7f9d43545fcf32c6016f"
    assert str(both.digest) == "sha256:ae68ac1a818c50875f17bf66415a8baccdbf6b2b87f2f72b096c6491e9a2493a"


def test_the_order_in_which_files_are_given_is_no_argument() -> None:
    assert layer({path: FILES[path] for path in sorted(FILES, reverse=True)}) == layer(FILES)


def test_a_layer_holds_its_files_with_their_modes_and_one_time() -> None:
    found = {member.name: member for member in members(sample().layers[0].blob.data)}

    assert oct(found["usr/bin/su"].mode) == "0o4755"
    assert found["lib"].linkname == "usr/lib"
    assert found["srv/empty"].isdir()
    assert found["opt/" + "n" * 120 + "/é"].size == 4
    assert {(member.mtime, member.uid, member.uname) for member in found.values()} == {(1_686_355_200, 0, "")}


def test_a_directory_comes_before_what_is_in_it() -> None:
    names = [member.name for member in members(layer({"a/b/c": b""}).blob.data)]

    assert names == ["a", "a/b", "a/b/c"]


def test_whiteouts_and_opaques_are_written_as_the_specification_says() -> None:
    names = [member.name for member in members(sample().layers[0].blob.data)]

    assert {"var/cache/.wh.x", ".wh.top", "srv/.wh..wh..opq"} < set(names)


def test_digests_sizes_and_history_add_up() -> None:
    one = image([layer({"a": b"1"}, step="ADD a"), layer({"b": b"2"}, step="RUN b")])
    manifest, config = json.loads(one.manifest.data), json.loads(one.config.data)

    assert manifest["config"]["digest"] == str(Digest.of(one.config.data))
    assert [(each["digest"], each["size"]) for each in manifest["layers"]] == [
        (str(Digest.of(each.blob.data)), len(each.blob.data)) for each in one.layers
    ]
    assert config["rootfs"]["diff_ids"] == [str(Digest.of(gzip.decompress(each.blob.data))) for each in one.layers]
    assert [each["created_by"] for each in config["history"]] == ["ADD a", "RUN b"]


def test_an_index_names_each_image_with_its_platform() -> None:
    children = json.loads(index([sample(), sample("linux/arm64/v8")]).manifest.data)["manifests"]

    assert [each["platform"] for each in children] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
    ]


def test_a_layer_that_is_there_twice_is_one_blob() -> None:
    twice = layer({"a": b"1"})

    assert len(image([twice, twice]).blobs()) == 2


def test_a_layout_has_every_blob_under_its_digest(tmp_path: Path) -> None:
    both = index([sample(), sample("linux/arm64")])
    write_layout(tmp_path, {"1.0": both})

    named = json.loads((tmp_path / "index.json").read_text())["manifests"][0]["digest"]
    blobs = list(tmp_path.glob("blobs/sha256/*"))
    assert named == str(both.digest)
    assert len(blobs) == 6
    assert all(Digest.of(path.read_bytes()).hex == path.name for path in blobs)


@pytest.mark.parametrize("length", [0, 1, STORED_BLOCK - 1, STORED_BLOCK, STORED_BLOCK + 1, 3 * STORED_BLOCK])
def test_stored_gzip_unpacks_at_every_block_boundary(length: int) -> None:
    data = bytes(length)

    assert gzip.decompress(gzip_stored(data)) == data


@given(st.binary())
def test_stored_gzip_unpacks_to_what_went_in(data: bytes) -> None:
    assert gzip.decompress(gzip_stored(data)) == data
