"""The one settings tree, and the only place that reads the environment.

A value comes from the first of these that has it: flags, variables `ENTREPOT_<SECTION>__<KEY>`, the secrets folder
(one file per setting, named `<section>__<key>`), `entrepot.toml`, the default. A name that is no setting is refused
wherever it stands, and all faults are reported at once. No text of a fault holds a value: values may be secret.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final, cast, get_args, get_type_hints
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from entrepot.access.settings import Access
from entrepot.content.settings import Cache, Storage
from entrepot.errors import InvalidError
from entrepot.lifecycle.settings import Lifecycle
from entrepot.runtime.quantities import Bytes, format_bytes, format_duration
from entrepot.runtime.secret import HIDDEN, Secret
from entrepot.runtime.settings import Database, Jobs, Telemetry
from entrepot.scanning.settings import Scanning
from entrepot.web.settings import Server, parse_listen

PREFIX: Final = "ENTREPOT_"
DATA: Final = Path("entrepot-data")
"""The data folder where none is named: below the current folder."""

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  no file of it has a name that others can choose
PLACES: Final = ("ENTREPOT_DATA", "ENTREPOT_CONFIG", "ENTREPOT_SECRETS_DIR")
"""Variables that say where to read, not what."""

CLIENT: Final = ("ENTREPOT_URL", "ENTREPOT_USERNAME", "ENTREPOT_PASSWORD", "ENTREPOT_QUIET")
"""Variables of the client commands; the server knows them and does not read them."""

TEST_PREFIX: Final = "ENTREPOT_TEST_"

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  what is refused, not what is bound
EXTERNAL_URL_WHY: Final = "clients are sent there for tokens, and a request's own Host is not to be trusted"


class SettingsInvalidError(InvalidError):
    """The settings cannot be used. *faults*: every fault, one line each, none holding a value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Settings(BaseSettings):
    """All that can be set. Built directly it takes what it is given and the defaults; `load` reads the sources."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix=PREFIX, env_nested_delimiter="__")

    data: Path = DATA
    server: Server = Server()
    database: Database = Database()
    storage: Storage = Storage()
    cache: Cache = Cache()
    access: Access = Access()
    scanning: Scanning = Scanning()
    lifecycle: Lifecycle = Lifecycle()
    jobs: Jobs = Jobs()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The arguments alone: nothing is read behind the back of a caller that builds a tree itself."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def database_url(self) -> Secret:
        """The database in use."""
        return self.database.url or Secret(f"sqlite:///{self.data / 'entrepot.db'}")

    @property
    def storage_url(self) -> Secret:
        """The blob store in use."""
        return self.storage.url or Secret((self.data / "blobs").as_uri())

    @property
    def keys(self) -> Path:
        """The folder of the signing keys."""
        return Path(self.access.keys) if self.access.keys else self.data / "keys"

    @property
    def external_url(self) -> str:
        """The address that clients use, without a slash at its end; from `listen` where none is set."""
        return self.server.external_url or f"http://{self.server.listen}"

    @property
    def listen(self) -> tuple[str, int]:
        """IP address and port of the web workers."""
        return parse_listen(self.server.listen)

    @property
    def web_workers(self) -> int:
        """Number of web worker processes, at least 1."""
        return self.server.web_workers or cores()

    @property
    def analysers(self) -> int:
        """Number of layers analysed at once, at least 1."""
        return self.scanning.analysers or cores()

    @property
    def run(self) -> Path:
        """The folder of what lives only as long as the server."""
        return self.data / "run"

    @property
    def metrics(self) -> Path:
        """The folder in which the processes of one server add up their metrics: in memory, where the system has that.

        They write through maps. On a disk that is full that is no error: the kernel kills who does it (SIGBUS).
        """
        if not os.access(SHARED_MEMORY, os.W_OK):
            return self.run / "metrics"
        seen = self.data.stat()
        return SHARED_MEMORY / f"entrepot-{os.geteuid()}-{seen.st_dev:x}-{seen.st_ino:x}"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its dotted *name*, its *summary*, whether its value is *secret*, and whether it is a *size*."""

    name: str
    summary: str
    secret: bool
    size: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.replace(".", "__").upper()

    @property
    def file(self) -> str:
        """Its file in the secrets folder."""
        return self.name.replace(".", "__")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `config show`. *value* is hidden or shortened where it is secret; *source* says where it is set."""

    name: str
    value: str
    source: str
    summary: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tree and, for each name that was set, where."""

    settings: Settings
    origins: Mapping[str, str]


