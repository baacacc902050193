"""`storage.url` of object stores: what it names, and that no refusal repeats it."""

import pytest

from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.backends.object_url import clients
from entrepot.errors import InvalidError


def test_an_s3_url_names_bucket_prefix_region_and_endpoint() -> None:
    url = "s3://bucket/a/prefix?region=eu-1&endpoint=http://127.0.0.1:9000&allow_http=true&virtual_hosted_style=false"
    found = clients(url)

    assert (found.brief.prefix, found.endpoint) == ("a/prefix", "http://127.0.0.1:9000")
    assert found.brief.config.get("bucket") == "bucket"
    assert found.brief.config.get("region") == "eu-1"


@pytest.mark.parametrize(
    "url",
    [
        "gs://bucket/prefix?skip_signature=true",
        "az://container?account_name=acme&skip_signature=true",
        "s3://b?region=x",
    ],
)
def test_each_cloud_has_its_scheme(url: str) -> None:
    assert clients(url).endpoint == ""


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "ftp://bucket/prefix",
        "s3://KEY:hidden-secret@bucket",
        "s3://bucket?no_such_option=hidden-secret",
        "s3://bucket?allow_http=hidden-secret",
        "gs://bucket?service_account_key=hidden-secret",
    ],
)
def test_a_url_that_names_no_store_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidError) as refused:
        clients(url)

    assert refused.value.field == "storage.url"
    assert "hidden-secret" not in refused.value.message


def test_the_host_is_that_of_the_endpoint(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("scratch")

    assert ObjectBlobs.at("s3://b?region=x&endpoint=https://store.example:9000", folder).host == "store.example"
    assert ObjectBlobs.at("s3://b?region=x", folder).host == ""
