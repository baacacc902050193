"""The demo's steps: a server, advisories, a vulnerable image refused, its fixed successor pulled, the record of it.

Each step asks the server as any client would, over HTTP, and yields lines of the report. What a step needs of an
earlier one is in `Demo`. A step that can't go on raises an EntrepotError; the claims after it are then not made.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.resources import as_file, files
from typing import Final

from entrepot.cli.client import Client, artifact_path, project_path
from entrepot.cli.demo.build import Image
from entrepot.cli.demo.clients import installed
from entrepot.cli.demo.images import shop_web
from entrepot.cli.demo.registry import Pushed, RegistryError
from entrepot.cli.demo.report import Line
from entrepot.cli.demo.scene import ADMIN, NEW, OLD, PROJECT, Demo
from entrepot.cli.demo.server import DemoServer
from entrepot.cli.demo.stages import stages
from entrepot.cli.http import basic
from entrepot.cli.output import Item, duration, plain
from entrepot.oci.reference import Reference
from entrepot.runtime.shown import byte_size
from entrepot.scanning.model import Severity

VERDICT_SECONDS: Final = 30.0
AUDIT_SECONDS: Final = 5.0
DENIED: Final = "denied"


def prepare(server: DemoServer) -> Demo:
    """The administrator signed in, the images built. Raises as Client.post, and UnavailableError."""
    password = Client(server.http, basic(ADMIN, server.admin_password()))
    token = password.post("/auth/tokens", {"name": "demo", "days": 1})["token"]
    return Demo(server, Client(server.http, f"Bearer {token}"), *shop_web())


def steps(demo: Demo) -> Iterator[Line]:
    """Every line of the demo, each as soon as it is known. Raises the first error that lets nothing follow."""
    yield _started(demo)
    yield _advisories(demo)
    yield from _project(demo)
    pushed = demo.registry("ci").push(OLD, demo.old)
    yield _push(demo.old, pushed, OLD, shared=False)
    yield _judged(demo, OLD, pushed, wanted="block")
    yield _findings(demo)
    yield _refused(demo)
    yield _read_back(demo)
    yield from _refused_by_others(demo)
    pushed = demo.registry("ci").push(NEW, demo.new)
    yield _push(demo.new, pushed, NEW, shared=True)
    yield _judged(demo, NEW, pushed, wanted="pass")
    yield _pulled(demo)
    yield from _pulled_by_others(demo)
    yield from _recorded(demo)
    yield from stages(demo)


def _started(demo: Demo) -> Line:
    took = demo.server.ready_seconds
    shown = f"{demo.server.url} in {duration(timedelta(seconds=took))}"
    return Line("a server starts from an empty folder", shown, held=True, figures={"ready_ms": round(took * 1000)})


def _advisories(demo: Demo) -> Line:
    begun = time.monotonic()
    with as_file(files("entrepot.cli.demo") / "data" / "advisories.jsonl.zst") as extract:
        job = demo.api.upload("/feeds", extract, {"source": "demo"})["job"]
    demo.api.wait_for_job(str(job))
    took = time.monotonic() - begun
    feed = next((item for item in demo.api.items("/feeds") if item.get("source") == "demo"), {})
    records = feed.get("records")
    shown = f"{records} records, built {feed.get('built_at')}, in {duration(timedelta(seconds=took))}"
    return Line(
        "real advisories are imported from a file",
        shown,
        held=isinstance(records, int) and records > 0,
        figures={"records": records, "import_ms": round(took * 1000)},
    )


def _project(demo: Demo) -> Iterator[Line]:
    demo.api.post("/projects", {"name": PROJECT})
    policy_path = f"{project_path(PROJECT)}/policy"
    changed = demo.api.change("PUT", f"{project_path(PROJECT)}/policy/mode", {"mode": "enforce"}, policy_path)
    if changed.get("job"):
        demo.api.wait_for_job(str(changed["job"]))
    policy = demo.api.get(policy_path)
    shown = f"policy {policy.get('policy')}, mode {policy.get('mode')}"
    yield Line(f"project {PROJECT} enforces its policy", shown, held=policy.get("mode") == "enforce")
    for name, role in (("ci", "developer"), ("puller", "viewer")):
        robot = demo.api.post(f"{project_path(PROJECT)}/robots", {"name": name, "role": role, "days": 1})
        demo.robots[name] = str(robot["login"]), str(robot["secret"])
    logins = ", ".join(login for login, _ in demo.robots.values())
    yield Line("two robots: one pushes, one may only pull", logins, held=True)


def _push(image: Image, pushed: Pushed, reference: Reference, *, shared: bool) -> Line:
    shown = f"{byte_size(pushed.sent_bytes)} sent, {byte_size(pushed.skipped_bytes)} not sent"
    if pushed.skipped_blobs:
        shown += f" ({pushed.skipped_blobs} shared layer)"
    figures = {"sent_bytes": pushed.sent_bytes, "not_sent_bytes": pushed.skipped_bytes, "digest": str(pushed.digest)}
    claim = f"{reference} is pushed" + (", the layer it shares is not sent again" if shared else "")
    held = pushed.digest == image.digest and pushed.sent_bytes > 0 and bool(pushed.skipped_blobs) == shared
    return Line(claim, shown, held, figures)


def _judged(demo: Demo, reference: Reference, pushed: Pushed, *, wanted: str) -> Line:
    scan = demo.api.wait_for_scan(reference, VERDICT_SECONDS, _silent)
    took = time.monotonic() - pushed.done
    reasons = scan.get("reasons") or ()
    shown = f"{scan.get('outcome')} after {duration(timedelta(seconds=took))}, scan {scan.get('status')}"
    shown += f" {reasons}" if reasons else ""
    held = scan.get("outcome") == wanted and scan.get("status") == "complete"
    figures = {"verdict_ms": round(took * 1000), "outcome": scan.get("outcome"), "status": scan.get("status")}
    return Line(f"{reference} is analysed whole and judged: {wanted}", shown, held, figures)


def _findings(demo: Demo) -> Line:
    """By severity, and by the layer that brought them: the base and Jinja2 must both be named."""
    found = list(demo.api.items(f"{artifact_path(OLD)}/findings"))
    counted = [item for item in found if item.get("counted")]
    by_layer = {
        f"layer {layer}": by_severity([item for item in counted if item.get("layer") == layer])
        for layer in sorted({int(str(item.get("layer"))) for item in counted})
    }
    shown = "; ".join(f"{layer}: " + listed(counts) for layer, counts in by_layer.items())
    jinja = any(item.get("layer") == 2 and str(item.get("package")).lower() == "jinja2" for item in counted)
    critical = any(item.get("layer") == 0 and item.get("severity") == Severity.CRITICAL for item in counted)
    figures = {"all": by_severity(counted), "by_layer": by_layer, "not_counted": len(found) - len(counted)}
    return Line(f"{OLD}: findings by severity and layer", shown or "none", held=jinja and critical, figures=figures)


def _refused(demo: Demo) -> Line:
    claim = f"the pull of {OLD} by {demo.robots['puller'][0]} is refused with a reason"
    try:
        demo.registry("puller").pull(OLD)
    except RegistryError as error:
        held = (error.status, error.code) == (403, "DENIED") and error.message.startswith("blocked by policy")
        figures = {"status": error.status, "code": error.code, "text": error.message}
        return Line(claim, f"{error.status} {error.code}: {error.message}", held, figures)
    return Line(claim, "it was served", held=False)


def _read_back(demo: Demo) -> Line:
    pulled = demo.registry("ci").pull(OLD)
    shown = f"{byte_size(pulled.received_bytes)}, digests equal"
    return Line(f"who pushed {OLD} can read it back", shown, held=pulled.digest == demo.old.digest)


def _refused_by_others(demo: Demo) -> Iterator[Line]:
    """The same refusal through the programs people use: they must fail, and print the rule's text."""
    expected = str(demo.api.get(f"{artifact_path(OLD)}/scan").get("text") or "blocked by policy")
    for client in installed(demo.server.folder / "refused", demo.server.host, *demo.robots["puller"]):
        claim = f"{client.program} prints the same refusal"
        works = client.works()
        if not works.succeeded:
            yield Line(claim, f"{client.program} does not run here: {works.printed[-200:]}", held=None)
            continue
        attempt = client.pull(str(OLD))
        yield Line(claim, attempt.printed, not attempt.succeeded and plain(expected) in attempt.printed)