def cores() -> int:
    """The number of cores this process may use, at least 1."""
    return len(os.sched_getaffinity(0))


def _keys(section: type, prefix: str) -> Iterator[Key]:
    """The keys of a section: the last text in a field's annotation is its summary."""
    for name, hint in get_type_hints(section, include_extras=True).items():
        if is_dataclass(hint):
            yield from _keys(cast("type", hint), f"{prefix}{name}.")
        else:
            summary = [text for text in hint.__metadata__ if isinstance(text, str)][-1]
            is_size = get_args(Bytes)[1] in hint.__metadata__
            yield Key(prefix + name, summary, hint.__origin__ is Secret, is_size)


KEYS: Final = tuple(
    key
    for name, section in Settings.model_fields.items()
    if name != "data"
    for key in _keys(type(section.default), f"{name}.")
)
"""Every setting of every section, in the order of `config show`. `data` is none: it has its own flag and variable."""


def load(
    flags: Mapping[str, object] | None = None,
    *,
    data: Path | None = None,
    config: Path | None = None,
    secrets_dir: Path | None = None,
) -> Loaded:
    """The tree from all sources.

    flags: values by dotted name, such as `{"server.listen": "127.0.0.1:0"}`. data, config, secrets_dir: the
    folder, the TOML file and the secrets folder, where a flag names them; else `ENTREPOT_DATA`, `ENTREPOT_CONFIG`,
    `ENTREPOT_SECRETS_DIR`; else `./entrepot-data` and in it `entrepot.toml` and `secrets.d`, which may be missing.
    Paths in the tree are absolute. Raises SettingsInvalidError with every fault.
    """
    faults: list[str] = []
    origins: dict[str, str] = {}
    data = _place("data", data, DATA, origins).absolute()
    named: dict[str, str] = {}
    config = _place("config", config, data / "entrepot.toml", named)
    secrets_dir = _place("secrets-dir", secrets_dir, data / "secrets.d", named)
    faults += [f"{named['config']}: {config} is no file"] if "config" in named and not config.is_file() else []
    faults += (
        [f"{named['secrets-dir']}: {secrets_dir} is no folder"]
        if "secrets-dir" in named and not secrets_dir.is_dir()
        else []
    )
    try:
        toml = TomlConfigSettingsSource(Settings, config)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        faults.append(f"{config}: cannot be read as TOML: {error}")
        toml = TomlConfigSettingsSource(Settings, None)

    flags = flags or {}
    for source, given, known in (
        (str(config), _names(toml.toml_data), {key.name: key.name for key in KEYS}),
        ("secrets folder", _files(secrets_dir), {key.file: key.name for key in KEYS}),
        ("environment", _variables(), {key.variable: key.name for key in KEYS}),
        ("flag", flags, {key.name: key.name for key in KEYS}),
    ):
        for name in given:
            if name in known:
                origins[known[name]] = f"{source}: {name}"
            else:
                faults.append(_unknown(source, name, known))

    settings = Settings(data=data)
    try:
        sources = (
            InitSettingsSource(Settings, {"data": data, **_nested(flags)}),
            EnvSettingsSource(Settings),
            NestedSecretsSettingsSource(
                SecretsSettingsSource(Settings),
                secrets_dir=secrets_dir,
                secrets_dir_missing="ok",
                secrets_prefix="",
                secrets_nested_delimiter="__",
            ),
            toml,
        )
        # The checker knows a model's fields as its arguments, not those of BaseSettings itself.
        settings = Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]
    except ValidationError as error:
        faults += [_fault(fault["loc"], fault["msg"], origins) for fault in error.errors(include_input=False)]
    except SettingsError:
        # Either a section was given as one value, whose name was refused above, or the secrets folder is no such.
        # The library's own text would show the value.
        faults = faults or [f"{secrets_dir}: cannot be read as a secrets folder"]
    if not faults and settings.listen[0] in EVERYWHERE and not settings.server.external_url:
        faults.append(f"server.listen: an address for all needs server.external_url: {EXTERNAL_URL_WHY}")
    if faults:
        raise SettingsInvalidError(faults)
    return Loaded(settings, origins)


