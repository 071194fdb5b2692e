"""The numbers of --observation-mean and --observation-std, as a policy has them."""

import pytest

from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import RlConfig
from maml_rl.options.rl_wiring import make_family, make_model


@pytest.mark.parametrize(("algorithm", "appended"), [("maml", 0), ("oracle", 2), ("rl2", 4)])
def test_what_an_algorithm_appends_to_observations_stays_as_it_is(algorithm: str, appended: int) -> None:
    flags = ["--env", "navigation-2d", "--algorithm", algorithm, "--observation-std", "2", "0.5"]
    config, _ = parse_command_line(flags, "train", "", ["navigation-2d"])
    assert isinstance(config, RlConfig)
    normalization = make_model(config, make_family(config)).normalization
    assert normalization.std == (2.0, 0.5, *(1.0,) * appended)
    assert normalization.mean == (0.0,) * (2 + appended)
