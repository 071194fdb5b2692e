"""The fuzz, small and the same every time; `make fuzz` runs it long."""

import pytest

from tests.robustness.fuzz import KINDS, Kind, fuzz, outcome


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_input_is_accepted_or_refused_in_a_line(kind) -> None:
    outcomes = fuzz(kind, max(16, round(60 / kind.cost)), derandomize=True)
    assert min(outcomes["accepted"], outcomes["refused"]) >= 3, outcomes  # near enough to what is valid, and far enough


def test_the_fuzz_tells_a_traceback_from_a_refusal(tmp_path) -> None:
    kind = next(iter(KINDS.values()))

    def fails(*_: object) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        fuzz(Kind(kind.inputs, fails), 10, derandomize=True)
    assert outcome(Kind(kind.inputs, lambda *_: None), [], tmp_path) == "accepted"
