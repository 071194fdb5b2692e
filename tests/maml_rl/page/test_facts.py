import shlex

import pytest

from maml_rl import envs
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import flat
from maml_rl.page.facts import OF_PLACE, RunFacts

COMMANDS = [
    "--env navigation-2d --seed 3",
    "--env halfcheetah-dir --algorithm promp --meta-lr 0.002 --keep-best --hidden-sizes 8 8",
    "--env ant-goal --preset promp --num-tasks 7 --iterations 12",
    "--data omniglot --ways 20 --no-transductive --algorithm reptile",
    "--data sinusoid --hidden-sizes 8 --inner-lr 0.02",
]


def parsed(tokens: list[str]):
    return parse_command_line(tokens, "prog", "words", list(envs.ENVS))


@pytest.mark.parametrize("text", COMMANDS)
@pytest.mark.parametrize("iteration", [None, 8])
def test_the_command_of_a_run_gives_its_options(text, iteration) -> None:
    config, _ = parsed(text.split())
    rows = [] if iteration is None else [{"iteration": iteration}]
    command = shlex.split(RunFacts("run", config, 5, rows, []).command)
    assert command[:3] == ["python", "-m", "maml_rl.train"]
    again, _ = parsed(command[3:])
    wanted = flat(config) | ({} if iteration is None else {"iterations": iteration + 1})
    assert {name: value for name, value in flat(again).items() if name not in OF_PLACE} == {
        name: value for name, value in wanted.items() if name not in OF_PLACE
    }
