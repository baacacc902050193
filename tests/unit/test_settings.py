import os
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from entrepot.runtime.secret import HIDDEN
from entrepot.settings import KEYS, Settings, SettingsInvalidError, describe, hide_userinfo, load

PLANTED = "hunter2"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("ENTREPOT_"):
            monkeypatch.delenv(name)


def toml(folder: Path, text: str) -> None:
    (folder / "entrepot.toml").write_text(text)


def secret(folder: Path, name: str, text: str) -> None:
    (folder / "secrets.d").mkdir(exist_ok=True)
    (folder / "secrets.d" / name).write_text(text)


def faults(folder: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalidError) as caught:
        load(data=folder)
    return caught.value.faults


def test_an_empty_folder_is_a_working_server(tmp_path: Path) -> None:
    settings = load(data=tmp_path).settings

    assert settings.listen == ("127.0.0.1", 5000)
    assert settings.external_url == "http://127.0.0.1:5000"
    assert settings.database_url.reveal() == f"sqlite:///{tmp_path}/entrepot.db"
    assert settings.storage_url.reveal() == f"file://{tmp_path}/blobs"
    assert settings.web_workers >= 1
    assert settings.analysers >= 1


def test_without_a_word_the_data_is_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load().settings.data == tmp_path / "entrepot-data"


def test_the_stronger_source_wins_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, '[server]\nlisten = "127.0.0.1:1"\ndrain = "1s"\nbody_drain = "1s"\nweb_workers = 1\n')
    secret(tmp_path, "server__drain", "2s\n")
    secret(tmp_path, "server__body_drain", "2s\n")
    secret(tmp_path, "server__listen", "127.0.0.1:2\n")
    monkeypatch.setenv("ENTREPOT_SERVER__BODY_DRAIN", "3s")
    monkeypatch.setenv("ENTREPOT_SERVER__LISTEN", "127.0.0.1:3")

    server = load({"server.listen": "127.0.0.1:4"}, data=tmp_path).settings.server

    assert server.web_workers == 1
    assert server.drain == timedelta(seconds=2)
    assert server.body_drain == timedelta(seconds=3)
    assert server.listen == "127.0.0.1:4"


def test_sizes_and_durations_are_written_with_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, '[server.limits]\nmanifest_bytes = "2MiB"\nblob_bytes = 1000\n[jobs]\npoll = "20ms"\n')
    monkeypatch.setenv("ENTREPOT_SERVER__LIMITS__API_BODY_BYTES", "64KiB")
    monkeypatch.setenv("ENTREPOT_ACCESS__TOKEN_TTL", "2m")

    settings = load(data=tmp_path).settings

    assert settings.server.limits.manifest_bytes == 2_097_152
    assert settings.server.limits.blob_bytes == 1000
    assert settings.server.limits.api_body_bytes == 65_536
    assert settings.jobs.poll == timedelta(milliseconds=20)
    assert settings.access.token_ttl == timedelta(minutes=2)


