import ast
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import maml_rl
from maml_rl.envs.keyed_generator import MAX_PART
from maml_rl.machine.keys import Purpose, keyed


def first_draws(purpose: Purpose, seed: int, iteration: int, phase: int) -> list[bytes]:
    """Sixteen bytes of the streams of two tasks, and of their children's."""
    generator = keyed(purpose, seed, iteration, phase)
    return [stream.bytes(16) for each in (generator, generator.child()) for stream in each.streams(2)]


def test_no_two_purposes_meet() -> None:
    # Zeros and ones are where keys of different lengths meet: SeedSequence pads a short one with zeros.
    draws = [first_draws(purpose, *rest) for purpose, *rest in product(Purpose, (0, 1), (0, 1, 2), (0, 1, 2))]
    assert len({draw for each in draws for draw in each}) == sum(map(len, draws)) == len(Purpose) * 18 * 4


def test_short_keys_would_meet() -> None:
    """Why `keyed` gives all keys one length."""
    states = [np.random.SeedSequence(key).generate_state(4) for key in ((1,), (1, 0, 0))]
    assert (states[0] == states[1]).all()


def test_the_largest_numbers_stay_apart() -> None:
    draws = [first_draws(Purpose.TASKS, *key) for key in ((MAX_PART, 0, 0), (0, MAX_PART, 0), (0, 0, MAX_PART))]
    assert len({draw for each in draws for draw in each}) == 12
    for seed in (-1, MAX_PART + 1, "a"):
        with pytest.raises(ValueError, match=f"seed: got {seed!r}, allowed: an integer >= 0 and <= 4294967295"):
            keyed(Purpose.TASKS, seed)  # type: ignore[arg-type]


def test_an_action_of_seed_1_is_not_drawn_with_the_initial_parameters_of_seed_1() -> None:
    action, theta = (keyed(purpose, 1).normal(1, 4) for purpose in (Purpose.ACTIONS, Purpose.INITIAL_PARAMETERS))
    assert not torch.isclose(action, theta).any()


def test_nobody_else_makes_a_generator() -> None:
    """All purposes are on one page."""
    root = Path(maml_rl.__file__).parent
    page, envs = root / "machine" / "keys.py", root / "envs"
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path != page and envs not in path.parents:
                assert "KeyedGenerator" not in ast.unparse(node.func), path
