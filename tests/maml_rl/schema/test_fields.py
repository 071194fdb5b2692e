from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from maml_rl.options.config import RlConfig
from maml_rl.schema.bounds import Within
from maml_rl.schema.errors import UsageError
from maml_rl.schema.fields import Mark, merge, names_with


@dataclass(frozen=True)
class Options:
    plain: int = 1
    bounded: Annotated[int, Within(1, 5), Mark.SHARED] = 2
    choice: Annotated[Literal["a", "b"], Mark.SHARED, Mark.FREE_ON_RESUME] = "a"


def test_names_with_a_mark() -> None:
    assert names_with(Options, Mark.SHARED) == ["bounded", "choice"]
    assert names_with(Options, Mark.FREE_ON_RESUME) == ["choice"]
    assert names_with(Options, Mark.SAME_EXPERIMENT) == []


def test_merge_takes_any_dataclass_and_keeps_to_the_bounds_beside_the_marks() -> None:
    assert merge(Options(), {"bounded": 5, "choice": "b"}) == Options(bounded=5, choice="b")
    with pytest.raises(UsageError, match="bounded: got 6, allowed: an integer >= 1 and <= 5"):
        merge(Options(), {"bounded": 6})
    with pytest.raises(UsageError, match="choice: got 'c', allowed: a, b"):
        merge(Options(), {"choice": "c"})


def test_what_a_resumed_run_may_change_makes_no_other_experiment() -> None:
    assert set(names_with(RlConfig, Mark.FREE_ON_RESUME)) < set(names_with(RlConfig, Mark.SAME_EXPERIMENT))
    assert set(names_with(RlConfig, Mark.SAME_EXPERIMENT)) - set(names_with(RlConfig, Mark.FREE_ON_RESUME)) == {"seed"}