def test_every_fault_of_every_source_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(
        tmp_path,
        f'data = "{PLANTED}"\n[server]\nlistn = "{PLANTED}"\n[telemetry]\nlog_level = "{PLANTED}"\n[jobs]\npoll = 5\n',
    )
    secret(tmp_path, "database__ur", PLANTED)
    monkeypatch.setenv("ENTREPOT_SERVER__DRAIN", PLANTED)
    monkeypatch.setenv("ENTREPOT_SERVER__WEB_WORKERS", PLANTED)
    monkeypatch.setenv("ENTREPOT_SERVER__LISTEN", PLANTED)
    monkeypatch.setenv("ENTREPOT_SERVER__LIMITS__BLOB_BYTES", PLANTED)
    monkeypatch.setenv("ENTREPOT_SERVR__DRAIN", PLANTED)

    told = "\n".join(faults(tmp_path))

    assert "data is set by --data or ENTREPOT_DATA only" in told
    assert "unknown name server.listn; did you mean server.listen?" in told
    assert "secrets folder: unknown name database__ur; did you mean database__url?" in told
    assert "environment: unknown name ENTREPOT_SERVR__DRAIN; did you mean ENTREPOT_SERVER__DRAIN?" in told
    assert f"telemetry.log_level ({tmp_path}/entrepot.toml: telemetry.log_level)" in told
    assert "jobs.poll" in told
    assert "server.drain (environment: ENTREPOT_SERVER__DRAIN): write a duration such as" in told
    assert "server.listen (environment: ENTREPOT_SERVER__LISTEN): write an IP address and a port" in told
    assert "server.limits.blob_bytes (environment: ENTREPOT_SERVER__LIMITS__BLOB_BYTES): write a size" in told
    assert "server.web_workers (environment: ENTREPOT_SERVER__WEB_WORKERS)" in told
    assert len(told.splitlines()) == 10


def test_no_fault_holds_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, f'[database]\nurl = ["{PLANTED}"]\n[server]\nlimits = "{PLANTED}"\nexternal_url = "{PLANTED}"\n')
    monkeypatch.setenv("ENTREPOT_SERVER", '{"drain": "' + PLANTED)
    monkeypatch.setenv("ENTREPOT_TELEMETRY__LOG_LEVEL", PLANTED)

    told = faults(tmp_path)

    assert told
    assert PLANTED not in "\n".join(told)


def test_a_value_that_is_no_toml_is_not_shown(tmp_path: Path) -> None:
    toml(tmp_path, f"[database]\nurl = {PLANTED}\n")

    assert "cannot be read as TOML" in faults(tmp_path)[0]
    assert PLANTED not in "".join(faults(tmp_path))


def test_a_section_given_as_one_value_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTREPOT_SERVER", '{"listen": "0.0.0.0:80"}')

    assert faults(tmp_path) == ("environment: unknown name ENTREPOT_SERVER; did you mean ENTREPOT_SERVER__LISTEN?",)


@pytest.mark.parametrize(
    "name",
    [
        "ENTREPOT_URL",
        "ENTREPOT_USERNAME",
        "ENTREPOT_PASSWORD",
        "ENTREPOT_TEST_DATABASE",
    ],
)
def test_the_names_of_the_client_and_of_tests_are_known(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")

    assert load(data=tmp_path).settings == Settings(data=tmp_path)


def test_places_are_taken_from_flags_before_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "s").mkdir(parents=True)
        (tmp_path / name / "c.toml").write_text(f'[storage]\nurl = "file:///{name}"\n')
        (tmp_path / name / "s" / "database__url").write_text(f"sqlite:///{name}")
    monkeypatch.setenv("ENTREPOT_DATA", str(tmp_path / "a"))
    monkeypatch.setenv("ENTREPOT_CONFIG", str(tmp_path / "a" / "c.toml"))
    monkeypatch.setenv("ENTREPOT_SECRETS_DIR", str(tmp_path / "a" / "s"))

    by_variable = load().settings
    b = tmp_path / "b"
    by_flag = load(data=b, config=b / "c.toml", secrets_dir=b / "s").settings

    assert (by_variable.data, by_flag.data) == (tmp_path / "a", b)
    assert (by_variable.storage.url.reveal(), by_flag.storage.url.reveal()) == ("file:///a", "file:///b")
    assert (by_variable.database.url.reveal(), by_flag.database.url.reveal()) == ("sqlite:///a", "sqlite:///b")


def test_a_named_file_or_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError) as caught:
        load(data=tmp_path, config=tmp_path / "no.toml", secrets_dir=tmp_path / "no")

    assert caught.value.faults == (
        f"flag: --config: {tmp_path}/no.toml is no file",
        f"flag: --secrets-dir: {tmp_path}/no is no folder",
    )