def _pulled(demo: Demo) -> Line:
    begun = time.monotonic()
    pulled = demo.registry("puller").pull(NEW)
    took = time.monotonic() - begun
    shown = f"{byte_size(pulled.received_bytes)} in {duration(timedelta(seconds=took))}, digests equal"
    figures = {"received_bytes": pulled.received_bytes, "pull_ms": round(took * 1000)}
    claim = f"the fixed {NEW} is pulled by {demo.robots['puller'][0]}"
    return Line(claim, shown, pulled.digest == demo.new.digest, figures)


def _pulled_by_others(demo: Demo) -> Iterator[Line]:
    for client in installed(demo.server.folder / "pulled", demo.server.host, *demo.robots["puller"]):
        if client.works().succeeded:
            attempt = client.pull(str(NEW))
            shown = "pulled" if attempt.succeeded else attempt.printed
            yield Line(f"{client.program} pulls {NEW}", shown, attempt.succeeded)


def _recorded(demo: Demo) -> Iterator[Line]:
    """Who pushed, who was refused, who pulled. Pulls are spooled: the record has them within a second or so."""
    ci, puller = demo.robots["ci"][0], demo.robots["puller"][0]
    wanted = {
        f"on record: {ci} pushed {OLD}": (ci, demo.old, OLD, False, "push"),
        f"on record: {puller} was refused {OLD}": (puller, demo.old, OLD, True, ""),
        f"on record: {puller} pulled {NEW}": (puller, demo.new, NEW, False, "pull"),
    }
    end = time.monotonic() + AUDIT_SECONDS
    while True:
        events = list(demo.api.items("/audit", {"repository": OLD.name}))
        found = {claim: matching(events, *facts) for claim, facts in wanted.items()}
        if all(found.values()) or time.monotonic() > end:
            break
        time.sleep(0.05)
    for claim, event in found.items():
        shown = f"{event['at']} {event['actor']} {event['action']} {event['outcome']}" if event else "no such event"
        yield Line(claim, shown, held=bool(event), figures={"event": event.get("id")})


def matching(
    events: Sequence[Item], actor: str, image: Image, reference: Reference, refused: bool, action: str
) -> Item:
    """The first of *events* by *actor* on *image*, named by tag or digest, that was *refused* or not; else {}."""
    for event in events:
        meant = event.get("reference") == reference.wanted() or event.get("digest") == str(image.digest)
        by = meant and str(event.get("actor")).endswith(actor)
        if by and (event.get("outcome") == DENIED) == refused and action in str(event.get("action")):
            return event
    return {}


def by_severity(findings: Sequence[Item]) -> dict[str, int]:
    """How many there are of each severity, worst first, those that are there."""
    counts = Counter(str(item.get("severity")) for item in findings)
    return {severity.value: counts[severity] for severity in reversed(Severity) if counts[severity]}


def listed(counts: dict[str, int]) -> str:
    """*counts* for people: `4 critical, 13 high`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _silent(_state: str) -> None:
    """Each line is shown when it is known."""
