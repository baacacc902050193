"""Markdown becomes only what is allowed, and its links lead to pages of ours or to the web."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.web.pages.markdown import TAGS, render

ATTRIBUTES = {"href", "title", "start", "id", "tabindex"}
PIECES = st.sampled_from(
    [
        "<script>",
        "</p>",
        "[a](",
        "javascript:x",
        ")",
        "![b](c.png)",
        "`",
        "```",
        "# ",
        "|",
        "\n",
        "<b>",
        "&lt;",
        "<http://x>",
        "* ",
    ]
)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("robots.md", "/help/how-to/robots.md"),
        ("../reference/cli.md#tag", "/help/reference/cli.md#tag"),
        ("../../ARCHITECTURE.md", "/help"),
        ("../../../etc/passwd", "/help"),
        ("https://example.org/a", "https://example.org/a"),
        ("#section", "#section"),
        ("//evil.example", "/help"),
        ("data:text/html,x", "/help"),
        ("mailto:a@example.org", "/help"),
    ],
)
def test_a_link_leads_where_it_may(link: str, target: str) -> None:
    _, html = render(f"[here]({link})", "how-to/modes.md")

    found = re.search(r'href="([^"]*)"', html)
    assert found is None or found[1] == target
    assert found is not None or link.startswith("data:")


def test_what_runs_stays_text() -> None:
    _, html = render(
        "# T\n\n<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1))", "README.md"
    )

    assert "<script" not in html
    assert "<img" not in html
    assert "href" not in html
    assert "&lt;script&gt;" in html


def test_a_title_is_its_first_heading_and_headings_can_be_linked_to() -> None:
    title, html = render("# How to do it\n\n## Step one: begin", "README.md")

    assert title == "How to do it"
    assert '<h2 id="step-one-begin">' in html


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=30).map("".join))
def test_no_text_brings_another_element_or_attribute(text: str) -> None:
    _, html = render(text, "a/b.md")

    for name, attributes in re.findall(r"<([a-zA-Z][^\s/>]*)((?:[^>\"]|\"[^\"]*\")*)>", html):
        assert name in TAGS
        assert set(re.findall(r'([a-z-]+)="', re.sub(r'"[^"]*"', '""', attributes))) <= ATTRIBUTES
