"""What a server says of itself, after everything that can be done to it: each series as declared, and true."""

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

import urllib3

from entrepot.settings import Settings
from tests.real.metrics import assert_only_declared, series
from tests.real.protocol import Registry, sha256
from tests.real.server import Credential, Server

HOSTILE = ("PROPFIND", "GET", "get", "X" * 30)


def scraped(server: Server) -> dict[str, float]:
    """The series of *server*, as `name{label=value,…}`."""
    text = server.http.request("GET", f"{server.url}/metrics").data.decode()
    assert_only_declared(text)
    return {f"{name}{','.join(map('='.join, labels))}": value for (name, labels), value in series(text).items()}


def parent(pid: int) -> int:
    """The process that started *pid*."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_was_done_is_counted_and_no_name_of_it_is_in_a_label(server: Server) -> None:
    server.create_project("shop")
    client = Registry(server.host).as_(server.create_robot("shop", "ci"))
    client.push_image("shop/secret-name", "v1")
    server.wait_for_scan("shop/secret-name", "v1")
    for method in HOSTILE:
        server.http.request(method, f"{server.url}/v2/shop/secret-name/blobs/{method}")
        server.http.request(method, f"{server.url}/{method}/%00secret-name")
    for login in ("admin", "secret-name"):
        server.request("GET", "/api/v1/whoami", credential=Credential(login, "wrong"))
    client.ask("GET", "/v2/shop/secret-name/manifests/v1")

    found = scraped(server)

    assert not [name for name in found if "secret-name" in name or "shop" in name]
    assert found["entrepot_http_requests_totalcode=200,method=GET,route=manifests"] >= 1
    assert found["entrepot_http_requests_totalcode=401,method=GET,route=api"] == 2
    assert found["entrepot_http_request_duration_seconds_countroute=manifests"] >= 2
    assert found["entrepot_push_duration_seconds_countphase=manifest"] == 1
    assert found["entrepot_push_duration_seconds_countphase=finish"] == 2
    assert found["entrepot_job_duration_seconds_countjob=scan.layer,state=done"] >= 2
    assert found["entrepot_scan_duration_seconds_countengine=analyser,status=partial"] >= 1
    assert found["entrepot_scan_duration_seconds_countengine=matcher,status=partial"] == 1
    assert found["entrepot_policy_decisions_totaleffect=warn,mode=monitor,rule=scan"] == 1
    assert found["entrepot_database_connectionsuse=write"] in {0, 1}
    assert found["entrepot_database_up"] == 1
    assert found["entrepot_jobsqueue=verdict,state=done"] >= 1
    assert found["entrepot_jobs_oldest_secondsqueue=layer"] == 0
    assert sum(value for name, value in found.items() if name.startswith("entrepot_scansstatus=")) == 1
    assert 0 <= found["entrepot_key_age_secondskey=token"] < 600
    assert [name for name in found if name.startswith("entrepot_build_infoversion=")]


def test_one_pull_in_64_says_where_its_time_goes(shared_server: Server) -> None:
    shared_server.create_project("sampled")
    client = Registry(shared_server.host).as_(shared_server.create_robot("sampled", "ci"))
    client.push_image("sampled/web", "v1", [b"layer"])
    wanted = {
        "entrepot_pull_duration_seconds_countphase=auth,source=secret",
        "entrepot_pull_duration_seconds_countphase=manifest,source=database",
        "entrepot_pull_duration_seconds_countphase=blob_ttfb,source=memory",
        "entrepot_pull_duration_seconds_countphase=blob_total,source=memory",
    }

    before = scraped(shared_server)
    counts: dict[str, float] = {}
    asked = 0
    while not all(counts.get(name) for name in wanted) and asked < 2_000:
        for _ in range(64):
            client.ask("GET", "/v2/sampled/web/manifests/v1")
            client.ask("GET", f"/v2/sampled/web/blobs/{sha256(b'layer')}")
        asked += 128
        counts = {
            name: value - before.get(name, 0)
            for name, value in scraped(shared_server).items()
            if name.startswith("entrepot_pull_duration_seconds_count")
        }

    assert all(counts.get(name) for name in wanted)
    assert sum(counts[name] for name in wanted if "ttfb" in name or "manifest" in name) < asked / 16
    assert sum(value for name, value in counts.items() if "auth" in name) == sum(
        value for name, value in counts.items() if "auth" not in name and "ttfb" not in name
    )


def test_tokens_are_counted_by_what_came_of_the_wish(shared_server: Server) -> None:
    shared_server.create_project("wishes")
    robot = shared_server.create_robot("wishes", "ci")
    own, other = "scope=repository:wishes/web:pull", "scope=repository:elsewhere/web:pull"
    before = scraped(shared_server)

    def ask(query: str, credential: Credential) -> None:
        headers = urllib3.make_headers(basic_auth=f"{credential.login}:{credential.secret}")
        shared_server.http.request("GET", f"{shared_server.url}/v2/auth?{query}", headers=headers)

    ask(own, robot)
    ask(f"{own}&{other}", robot)
    ask("scope=nonsense", robot)
    ask(own, Credential(robot.login, "wrong"))

    after = {name: value for name, value in scraped(shared_server).items() if "_tokens_total" in name}
    assert {name.partition("total")[2]: value - before.get(name, 0) for name, value in after.items()} == {
        "reason=all,result=issued": 1,
        "reason=cut,result=issued": 1,
        "reason=scope,result=refused": 1,
        "reason=credentials,result=refused": 1,
    }


def test_what_a_killed_process_held_is_not_there_any_more(server: Server) -> None:
    folder = Settings(data=server.data).metrics

    def held() -> set[int]:
        with contextlib.suppress(urllib3.exceptions.HTTPError):  # it may be the killed one that was asked
            server.http.request("GET", f"{server.url}/metrics")
        return {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}

    web = {pid for pid, line in server.processes().items() if "--role web" in line}
    workers = {pid for pid in web & held() if parent(pid) in web}
    victim = min(workers)
    os.kill(victim, signal.SIGKILL)
    server.wait_until("its gauges are gone", lambda: victim not in held(), 10)

    assert workers - {victim} < held()


def test_numbers_of_rows_are_those_that_the_api_gives(server: Server) -> None:
    server.create_project("shop")
    client = Registry(server.host).as_(server.create_robot("shop", "ci"))
    for tag in ("v1", "v2"):
        client.push_image("shop/web", tag)
        server.wait_for_scan("shop/web", tag)

    found = scraped(server)

    gates = {name.partition("=")[2]: value for name, value in found.items() if name.startswith("entrepot_gates")}
    assert sum(gates.values()) == 1  # both tags name one digest
    storage = server.api("GET", "/storage")
    assert found["entrepot_storage_bytesclass=physical"] == storage["physical"] > 0
    jobs = server.items("/jobs?state=done")
    counted = sum(value for name, value in found.items() if name.startswith("entrepot_jobs") and "state=done" in name)
    assert counted <= len(jobs)


def test_a_spool_that_is_not_taken_over_is_seen_and_so_is_a_damaged_one(server: Server) -> None:
    spool = server.data / "spool"
    held = spool / "00000000000000000000000000.new"
    held.write_text("{}\n")
    (spool / "1.damaged").write_text("")
    os.utime(held, (time.time() - 900, time.time() - 900))
    descriptor = os.open(held, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        held.rename(held.with_suffix(".jsonl"))
        found = scraped(server)
    finally:
        held.with_suffix(".jsonl").unlink()
        os.close(descriptor)

    assert 900 <= found["entrepot_audit_spool_oldest_seconds"] < 1_000
    assert found["entrepot_audit_damaged_files"] == 1
