"""skopeo reads what the builder writes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from entrepot.cli.demo.build import File, Symlink, image, index, layer, write_layout

SKOPEO = shutil.which("skopeo")
pytestmark = pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed: apt-get install skopeo")


def skopeo(*arguments: str) -> str:
    done = subprocess.run([str(SKOPEO), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_skopeo_inspects_and_copies_an_image_with_an_equal_digest(tmp_path: Path) -> None:
    built = image([layer({"bin/sh": File(b"#!", 0o755), "sh": Symlink("bin/sh")}, step="ADD sh")], labels={"a": "b"})
    write_layout(tmp_path / "layout", {"1.0": built})

    seen = json.loads(skopeo("inspect", f"oci:{tmp_path}/layout:1.0"))
    skopeo("--insecure-policy", "copy", f"oci:{tmp_path}/layout:1.0", f"dir:{tmp_path}/copy")

    assert (seen["Digest"], seen["Layers"]) == (str(built.digest), [str(built.layers[0].digest)])
    assert (seen["Architecture"], seen["Os"], seen["Labels"]) == ("amd64", "linux", {"a": "b"})
    assert (tmp_path / "copy" / "manifest.json").read_bytes() == built.manifest.data


def test_skopeo_copies_an_index_with_all_its_images(tmp_path: Path) -> None:
    built = index([image([layer({"a": b"1"})], platform=f"linux/{name}") for name in ("amd64", "arm64")])
    write_layout(tmp_path / "layout", {"1.0": built})

    skopeo("--insecure-policy", "copy", "--all", f"oci:{tmp_path}/layout:1.0", f"dir:{tmp_path}/copy")

    assert (tmp_path / "copy" / "manifest.json").read_bytes() == built.manifest.data
    assert len(list((tmp_path / "copy").glob("*.manifest.json"))) == 2
