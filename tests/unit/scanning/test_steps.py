import pytest

from entrepot.scanning.steps import build_steps, diff_ids


@pytest.mark.parametrize(
    ("created_by", "step"),
    [
        ('/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'),
        ("/bin/sh -c #(nop) ADD file:5c18 in / ", "ADD file:5c18 in /"),
        ("/bin/sh -c apt-get update &&     apt-get install -y curl", "apt-get update && apt-get install -y curl"),
        ("RUN /bin/sh -c pip install x # buildkit", "RUN pip install x"),
        ("COPY app.py /srv/ # buildkit", "COPY app.py /srv/"),
        ("# debian.sh --arch 'amd64' out/ 'bookworm'", "# debian.sh --arch 'amd64' out/ 'bookworm'"),
        ("RUN printf 'a\nb\x1b[2J'", "RUN printf 'a b [2J'"),
        ("", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_a_step_is_shown_without_what_builders_wrap_around_it(created_by: object, step: str) -> None:
    assert build_steps({"history": [{"created_by": created_by}]}, 1) == (step,)


def test_a_step_is_cut_at_a_thousand_characters() -> None:
    (step,) = build_steps({"history": [{"created_by": "x" * 100_000}]}, 1)

    assert (len(step), step[-1]) == (1_000, "…")


def test_steps_that_made_no_layer_are_left_out() -> None:
    config = {"history": [{"created_by": "a"}, {"created_by": "ENV x", "empty_layer": True}, {"created_by": "b"}]}

    assert build_steps(config, 2) == ("a", "b")


@pytest.mark.parametrize(
    "history",
    [None, [], "x", [{"created_by": "a"}], [{"created_by": "a"}] * 3, [{"created_by": "a"}, 5, {"created_by": "b"}]],
)
def test_a_history_that_does_not_add_up_is_no_guess(history: object) -> None:
    assert build_steps({"history": history}, 2) == ("unknown", "unknown")


@pytest.mark.parametrize("rootfs", [None, [], {"diff_ids": "x"}, {"diff_ids": ["a", 1]}])
def test_broken_diff_ids_are_none(rootfs: object) -> None:
    assert diff_ids({"rootfs": rootfs}) == ()
