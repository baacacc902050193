"""The demo's two images of `shop/web`: 1.0 as it was built in June 2023, 1.1 rebuilt with what was fixed since.

Each has three layers: a Debian package database, Python distributions as they are really installed here, and one
pinned release of Jinja2. The middle layer is byte for byte the same in both, so it is sent once.

The package versions are real: *before* is Debian 12.0 as released on 2023-06-10, *after* is what its archive and
security archive had on 2025-02-12, the date of the advisories in `data/`. It is a choice of packages, not a system
that boots: what has no fix at that date and is rated critical (zlib, CVE-2023-45853) is left out, or the rebuilt
image could not pass the baseline policy.
"""

import importlib.metadata
from dataclasses import dataclass
from typing import Final

from entrepot.cli.demo.build import Directory, Entry, File, Image, Layer, Symlink, image, layer
from entrepot.errors import UnavailableError

SITE_PACKAGES: Final = "opt/venv/lib/python3.11/site-packages"
MAX_DISTRIBUTIONS_BYTES: Final = 8 * 1024 * 1024
DISTRIBUTIONS: Final = ("Mako", "MarkupSafe", "packaging", "structlog", "typing_extensions", "urllib3")
"""Copied as installed: each is a requirement of Entrepot, so it is there. In the order of the layer's build step."""

JINJA2: Final = ("2.10", "3.1.6")
"""Before and after. 2.10: five advisories of the extract, the worst a sandbox escape rated high."""

# Binary package, source package, version before, version after. Where the source's version is another one (a binary
# rebuilt alone, another epoch), it follows after "=".
PACKAGES: Final = """
adduser           adduser      3.134                      3.134
apt               apt          2.6.1                      2.6.1
base-files        base-files   12.4                       12.4+deb12u9
bash              bash         5.2.15-2+b2=5.2.15-2       5.2.15-2+b7=5.2.15-2
bsdutils          util-linux   1:2.38.1-5+b1=2.38.1-5     1:2.38.1-5+deb12u3=2.38.1-5+deb12u3
coreutils         coreutils    9.1-1                      9.1-1
curl              curl         7.88.1-10                  7.88.1-10+deb12u8
dash              dash         0.5.12-2                   0.5.12-2
debianutils       debianutils  5.7-0.4                    5.7-0.5~deb12u1
dpkg              dpkg         1.21.22                    1.21.22
git               git          1:2.39.2-1.1               1:2.39.5-0+deb12u2
gpgv              gnupg2       2.2.40-1.1                 2.2.40-1.1
gzip              gzip         1.12-1                     1.12-1
libc-bin          glibc        2.36-9                     2.36-9+deb12u9
libc6             glibc        2.36-9                     2.36-9+deb12u9
libcurl4          curl         7.88.1-10                  7.88.1-10+deb12u8
libexpat1         expat        2.5.0-1                    2.5.0-1+deb12u1
libgnutls30       gnutls28     3.7.9-2                    3.7.9-2+deb12u3
libgssapi-krb5-2  krb5         1.20.1-2                   1.20.1-2+deb12u2
libnghttp2-14     nghttp2      1.52.0-1                   1.52.0-1+deb12u2
libpam-modules    pam          1.5.2-6                    1.5.2-6+deb12u1
libsqlite3-0      sqlite3      3.40.1-2                   3.40.1-2+deb12u1
libssl3           openssl      3.0.9-1                    3.0.15-1~deb12u1
libsystemd0       systemd      252.6-1                    252.33-1~deb12u1
libtasn1-6        libtasn1-6   4.19.0-2                   4.19.0-2+deb12u1
login             shadow       1:4.13+dfsg1-1+b1=1:4.13+dfsg1-1  1:4.13+dfsg1-1+b1=1:4.13+dfsg1-1
openssh-client    openssh      1:9.2p1-2                  1:9.2p1-2+deb12u4
openssl           openssl      3.0.9-1                    3.0.15-1~deb12u1
perl-base         perl         5.36.0-7                   5.36.0-7+deb12u1
sed               sed          4.9-1                      4.9-1
tar               tar          1.34+dfsg-1.2              1.34+dfsg-1.2+deb12u1
util-linux        util-linux   2.38.1-5+b1=2.38.1-5       2.38.1-5+deb12u3
"""

