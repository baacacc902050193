"""Where a redirect may lead."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.web.pages.visit import own_path

HERE = "https://registry.example.org/sign-in"
HOSTILE = st.text(st.sampled_from("/\\:.@?#%&;\t\r\n ahtps0e"), max_size=20)


@given(st.one_of(st.text(), HOSTILE, HOSTILE.map(lambda text: f"/{text}")))
def test_no_text_leads_to_another_site(text: str) -> None:
    path = own_path(text)

    assert path.startswith("/")
    assert path[1:2] not in {"/", "\\"}
    assert urlsplit(urljoin(HERE, path)).netloc == urlsplit(HERE).netloc
    assert not set(path) & set("\r\n\t\\ ")


@pytest.mark.parametrize("path", ["/", "/home", "/repositories/shop/web?filter=name~%221%22&sort=-rev#x"])
def test_a_path_of_ours_stays_as_it_is(path: str) -> None:
    assert own_path(path) == path
