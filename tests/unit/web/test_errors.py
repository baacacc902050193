"""The one table from errors to HTTP."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import entrepot
from entrepot.errors import EntrepotError
from entrepot.lifecycle.errors import PromotionBlockedError
from entrepot.oci.errors import TagInvalidError
from entrepot.web.errors import ANSWERS, UNKNOWN, Answer, answer_for
from tests.real.protocol import CODES

KINDS = {kind for kind in EntrepotError.__subclasses__() if kind.__module__ == "entrepot.errors"}
# Only where the command line or the start of the server ends; no request can raise them.
NOT_HTTP = ("entrepot.cli", "entrepot.settings", "entrepot.runtime.exclusive", "entrepot.runtime.migrations")


def errors(kind: type[EntrepotError] = EntrepotError) -> Iterator[type[EntrepotError]]:
    """Every error of the package below *kind*."""
    for below in kind.__subclasses__():
        if below.__module__.startswith("entrepot."):
            yield below
            yield from errors(below)


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported() -> None:
    for module in pkgutil.walk_packages(entrepot.__path__, "entrepot."):
        if not module.name.endswith(("__main__", "migrations.env", "0001_pre_first_schema")):
            importlib.import_module(module.name)


def test_every_error_a_request_can_meet_has_a_row_of_its_own() -> None:
    without = {
        f"{error.__module__}.{error.__name__}"
        for error in errors()
        if error not in ANSWERS and not error.__module__.startswith(NOT_HTTP)
    }

    assert without == {
        "entrepot.access.keys.KeyInvalidError",  # raised at the start, before any request
        "entrepot.scanning.extractor.LimitExceededError",  # ends, as the next one, in the facts of a layer
        "entrepot.scanning.extractor.MetadataInvalidError",
    }


def test_every_kind_has_a_row_for_errors_to_come() -> None:
    assert not KINDS - set(ANSWERS)


def test_every_error_has_the_kind_s_side_of_the_fault() -> None:
    for error, answer in ANSWERS.items():
        ours = issubclass(error, EntrepotError) and answer_for_kind(error).status >= 500
        assert (answer.status >= 500) == ours, error
        assert (answer.api_status >= 500) == ours, error


def answer_for_kind(error: type[EntrepotError]) -> Answer:
    return next(ANSWERS[kind] for kind in error.__mro__ if kind in KINDS)


API_ONLY = {PromotionBlockedError: "BLOCKED"}
"""What /v2 never answers: the code tells scripts a refusal by policy from one by right."""


def test_codes_are_those_of_the_specification() -> None:
    for error, answer in ANSWERS.items():
        if error in API_ONLY:
            assert answer.code == API_ONLY[error]
        elif answer.status < 500:
            assert answer.code in CODES, error
        else:
            assert answer.code in {"UNAVAILABLE", "UNKNOWN"}, error


def test_an_error_without_a_row_is_what_its_nearest_ancestor_is() -> None:
    class NewError(TagInvalidError):
        pass

    assert answer_for(NewError("new")) == ANSWERS[TagInvalidError]
    assert answer_for(EntrepotError("of no kind")) == UNKNOWN


def test_an_error_s_name_and_text_say_so() -> None:
    for error in errors():
        assert error.__name__.endswith("Error"), error
        assert error.__doc__, error