OS_RELEASE: Final = b"""\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One row of the package database."""

    name: str
    source: str
    version: str
    source_version: str

    def paragraph(self) -> str:
        """The package's paragraph in `var/lib/dpkg/status`. Spec: deb-control(5); Source as dpkg leaves it out."""
        source = ""
        if self.source_version != self.version:
            source = f"Source: {self.source} ({self.source_version})\n"
        elif self.source != self.name:
            source = f"Source: {self.source}\n"
        return (
            f"Package: {self.name}\nStatus: install ok installed\nPriority: required\nSection: admin\n"
            f"Architecture: amd64\n{source}Version: {self.version}\n"
        )


def packages(*, after: bool) -> tuple[DebianPackage, ...]:
    """The base's packages, sorted by name: before their security updates, or *after*."""
    rows = []
    for line in PACKAGES.split("\n"):
        if not line:
            continue
        name, source, old, new = line.split()
        version, _, source_version = (new if after else old).partition("=")
        rows.append(DebianPackage(name, source, version, source_version or version))
    return tuple(rows)


def base(*, after: bool) -> Layer:
    """The layer with the package database, the lists of what each package owns, and the release file."""
    rows = packages(after=after)
    files: dict[str, Entry] = {
        "usr/lib/os-release": OS_RELEASE,
        "etc/os-release": Symlink("../usr/lib/os-release"),
        "var/lib/dpkg/status": "\n".join(row.paragraph() for row in rows).encode(),
    }
    for row in rows:
        owned = ("/.", "/usr", "/usr/share", "/usr/share/doc", f"/usr/share/doc/{row.name}")
        files[f"usr/share/doc/{row.name}"] = Directory()
        files[f"var/lib/dpkg/info/{row.name}.list"] = ("\n".join(owned) + "\n").encode()
    when = "with its updates of 2025-02-12" if after else "as released on 2023-06-10"
    return layer(files, step=f"ADD rootfs.tar / # Debian 12 {when}")


def distributions() -> Layer:
    """The layer with DISTRIBUTIONS, file by file as they are installed in the running environment.

    Left out: byte code, and scripts outside of site-packages. Its bytes follow from what is installed, so its digest
    differs between machines. Raises UnavailableError if one is not installed or they pass MAX_DISTRIBUTIONS_BYTES.
    """
    files: dict[str, Entry] = {}
    size = 0
    for name in DISTRIBUTIONS:
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise UnavailableError(f"the Python distribution {name} is not installed here") from None
        for entry in installed.files or ():
            if ".." in entry.parts or entry.suffix == ".pyc":
                continue
            data = entry.read_binary()
            size += len(data)
            if size > MAX_DISTRIBUTIONS_BYTES:
                raise UnavailableError(f"the installed Python distributions pass {MAX_DISTRIBUTIONS_BYTES} bytes")
            files[f"{SITE_PACKAGES}/{entry.as_posix()}"] = File(data)
    return layer(files, step="RUN pip install " + " ".join(DISTRIBUTIONS))


def jinja2(version: str) -> Layer:
    """The layer with the metadata of one release of Jinja2. Spec: PyPA, "Recording installed projects"."""
    folder = f"{SITE_PACKAGES}/Jinja2-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: Jinja2\nVersion: {version}\nRequires-Dist: MarkupSafe (>=0.23)\n"
    wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    names = ("INSTALLER", "METADATA", "RECORD", "WHEEL")
    record = "".join(f"Jinja2-{version}.dist-info/{name},,\n" for name in names)
    texts = dict(zip(names, ("pip\n", metadata, record, wheel), strict=True))
    files: dict[str, Entry] = {f"{folder}/{name}": text.encode() for name, text in texts.items()}
    return layer(files, step=f"RUN pip install Jinja2=={version}")


def shop_web() -> tuple[Image, Image]:
    """The vulnerable image (1.0) and the fixed one (1.1). Raises UnavailableError as `distributions`."""
    shared = distributions()
    old, new = (
        image(
            [base(after=after), shared, jinja2(version)],
            labels={"org.opencontainers.image.version": tag},
            command=("/opt/venv/bin/python", "-m", "shop"),
        )
        for tag, after, version in (("1.0", False, JINJA2[0]), ("1.1", True, JINJA2[1]))
    )
    return old, new