def describe(loaded: Loaded) -> tuple[Row, ...]:
    """Every setting with its value in force and where it is set, in the order of KEYS; secrets are hidden."""
    settings, origins = loaded.settings, loaded.origins
    rows = [Row("data", str(settings.data), origins.get("data", "default"), "Folder of everything that is kept.")]
    for key in KEYS:
        value: object = settings
        for part in key.name.split("."):
            value = getattr(value, part)
        rows.append(Row(key.name, _shown(key, value), origins.get(key.name, "default"), key.summary))
    return tuple(rows)


def hide_userinfo(url: str) -> str:
    """*url* with user name and password replaced; a text that is no URL is hidden as a whole."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    if not parts.scheme or "?" in url:
        return HIDDEN
    return (
        urlunsplit(parts._replace(netloc=f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}")) if "@" in parts.netloc else url
    )


def export_metrics_folder(settings: Settings) -> None:
    """Tells prometheus_client, by the variable it knows, where this process adds its metrics.

    To be called before prometheus_client is first imported: it looks only then. Raises PermissionError: somebody
    else made that folder.
    """
    folder = settings.metrics
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        # Others may write beside it: through a folder of theirs they would choose which files we write to.
        raise PermissionError(f"{folder} is not ours: remove it")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _shown(key: Key, value: object) -> str:
    match value:
        case Secret():
            return hide_userinfo(value.reveal()) if value else ""
        case timedelta():
            return format_duration(value)
        case int() if key.size:
            return format_bytes(value)
        case _:
            return str(value)


def _place(flag: str, given: Path | None, default: Path, origins: dict[str, str]) -> Path:
    """The path that a flag names, else its variable, else *default*; notes in *origins* which one named it."""
    variable = PREFIX + flag.replace("-", "_").upper()
    text = os.environ.get(variable)
    if given is not None:
        origins[flag] = f"flag: --{flag}"
        return given
    if text:
        origins[flag] = f"environment: {variable}"
        return Path(text)
    return default


def _files(folder: Path) -> list[str]:
    """The names in the secrets folder. Those with a dot in front are how Kubernetes swaps a volume."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []


def _variables() -> list[str]:
    """The names of the variables that begin with our prefix, save those that are no settings by purpose."""
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX) and name not in {*PLACES, *CLIENT} and not name.startswith(TEST_PREFIX)
    )


def _names(document: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """The dotted name of each value in *document*."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _nested(flat: Mapping[str, object]) -> dict[str, object]:
    """*flat* by sections: `{"a.b": 1}` becomes `{"a": {"b": 1}}`."""
    tree: dict[str, object] = {}
    for name, value in flat.items():
        *sections, last = name.split(".")
        here = tree
        for section in sections:
            inner = here.setdefault(section, {})
            assert isinstance(inner, dict)  # noqa: S101  two flags of ours cannot name a key and its section
            here = inner
        here[last] = value
    return tree


def _unknown(source: str, name: str, known: Mapping[str, str]) -> str:
    if source != "flag" and name == "data":
        return f"{source}: data is set by --data or ENTREPOT_DATA only"
    close = [key for key in known if key.startswith((f"{name}.", f"{name}__"))] or get_close_matches(
        name, [*known, *(PLACES + CLIENT if source == "environment" else ())]
    )
    return f"{source}: unknown name {name}" + (f"; did you mean {close[0]}?" if close else "")


def _fault(location: tuple[int | str, ...], message: str, origins: Mapping[str, str]) -> str:
    name = ".".join(str(part) for part in location)
    origin = origins.get(name)
    text = message.removeprefix("Value error, ")
    return f"{name} ({origin}): {text}" if origin else f"{name}: {text}"
