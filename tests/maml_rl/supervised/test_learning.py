"""The algorithms that have no word of reinforcement learning learn on this side too, by the same core."""

import numpy as np
import pytest

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.threads import one_torch_thread
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.regressor import MlpRegressor
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.sinusoid import Sinusoid

ITERATIONS = 400
BY_ADAM = {"outer_step": "adam", "meta_lr": 3e-3}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("maml", BY_ADAM),
        ("fomaml", BY_ADAM),
        ("anil", BY_ADAM),
        ("meta_sgd", BY_ADAM | {"max_init_lr": 0.02}),
        ("reptile", {"inner_steps": 10, "meta_lr": 1.0}),
        ("reptile", {"inner_steps": 5, "meta_lr": 0.5, "inner_optimiser": "adam"}),
    ],
    ids=str,
)
def test_waves_are_learned_so_that_a_gradient_step_fits_another(name, options) -> None:
    model, data = MlpRegressor(), Sinusoid()
    rate = {} if name == "meta_sgd" else {"inner_lr": 0.01}
    algorithm = ALGORITHMS[name].make(ALGORITHMS[name].options(**(rate | options)))
    state = algorithm.init(model, KeyedGenerator(1))
    pre, post = [], []
    for iteration in range(ITERATIONS):
        tasks = data.sample_tasks("train", 10, KeyedGenerator(2, iteration))
        problem = Episodes(
            model,
            data,
            tasks,
            Draws(Purpose.EPISODES, 1, iteration),
            shots=10,
            queries=10,
            steps=algorithm.trained_steps,
            mean=TaskMean(len(tasks)),
            random=np.random.default_rng(0),
            progress=iteration / ITERATIONS,
        )
        with one_torch_thread():
            before, (state, _) = state, algorithm.update(state, problem)
            metrics = episode_metrics(problem, algorithm, before, state)
        pre.append(metrics["loss/pre"])
        post.append(metrics["loss/post"])
    assert np.mean(post[-50:]) < 0.85 * np.mean(post[:50])
    assert np.mean(post[-50:]) < np.mean(pre[-50:])
