"""What a server says of itself, after everything that can be done to it: each series as declared, and true."""

import fcntl
import os
import time

from tests.real.metrics import assert_only_declared, series
from tests.real.protocol import Registry
from tests.real.server import Credential, Server

HOSTILE = ("PROPFIND", "GET", "get", "X" * 30)


def scraped(server: Server) -> dict[str, float]:
    """The series of *server*, as `name{label=value,…}`."""
    text = server.http.request("GET", f"{server.url}/metrics").data.decode()
    assert_only_declared(text)
    return {f"{name}{','.join(map('='.join, labels))}": value for (name, labels), value in series(text).items()}


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

    assert not [name for name in found if "secret" in name or "shop" in name]
    assert found["entrepot_http_requests_totalcode=200,method=GET,route=manifests"] >= 1
    assert found["entrepot_http_requests_totalcode=401,method=GET,route=api"] == 2
    assert found["entrepot_http_request_duration_seconds_countroute=manifests"] >= 2
    assert found["entrepot_database_up"] == 1
    assert found["entrepot_jobsqueue=verdict,state=done"] >= 1
    assert found["entrepot_jobs_oldest_secondsqueue=layer"] == 0
    assert sum(value for name, value in found.items() if name.startswith("entrepot_scansstatus=")) == 1
    assert 0 <= found["entrepot_key_age_secondskey=token"] < 600
    assert [name for name in found if name.startswith("entrepot_build_infoversion=")]


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
