"""Four megabytes of malice as a manifest: refused in bounded time and memory. Design: registry.md 11, block G."""

import json
import subprocess
import sys
from typing import Final

import pytest

MEMORY_BYTES: Final = 512 * 2**20
CPU_SECONDS: Final = 1.0
# Reads a body from stdin and prints the CPU seconds that its refusal took, the best of three.
CHILD: Final = """
import resource, sys, time
from entrepot.oci.errors import ManifestInvalidError
from entrepot.oci.manifest import Manifest
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
body, best = sys.stdin.buffer.read(), 99.0
for _ in range(3):
    started = time.process_time()
    try:
        Manifest.parse(body, "application/vnd.oci.image.manifest.v1+json")
    except ManifestInvalidError:
        best = min(best, time.process_time() - started)
print(best)
"""
DESCRIPTOR: Final = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{'0' * 64}", "size": 1}
BODIES: Final = {
    "brackets": b"[" * 4_000_000,
    "deep": b'{"a":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
    "objects": b'{"a":[' + b"{}," * 1_390_000 + b"{}]}",
    "lists": b'{"a":[' + b"[]," * 1_390_000 + b"[]]}",
    "numbers": b'{"a":[' + b"1," * 2_090_000 + b"1]}",
    "reals": b'{"a":[' + b"1e1," * 1_040_000 + b"1]}",
    "one number": b'{"a":' + b"9" * 4_000_000 + b"}",
    "keys": b"{" + b",".join(b'"%x":1' % number for number in range(420_000)) + b"}",
    "escapes": b'{"a":"' + b"\\u00e9" * 690_000 + b'"}',
    "layers": json.dumps(
        {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR] * 25_000}, separators=(",", ":")
    ).encode(),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_hostile_manifest_is_refused_within_a_second_and_512_mib(case: str) -> None:
    assert len(BODIES[case]) <= 4 * 2**20

    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(MEMORY_BYTES)], input=BODIES[case], capture_output=True, check=False
    )

    assert child.returncode == 0, child.stderr.decode()[-2000:]
    print(f"{case}: {float(child.stdout):.2f} s of CPU")
    assert float(child.stdout) < CPU_SECONDS
