from math import inf
from typing import get_type_hints

import pytest

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options.config import DataConfig, RlConfig, annotations_of, configure, flat
from maml_rl.options.yaml_file import dump_yaml, load_stored, read_yaml
from maml_rl.schema.bounds import Within
from maml_rl.schema.errors import UsageError
from tests.maml_rl.algorithms.catalogue_names import OF_POLICIES


def test_what_is_dumped_is_what_is_loaded(tmp_path) -> None:
    config = configure(
        RlConfig(), {"cg_damping": 0.0, "hidden_sizes": [64, 32], "inner_lr": 1e-7, "nonlinearity": "tanh"}
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(config))
    assert load_stored(path, "run") == config


def test_a_file_stands_above_the_base_and_leaves_the_rest(tmp_path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("inner_lr: 1e-3\nhidden_sizes: []\n")
    config = configure(RlConfig(num_tasks=7), read_yaml(path))
    assert (config.algorithm_options.inner_lr, config.hidden_sizes, config.num_tasks) == (1e-3, (), 7)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"iner_lr": 0.1}, ["iner_lr", "nearest: inner_lr"]),
        ({"num_tasks": 0}, ["num_tasks", "0", "an integer >= 1"]),
        ({"num_tasks": 2.5}, ["num_tasks", "2.5", "an integer"]),
        ({"num_tasks": "4"}, ["num_tasks", "'4'", "an integer"]),
        ({"num_tasks": True}, ["num_tasks", "True"]),
        ({"inner_lr": -1}, ["inner_lr", "-1", ">= 0"]),
        ({"inner_lr": inf}, ["inner_lr", "inf"]),
        ({"inner_lr": None}, ["inner_lr", "None"]),
        ({"discount": 1.5}, ["discount", "1.5", "a number >= 0 and <= 1"]),
        ({"max_kl": 0}, ["max_kl", "0", "> 0"]),
        ({"hidden_sizes": 100}, ["hidden_sizes", "100", "a list"]),
        ({"hidden_sizes": [100, 0]}, ["hidden_sizes", "[100, 0]", "an integer >= 1"]),
        ({"nonlinearity": "rellu"}, ["nonlinearity", "rellu", "relu, tanh", "nearest: relu"]),
        ({"seed": -1}, ["seed", "-1", ">= 0"]),
        ({"env": 3}, ["env", "3", "text"]),
    ],
)
def test_what_does_not_fit_is_named(values, parts) -> None:
    with pytest.raises(UsageError) as error:
        configure(RlConfig(), values)
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_bounds() -> None:
    assert 0 in Within(0, 1)
    assert 0 not in Within(0, 1, open_low=True)
    assert 1 in Within(0, 1)
    assert 1.1 not in Within(0, 1)


@pytest.mark.parametrize(("episodes", "stride"), [(0, 1), (5, 4), (20, 1), (30, 1), (3, 7)])
def test_options_of_an_earlier_version_are_read_from_what_a_run_wrote(tmp_path, episodes: int, stride: int) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"episodes_per_task: 20\ncurvature_episodes: {episodes}\n")
    assert load_stored(path, "run").algorithm_options.curvature_stride == stride
    with pytest.raises(UsageError, match="curvature_episodes: unknown option"):
        configure(RlConfig(), read_yaml(path))


def test_another_algorithm_takes_over_the_options_that_both_have() -> None:
    config = configure(RlConfig(), {"max_kl": 0.3, "inner_steps": 2})
    oracle = configure(config, {"algorithm": "oracle", "cg_iterations": 7})
    assert (oracle.algorithm_options.max_kl, oracle.algorithm_options.cg_iterations) == (0.3, 7)
    assert "inner_steps" not in flat(oracle)
    assert configure(oracle, {"algorithm": "maml"}).algorithm_options.inner_steps == 1


def test_an_option_of_another_algorithm_is_refused_by_name_and_passed_over_in_a_preset() -> None:
    values = {"algorithm": "pretrain", "inner_steps": 2}
    with pytest.raises(
        UsageError, match=r"^inner_steps: not an option of pretrain, allowed with --algorithm maml, fomaml, [a-z_, ]+$"
    ):
        configure(RlConfig(), values)
    assert configure(RlConfig(), values, lenient=True).algorithm == "pretrain"
    with pytest.raises(UsageError, match="iner_steps: unknown option"):
        configure(RlConfig(), {"iner_steps": 2}, lenient=True)


def test_the_options_of_a_run_are_all_there_by_name() -> None:
    for algorithm in OF_POLICIES:
        values = flat(configure(RlConfig(), {"algorithm": algorithm}))
        assert values.keys() == annotations_of(algorithm).keys()
        assert configure(RlConfig(), values) == configure(RlConfig(), {"algorithm": algorithm})


def test_an_option_means_the_same_wherever_it_is() -> None:
    """A flag is read before it is known which algorithm it is for."""
    kinds = [RlConfig, DataConfig, *{entry.options for entry in ALGORITHMS.values()}]
    annotations: dict[str, object] = {}
    for kind in kinds:
        for name, annotation in get_type_hints(kind, include_extras=True).items():
            assert annotations.setdefault(name, annotation) == annotation, name
