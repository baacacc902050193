"""Pipelines: where a repository stands, where its copies go, and what no pipeline can be."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.catalog.errors import PipelineInvalidError
from entrepot.catalog.stages import DEFAULT, Move, Pipeline, Stage, check_pipeline, protected_places, read_pipeline

THREE = Pipeline(
    (Stage("dev"), Stage("test", "t/{repository}"), Stage("live", "live/eu/{repository}")),
    (Move("dev", "test", 0), Move("test", "live", 2)),
)
NAMES = st.from_regex(r"[a-z0-9]{1,6}(/[a-z0-9]{1,6}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("repository", "stage", "base"),
    [
        ("shop/web", "dev", "web"),
        ("shop/t/web", "test", "web"),
        ("shop/live/eu/web/api", "live", "web/api"),
        ("shop/live/web", "dev", "live/web"),
        ("shop/t", "dev", "t"),
        ("shop/tt/web", "dev", "tt/web"),
        ("t/web", "dev", "web"),
    ],
)
def test_a_repository_stands_in_the_stage_whose_place_it_is_below(repository: str, stage: str, base: str) -> None:
    position = THREE.position(repository)

    assert (position.stage.name, position.base) == (stage, base)


@given(NAMES, st.sampled_from([stage.name for stage in THREE.stages]))
def test_a_copy_stands_in_its_stage_and_comes_from_the_same(base: str, stage: str) -> None:
    first = THREE.copy_of(f"shop/{base}", "dev")
    copy = THREE.copy_of(first, stage)

    if THREE.position(first).stage.name == "dev":
        assert THREE.position(copy).stage.name == stage
        assert THREE.copy_of(copy, "dev") == first


def test_a_row_without_a_pipeline_has_the_usual_one() -> None:
    assert read_pipeline(None) == DEFAULT
    assert protected_places(None) == (("prod", "production"),)
    assert read_pipeline(msgspec.json.encode(THREE).decode()) == THREE


def test_a_pipeline_is_written_with_from_and_to() -> None:
    assert msgspec.json.decode(msgspec.json.encode(THREE))["moves"][0] == {"from": "dev", "to": "test", "approvals": 0}


DEV, LIVE = Stage("dev"), Stage("live", "live/{repository}")


@pytest.mark.parametrize(
    ("pipeline", "wrong"),
    [
        (Pipeline((), ()), "1 to 8 stages"),
        (Pipeline((Stage("Dev"),), ()), "no name of a stage"),
        (Pipeline((DEV, Stage("dev", "x/{repository}")), ()), "two stages have the same name"),
        (Pipeline((Stage("dev", "dev/{repository}"),), ()), "it has no target"),
        (Pipeline((DEV, Stage("live")), ()), "must be like"),
        (Pipeline((DEV, Stage("live", "../{repository}")), ()), "must be like"),
        (Pipeline((DEV, Stage("live", "{repository}")), ()), "must be like"),
        (Pipeline((DEV, Stage("live", "a" * 65 + "/{repository}")), ()), "must be like"),
        (Pipeline((DEV, LIVE, Stage("eu", "live/eu/{repository}")), ()), "live/eu/ is inside live/"),
        (Pipeline((DEV, LIVE), (Move("dev", "moon"),)), "'moon', which is no stage"),
        (Pipeline((DEV, LIVE), (Move("live", "dev"),)), "nothing moves from 'live' to 'dev'"),
        (Pipeline((DEV, LIVE), (Move("live", "live"),)), "nothing moves"),
        (Pipeline((DEV, LIVE), (Move("dev", "live"), Move("dev", "live", 2))), "two moves go the same way"),
        (Pipeline((DEV, LIVE), (Move("dev", "live", 6),)), "0 to 5 approvals"),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused_with_what_is_wrong(pipeline: Pipeline, wrong: str) -> None:
    with pytest.raises(PipelineInvalidError) as caught:
        check_pipeline(pipeline)

    assert wrong in str(caught.value.message)


def test_a_good_pipeline_is_taken() -> None:
    check_pipeline(THREE)
    check_pipeline(DEFAULT)
