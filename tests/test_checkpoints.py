"""The shipped policies load, and adapt to tasks they have not seen."""

from pathlib import Path

import numpy as np
import pytest

import maml_rl
from maml_rl.envs import KeyedGenerator
from maml_rl.supervised.omniglot import omniglot

FOLDER = Path(__file__).resolve().parent.parent / "checkpoints"
# Episodes' return after one gradient step minus before, on the task given: far below what was measured.
MARGINS = {
    "navigation-2d": ((0.4, -0.4), 20.0),
    "halfcheetah-dir": (-1.0, 50.0),
    "halfcheetah-vel": (0.3, 5.0),
    "ant-vel": (0.5, 10.0),
    "ant-dir": (-1.0, 50.0),
    "ant-goal": ((-2.0, -1.0), 50.0),
    "walker-dir": (1.0, 100.0),
}
# Return after one step, of policies that hardly need adaptation yet: far above an untrained policy's 32, 58 and 177.
RETURNS = {
    "walker-rand-params": ((0.0,) * 65, 250.0),
    "hopper-rand-params": ((0.0,) * 41, 350.0),
    "humanoid-dir": ((1.0, 0.0), 350.0),
}
# And the number of characters to be told apart.
CLASSIFIERS = {"omniglot": 5, "omniglot-20way": 20, "omniglot-prototypical": 20}


def test_every_shipped_policy_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == {*MARGINS, *RETURNS, *CLASSIFIERS, "sinusoid"}
    assert all(path.stat().st_size < 500_000 for path in FOLDER.glob("*.safetensors"))


@pytest.mark.parametrize("name", MARGINS)
def test_it_adapts(name: str) -> None:
    task, margin = MARGINS[name]
    policy = maml_rl.load(FOLDER / f"{name}.safetensors")
    before = maml_rl.roll_out(policy, task, seed=5).mean_return()
    adapted = maml_rl.adapt(policy, task, seed=6)
    assert maml_rl.roll_out(adapted, task, seed=5).mean_return() > before + margin


@pytest.mark.parametrize("name", RETURNS)
def test_it_stands(name: str) -> None:
    task, least = RETURNS[name]
    adapted = maml_rl.adapt(maml_rl.load(FOLDER / f"{name}.safetensors"), task, seed=6)
    assert maml_rl.roll_out(adapted, task, seed=5).mean_return() > least


def test_a_sinusoid_is_found_from_its_points() -> None:
    x = np.linspace(-5, 5, 101)
    seen = np.array([-4.0, -1.5, 0.0, 1.0, 4.5])
    model = maml_rl.load("sinusoid")
    adapted = maml_rl.adapt(model, seen, 3 * np.sin(seen - 1))
    errors = [float(np.mean((each.predict(x) - 3 * np.sin(x - 1)) ** 2)) for each in (model, adapted)]
    assert errors[1] < min(1.0, errors[0] / 3)


@pytest.mark.parametrize(("name", "ways"), CLASSIFIERS.items())
def test_new_characters_are_told_apart_from_one_drawing_of_each(name, ways) -> None:
    model, data = maml_rl.load(name), omniglot("finn", ways)
    tasks = data.sample_tasks("test", 100 // ways, KeyedGenerator(1))
    support, query = data.examples(tasks, 1, 2, KeyedGenerator(2))
    right = []
    for i in range(len(tasks)):
        adapted = maml_rl.adapt(model, support.inputs[i], support.targets[i].argmax(dim=1).tolist())
        right += (adapted.predict(query.inputs[i]) == query.targets[i].argmax(dim=1).numpy()).tolist()
    assert np.mean(right) > 0.9
