"""How long each list call takes: on a site of 1,000 tags and on one of 100,000, over HTTP, one after another.

    python -m benchmarks.web.lists --rounds 40

Prints one JSON line per call and site: p50 and p95 in milliseconds. Design: product.md, section 6 (p95 < 300 ms).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from benchmarks.web.seed import seed
from tests.real.server import Server, new_server, running

SITES: Final = {"1,000 tags": (20, 1_000), "100,000 tags": (2_000, 100_000)}
LARGE: Final = "team-00/service-0000"
CALLS: Final = (
    "/projects",
    "/projects?sort=-repositories&count=true",
    "/repositories",
    "/repositories?limit=1000&count=true",
    "/repositories?sort=-pushed_at",
    "/repositories?sort=-tags",
    "/repositories?sort=-pulled_at&filter=" + quote("pulled_at<30d and name~service"),
    "/repositories?count=true&filter=" + quote("tags>10 and not pushed_at>400d"),
    f"/repositories/{LARGE}/-/tags",
    f"/repositories/{LARGE}/-/tags?limit=1000&count=true",
    f"/repositories/{LARGE}/-/tags?sort=natural&count=true",
    f"/repositories/{LARGE}/-/tags?sort=-moved_at&count=true",
    f"/repositories/{LARGE}/-/tags?count=true&filter=" + quote("locked=true or name~9.9"),
    f"/repositories/{LARGE}/-/tags/0.0.1/history",
    f"/repositories/{LARGE}/-/artifacts/0.0.1",
    f"/repositories/{LARGE}/-/artifacts/0.0.1/packages",
    f"/repositories/{LARGE}/-/artifacts/0.0.1/findings?filter=" + quote("severity>=high"),
    "/projects/team-00/operations?sort=-at&count=true",
    "/operations?filter=" + quote("state=open and kind=tag") + "&count=true",
    "/projects/team-00/robots",
    "/projects/team-00/quota",
    "/jobs?count=true",
    "/audit",
    "/audit?count=true",
    "/audit?sort=at&limit=1000",
    "/audit?count=true&filter=" + quote(f"repository={LARGE} and action=manifest.pushed"),
    "/audit?filter=" + quote("project=team-07"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", choices=SITES, default=None)
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for site, (repositories, tags) in SITES.items():
        if given.only in {None, site}:
            found[site] = measure(site, repositories, tags, given.rounds)
    if len(found) == len(SITES):
        small, large = found.values()
        print(json.dumps({"worst_ratio_of_p95": {call: round(large[call] / small[call], 2) for call in large}}))


def measure(site: str, repositories: int, tags: int, rounds: int) -> dict[str, float]:
    """The p95 of each call, in milliseconds; printed with the p50."""
    with tempfile.TemporaryDirectory() as folder:
        server = new_server(Path(folder) / "site")
        with running(server):
            server.stop()
            counts = seed(f"sqlite:///{server.data / 'entrepot.db'}", repositories, tags)
            print(json.dumps({"site": site, "rows": counts}), flush=True)
            server.start()
            return {call: timed(server, site, call, rounds) for call in CALLS}


def timed(server: Server, site: str, call: str, rounds: int) -> float:
    server.api("GET", call)  # the first answer loads what the others share
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = server.request("GET", f"/api/v1{call}")
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, answer.data
    took.sort()
    p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    print(json.dumps({"site": site, "call": call, "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}), flush=True)
    return p95


if __name__ == "__main__":
    main()
