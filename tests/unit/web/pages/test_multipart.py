"""Forms with a file, however the network cuts them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.errors import InvalidError
from entrepot.web.pages.multipart import read_form

BOUNDARY = "----WebKitFormBoundaryx"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
NASTY = st.lists(st.sampled_from([b"\r\n--", BOUNDARY.encode(), b"\r", b"\n", b"-", b"x", b"\0"])).map(b"".join)


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def read(body: bytes, size: int = 7, content_type: str = TYPE) -> tuple[dict[str, str], bytes]:
    async def run() -> tuple[dict[str, str], bytes]:
        form = await read_form(content_type, pieces(body, size))
        return form.fields, b"".join([piece async for piece in form.file])

    return asyncio.run(run())


def form(fields: dict[str, str], file: bytes | None) -> bytes:
    parts = [f'content-disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    if file is not None:
        parts.append(
            b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + file
        )
    mark = BOUNDARY.encode()
    return b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + mark + b"--\r\n"


@given(NASTY | st.binary(), st.integers(1, 200))
def test_a_file_comes_as_it_was_sent_however_it_is_cut(file: bytes, size: int) -> None:
    if f"\r\n--{BOUNDARY}".encode() in file:
        return  # no browser chooses a boundary that is in the file

    assert read(form({"csrf": "x", "source": "ä"}, file), size) == ({"csrf": "x", "source": "ä"}, file)


@given(NASTY | st.binary(), st.integers(1, 50))
def test_what_is_no_form_fails_with_a_fault_of_the_sender(body: bytes, size: int) -> None:
    with pytest.raises(InvalidError):
        read(body, size)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form({"csrf": "x"}, None), "choose a file"),
        (form({"csrf": "x" * 20_000}, b""), "up to 16384"),
        (form({str(number): "" for number in range(30)}, b""), "up to 20 fields"),
        (form({"a": "\0"}, b""), "NUL"),
        (form({}, b"x")[:-30], "not readable"),
        (form({}, b"x") + b"y" * 10_000, "last part"),
        (b"x" * 10_000 + form({}, b"x"), "not readable"),
        (b"", "not readable"),
    ],
)
def test_a_form_that_is_too_much_or_too_little_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidError, match=says):
        read(body)


@pytest.mark.parametrize("names", [[str(number) for number in range(21)], ["a"] * 21])
def test_parts_are_counted_and_not_their_names(names: list[str]) -> None:
    mark = f"--{BOUNDARY}\r\n".encode()
    parts = [mark + f'content-disposition: form-data; name="{name}"\r\n\r\n\r\n'.encode() for name in names]
    end = form({}, b"x")

    assert read(b"".join(parts[:20]) + end)[1] == b"x"
    with pytest.raises(InvalidError, match="up to 20 fields"):
        read(b"".join(parts) + end)


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_only_a_form_with_a_boundary_is_read(content_type: str) -> None:
    with pytest.raises(InvalidError):
        read(form({}, b"x"), content_type=content_type)
