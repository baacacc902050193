"""Digests, names, tags, references."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.errors import InvalidError
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError, NameInvalidError, TagInvalidError
from entrepot.oci.reference import NAME, TAG, Reference, check_name, check_tag

SHA256 = f"sha256:{'0a' * 32}"
SHA512 = f"sha512:{'0a' * 64}"


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_a_digest_is_written_as_it_was_read(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "sha256", "sha256:", SHA256[:-1], SHA256 + "0", SHA256.upper(), SHA256 + "\n", " " + SHA256,
     "sha512:" + "0" * 64, "md5:" + "0" * 32, "sha256:" + "g" * 64, "sha256:" + "٣" * 64, "sha384:" + "0" * 96],
)  # fmt: skip
def test_another_text_is_no_digest(text: str) -> None:
    with pytest.raises(DigestInvalidError):
        Digest.parse(text)


def test_a_digest_is_of_bytes() -> None:
    assert str(Digest.of(b"x")) == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    assert str(Digest.of(b"x", "sha512")) == f"sha512:{hashlib.sha512(b'x').hexdigest()}"
    assert Digest.of(b"x").short() == str(Digest.of(b"x"))[:19]


@pytest.mark.parametrize("name", ["a", "a/b", "a.b/c_d/e__f/g-h/i---j", "0/1", "a" * 255])
def test_a_name_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "A", "a.", ".a", "a..b", "a___b", "-a", "a-", "a_/b",
                                  "a b", "é", "a\n", "a" * 256, "a:1", "a%2fb", ".", ".."])  # fmt: skip
def test_another_text_is_no_name(name: str) -> None:
    with pytest.raises(NameInvalidError):
        check_name(name)


@pytest.mark.parametrize("tag", ["a", "_", "1.0", "A-b_c.d", "x" * 128])
def test_a_tag_is_a_tag(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a:b", "a+b", "é", "a\n", "x" * 129, "a b"])
def test_another_text_is_no_tag(tag: str) -> None:
    with pytest.raises(TagInvalidError):
        check_tag(tag)


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest"),
    [
        ("shop/web", "shop/web", "latest", None),
        ("shop/web:1.0", "shop/web", "1.0", None),
        (f"shop/web@{SHA256}", "shop/web", None, SHA256),
        (f"shop/web:1.0@{SHA256}", "shop/web", "1.0", SHA256),
    ],
)
def test_a_reference_is_written_as_docker_writes_it(text: str, name: str, tag: str | None, digest: str | None) -> None:
    reference = Reference.parse(text)

    assert (reference.name, reference.tag, reference.digest and str(reference.digest)) == (name, tag, digest)
    assert reference.wanted() == (digest or tag)


@pytest.mark.parametrize("text", ["", ":", "@", "a:", "a@", "a@x", "A:1", "a:b:c", "host:5000/a", f"a:{SHA256}"])
def test_another_text_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidError):
        Reference.parse(text)


@given(st.one_of(st.text(), st.from_regex(r"sha(256|512):[0-9a-fA-F]{60,130}")))
def test_a_digest_fails_only_with_its_own_error(text: str) -> None:
    with contextlib.suppress(DigestInvalidError):
        assert str(Digest.parse(text)) == text


@given(st.from_regex(NAME, fullmatch=True), st.from_regex(TAG, fullmatch=True), st.booleans())
def test_a_reference_that_was_written_is_read_back(name: str, tag: str, pinned: bool) -> None:
    if len(name) <= 255:
        text = f"{name}:{tag}" + (f"@{SHA256}" if pinned else "")

        assert str(Reference.parse(text)) == text


@given(st.text("aA0/:@._-\n%", max_size=40))
def test_a_reference_fails_only_with_its_own_errors(text: str) -> None:
    with contextlib.suppress(NameInvalidError, TagInvalidError, DigestInvalidError):
        reference = Reference.parse(text)
        assert check_name(reference.name)
        assert Reference.parse(str(reference)) == reference
