import json
import logging

import pytest
import structlog

from entrepot.runtime.secret import HIDDEN, Secret
from entrepot.runtime.telemetry import logs


@pytest.fixture(autouse=True)
def restored() -> object:
    root = logging.getLogger()
    before, configured = (root.handlers, root.level), structlog.get_config()
    yield
    root.handlers, root.level = before
    structlog.configure(**configured)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_json_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    structlog.get_logger().info("tag.moved", tag="v1\nv2", count=3)

    (line,) = lines(capsys)
    assert list(line) == ["time", "level", "event", "tag", "count"]
    assert str(line.pop("time")).endswith("Z")
    assert line == {"level": "info", "event": "tag.moved", "tag": "v1\nv2", "count": 3}


def test_a_library_s_line_has_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("_granian").warning("worker %d left", 2)

    (line,) = lines(capsys)
    assert line["event"] == "worker 2 left"
    assert (line["level"], line["logger"]) == ("warning", "_granian")
    assert set(line) == {"time", "level", "event", "logger"}


def test_less_severe_lines_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("x").info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_what_sounds_secret_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    structlog.get_logger().info(
        "signed.in",
        password="hunter2",
        headers={"Authorization": "Basic hunter2", "accept": "x"},
        tried=[{"refresh_token": "hunter2"}, Secret("hunter2")],
        tokens=3,
        token="",
    )

    (line,) = lines(capsys)
    assert "hunter2" not in json.dumps(line)
    assert line["password"] == HIDDEN
    assert line["headers"] == {"Authorization": HIDDEN, "accept": "x"}
    assert (line["tokens"], line["token"]) == (3, "")


def test_an_error_has_its_traceback_without_local_values(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    local = "hunter" + "2"
    try:
        {0: 0}[len(local)]
    except KeyError:
        structlog.get_logger().exception("job.failed")

    (line,) = lines(capsys)
    assert "KeyError: 7" in str(line["exception"])
    assert "hunter2" not in str(line)