def test_what_kubernetes_keeps_in_a_secret_volume_is_no_name(tmp_path: Path) -> None:
    version = tmp_path / "secrets.d" / "..2026"
    version.mkdir(parents=True)
    (version / "database__url").write_text("sqlite:///x")
    (tmp_path / "secrets.d" / "..data").symlink_to("..2026")
    (tmp_path / "secrets.d" / "database__url").symlink_to("..data/database__url")

    assert load(data=tmp_path).settings.database.url.reveal() == "sqlite:///x"


def test_a_description_says_where_a_value_is_set_and_hides_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTREPOT_DATABASE__URL", f"postgresql://me:{PLANTED}@db:5432/entrepot")
    monkeypatch.setenv("ENTREPOT_SERVER__LIMITS__MANIFEST_BYTES", "4194305")

    rows = {row.name: row for row in describe(load({"server.drain": "90s"}, data=tmp_path))}

    assert rows["database.url"].value == f"postgresql://{HIDDEN}@db:5432/entrepot"
    assert rows["database.url"].source == "environment: ENTREPOT_DATABASE__URL"
    assert (rows["server.drain"].value, rows["server.drain"].source) == ("90s", "flag: server.drain")
    assert (rows["server.body_drain"].value, rows["server.body_drain"].source) == ("5m", "default")
    assert rows["server.limits.manifest_bytes"].value == "4194305"
    assert rows["data"].source == "flag: --data"
    assert PLANTED not in repr(rows)


def test_a_tree_that_is_printed_hides_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTREPOT_DATABASE__URL", f"postgresql://me:{PLANTED}@db/x")

    settings = load(data=tmp_path).settings

    assert PLANTED not in f"{settings!r} {settings} {settings.database}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ("s3://key:secret@bucket/x", f"s3://{HIDDEN}@bucket/x"),
        ("s3://bucket?secret=x", HIDDEN),
        ("just-a-password", HIDDEN),
        ("http://[bad", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert hide_userinfo(url) == shown


@pytest.mark.parametrize(
    "listen", ["", "5000", ":5000", "example.org:80", "1.2.3.4", "1.2.3.4:65536", "::1:80", "[1.2.3.4]:80"]
)
def test_an_address_that_cannot_be_listened_on_is_refused(listen: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError, match=r"server\.listen"):
        load({"server.listen": listen}, data=tmp_path)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("localhost:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("192.0.2.7:5000", ("192.0.2.7", 5000))],
)
def test_an_address_is_an_ip_address_and_a_port(listen: str, expected: tuple[str, int], tmp_path: Path) -> None:
    assert load({"server.listen": listen}, data=tmp_path).settings.listen == expected


@pytest.mark.parametrize("listen", ["0.0.0.0:5000", "[::]:5000"])
def test_an_address_for_all_needs_the_one_that_clients_use(listen: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError, match=r"server\.external_url"):
        load({"server.listen": listen}, data=tmp_path)
    named = load({"server.listen": listen, "server.external_url": "https://registry.example.org"}, data=tmp_path)

    assert named.settings.external_url == "https://registry.example.org"


@pytest.mark.parametrize("url", ["registry.example.org", "ftp://x", "https://x/path", "https://me:pw@x", "https://x?a"])
def test_an_external_url_is_scheme_and_host(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalidError, match=r"server\.external_url"):
        load({"server.external_url": url}, data=tmp_path)


def test_a_tree_built_directly_reads_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTREPOT_SERVER__LISTEN", "127.0.0.1:9")

    assert Settings(data=tmp_path).server.listen == "127.0.0.1:5000"


def test_a_tree_does_not_change(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        settings.data = tmp_path / "elsewhere"

    assert settings.data == tmp_path


def test_every_setting_has_a_summary() -> None:
    assert [key.name for key in KEYS if not key.summary.endswith(".")] == []
    assert len(KEYS) == len({key.name for key in KEYS})
