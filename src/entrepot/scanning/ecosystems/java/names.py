"""What a Java archive is called in Maven: from its pom.properties, else from its manifest and file name.

Formats: Maven Archiver, "pom.properties"; java.util.Properties (of its escapes, none occurs in names); JAR File
Specification, "Main Attributes"; OSGi Core, "Bundle-SymbolicName". Design: scanning.md, section 5.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from entrepot.scanning.extractor import MetadataInvalidError

MAVEN: Final = "maven"
UNGROUPED: Final = "jar"
"""The ecosystem of archives whose Maven group nothing tells. No feed speaks for it, so an image with one is partial."""
BEGINNING_BYTES: Final = 64 << 10
"""What is read of a manifest, whose main section comes first, and of a pom.properties."""
PLACEHOLDER: Final = "${"
CONTINUED: Final = re.compile(rb"\r?\n ")
VERSION: Final = re.compile(r"v?(\d[^\s,;]*)")
ARTIFACT: Final = re.compile(r"[A-Za-z0-9][\w.-]*\Z", re.ASCII)
GROUP: Final = re.compile(r"[A-Za-z][\w-]*(?:\.[\w-]+)+\Z", re.ASCII)
BEFORE_VERSION: Final = re.compile(r"-(?=\d)")
# `log4j-1.2-api-2.17.1`: what follows 1.2 is a word of the name, not of the version.
WORD_THEN_NUMBER: Final = re.compile(
    r"-(?!(?:alpha|beta|b|rc|cr|m|milestone|pre|preview|ea|sp|snapshot|incubating|jre|android|jdk)[-.\d])[a-z]\w*-\d",
    re.IGNORECASE,
)
# Builds that write no pom.properties: groups of well-known artifacts, the first that fits.
GROUPS: Final = tuple(
    (re.compile(f"(?:{pattern})\\Z"), group)
    for pattern, group in (
        (r"spring-boot(-.+)?", "org.springframework.boot"),
        (r"spring-security-.+", "org.springframework.security"),
        (r"spring-data-.+", "org.springframework.data"),
        (r"spring-cloud-.+", "org.springframework.cloud"),
        (
            r"spring-(aop|aspects|beans|context(-.+)?|core|expression|instrument|jcl|jdbc|jms|messaging|orm|oxm|test|tx|web.*)",
            "org.springframework",
        ),
        (r"tomcat-embed-.+", "org.apache.tomcat.embed"),
        (r"tomcat-.+", "org.apache.tomcat"),
        (r"lucene-.+", "org.apache.lucene"),
        (r"solr-.+", "org.apache.solr"),
        (r"kafka(-.+|_.+)?", "org.apache.kafka"),
        (r"groovy(-.+)?", "org.codehaus.groovy"),
        (r"kotlin-.+", "org.jetbrains.kotlin"),
        (r"ktor-.+", "io.ktor"),
        (r"elasticsearch(-.+)?", "org.elasticsearch"),
        (r"opensearch(-.+)?", "org.opensearch"),
        (r"okhttp(-.+)?", "com.squareup.okhttp3"),
        (r"okio(-.+)?", "com.squareup.okio"),
        (r"reactor-netty(-.+)?", "io.projectreactor.netty"),
        (r"reactor-core", "io.projectreactor"),
        (r"micrometer-.+", "io.micrometer"),
        (r"grpc-.+", "io.grpc"),
        (r"bc(prov|pkix|mail|pg|tls|util)-.+", "org.bouncycastle"),
        (r"mysql-connector-java", "mysql"),
        (r"mysql-connector-j", "com.mysql"),
        (r"h2", "com.h2database"),
        (r"hsqldb", "org.hsqldb"),
        (r"hibernate-.+", "org.hibernate"),
        (r"aspectj.+", "org.aspectj"),
        (r"jna(-.+)?", "net.java.dev.jna"),
        (r"xercesImpl", "xerces"),
        (r"xalan", "xalan"),
        (r"graphql-java", "com.graphql-java"),
    )
)


class Coordinates(NamedTuple):
    """A Maven artifact; group is empty where nothing tells it."""

    group: str
    artifact: str
    version: str

    @property
    def ecosystem(self) -> str:
        """`maven`; UNGROUPED without a group."""
        return MAVEN if self.group else UNGROUPED

    @property
    def name(self) -> str:
        """`group:artifact` as advisories say; the bare artifact without a group, which no advisory speaks of."""
        return f"{self.group}:{self.artifact}" if self.group else self.artifact


def from_properties(data: bytes, path: str) -> Coordinates:
    """The artifact whose pom.properties, at *path* in its archive, begins with *data*; its place names what it doesn't.

    What the build left to be filled in is not named. Raises MetadataInvalidError without a version, or if *data* is
    more than BEGINNING_BYTES.
    """
    if len(data) > BEGINNING_BYTES:
        raise MetadataInvalidError("a pom.properties of more than 64 KiB")
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, content = line.partition("=")
        if equals and PLACEHOLDER not in content:
            fields.setdefault(key.strip(), content.strip())
    *_, group, artifact, _ = path.split("/")
    if not fields.get("version"):
        raise MetadataInvalidError("a pom.properties without a version")
    return Coordinates(fields.get("groupId") or group, fields.get("artifactId") or artifact, fields["version"])


def main_attributes(data: bytes) -> dict[str, str]:
    """The main section of a manifest, by lower-case names; lines are joined where they were wrapped."""
    section = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    fields: dict[str, str] = {}
    for line in CONTINUED.sub(b"", section).decode("utf-8", "replace").splitlines():
        key, colon, content = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), content.strip())
    return fields


def from_file_name(name: str) -> tuple[str, str]:
    """Artifact and version that a file *name* without its ending says; the version is empty if there is none."""
    for match in BEFORE_VERSION.finditer(name):
        version = name[match.end() :]
        if not WORD_THEN_NUMBER.search(version):
            return name[: match.start()], version
    return name, ""


def from_manifest(attributes: Mapping[str, str], file_name: str) -> Coordinates | None:
    """The artifact that a manifest and a file name without its ending name together; None without a version.

    A file that carries a version is named as in a repository, so its artifact is the better one than a title;
    versions are the other way round.
    """
    artifact, named_version = from_file_name(file_name)
    symbolic = attributes.get("bundle-symbolicname", "").partition(";")[0].strip()
    if not named_version:
        titles = (attributes.get("implementation-title", ""), symbolic.rpartition(".")[2], artifact)
        artifact = next((title for title in titles if ARTIFACT.match(title)), "")
    versions = (
        attributes.get("implementation-version", ""),
        named_version,
        attributes.get("bundle-version", ""),
        attributes.get("specification-version", ""),
    )
    version = next((match[1] for text in versions if (match := VERSION.match(text))), "")
    if not version or not ARTIFACT.match(artifact):
        return None
    return Coordinates(_group(attributes.get("implementation-vendor-id", ""), artifact, symbolic), artifact, version)


def _group(vendor: str, artifact: str, symbolic: str) -> str:
    if GROUP.match(vendor):
        return vendor
    for pattern, group in GROUPS:
        if pattern.match(artifact):
            return group
    # org.example.some.thing is org.example:some-thing
    dotted = "." + artifact.replace("-", ".")
    group = symbolic[: -len(dotted)] if symbolic.replace("-", ".").endswith(dotted) else ""
    return group if GROUP.match(group) else ""
