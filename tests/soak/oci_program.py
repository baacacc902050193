"""The conformance program of the OCI distribution specification, on both stacks; run apart.

`ENTREPOT_TEST_CONFORMANCE=<the built program> pytest -n 0 -s tests/soak/oci_program.py`
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.real.replicas import Replicas
from tests.real.server import Server

PROGRAM: Final = os.environ.get("ENTREPOT_TEST_CONFORMANCE", "")
SECONDS: Final = 1_800
OPTIONS: Final = {
    "OCI_VERSION": "dev",
    "OCI_TLS": "disabled",
    "OCI_REPO1": "conf/repo1",
    "OCI_REPO2": "conf/repo2",
    "OCI_USERNAME": "admin",
    # Said by name, whatever the defaults of a later program are. Not switched on: OCI_DATA_SPARSE (registry.md 2.2).
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
    "OCI_API_REFERRER": "true",
    "OCI_DATA_SHA512": "true",
    "OCI_DATA_SPARSE": "false",
}


@pytest.fixture(params=["files", "replicas"])
def front(request: pytest.FixtureRequest) -> Server:
    """SQLite and files; three replicas on PostgreSQL and S3, one of them at random for each request."""
    if request.param == "files":
        server: Server = request.getfixturevalue("server")
        return server
    replicas: Replicas = request.getfixturevalue("shared_replicas")
    return replicas.front


def test_the_program_fails_nothing_and_skips_nothing(front: Server, tmp_path: Path) -> None:
    front.create_project("conf")
    token = front.api("POST", "/auth/tokens", {"name": "conformance"})["token"]
    environment = OPTIONS | {"OCI_REGISTRY": front.host, "OCI_PASSWORD": token, "OCI_RESULTS_DIR": str(tmp_path)}

    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)

    counts = {word: int(number) for word, number in re.findall(r"^ +(\w+)\.*: +(\d+)$", done.stdout, re.MULTILINE)}
    print(counts)
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts["Pass"] >= 986
    assert counts["FAIL"] == counts["Error"] == counts["Skip"] == 0, done.stdout[-4000:]
