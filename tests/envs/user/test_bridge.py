"""Any Gymnasium environment behind the contract, and what happens where it does not keep its part."""

import multiprocessing
import random

import numpy as np
import pytest
import torch

from maml_rl.envs import KeyedGenerator, OracleFamily
from maml_rl.envs.errors import FamilyError, WorkerError
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.envs.user.bridge import GymnasiumSimulation
from maml_rl.meta.algorithm import FeedForward
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.given_tasks import as_tasks
from maml_rl.rl.sampler import collect
from maml_rl.rl.trajectories import Trajectories
from tests.envs.played import Played, played
from tests.envs.tasks_for_tests import NAME

M, E, H = 3, 2, 6


def bridge(name: str, num_workers: int = 1) -> Played:
    env = played(f"{NAME}:{name}", M, E, num_threads=num_workers)
    assert isinstance(env.simulation, GymnasiumSimulation)
    return env


def play(env: Played, actions: torch.Tensor, key: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Observations [H + 1, M, E, O], rewards and ends [H, M, E]."""
    observations = [env.reset(env.sample_tasks(env.num_tasks, KeyedGenerator(0, 0)), KeyedGenerator(0, key))]
    steps = [env.step(action) for action in actions]
    observations += [step[0] for step in steps]
    return torch.stack(observations), torch.stack([step[1] for step in steps]), torch.stack([step[2] for step in steps])


@pytest.fixture
def actions() -> torch.Tensor:
    return torch.randn(H, M, E, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_contract_at_any_number_of_workers(actions) -> None:
    """Also the global generators of Python and numpy, which the environment draws from too."""
    one, two = bridge("Tasks", 1), bridge("Tasks", 4)
    alone, divided = play(one, actions), play(two, actions)
    for left, right in zip(alone, divided, strict=True):
        assert torch.equal(left, right)
    assert all(torch.equal(left, right) for left, right in zip(alone, play(one, actions), strict=True))
    observations, rewards, ended = alone
    assert observations.shape == (H + 1, M, E, 6)
    assert rewards.shape == ended.shape == (H, M, E)
    assert observations.dtype == rewards.dtype == torch.float64
    draws = observations[0, ..., 3:].flatten()
    assert len(draws.unique()) == len(draws)
    assert not torch.equal(play(one, actions, key=2)[0][..., 3:], observations[..., 3:])
    assert (one.observation_size, one.action_size, one.choices, one.task_shape) == (6, 2, (), (1,))
    assert not one.diverged().any()


def test_a_task_is_given_as_it_was_drawn() -> None:
    env = bridge("Tasks")
    tasks = env.sample_tasks(5, KeyedGenerator(0, 0))
    assert torch.equal(tasks, env.sample_tasks(5, KeyedGenerator(0, 0)))
    assert not torch.equal(tasks, env.sample_tasks(5, KeyedGenerator(0, 1)))
    observations = env.reset(tasks[:M], KeyedGenerator(0))
    assert torch.equal(observations[..., 1], tasks[:M].expand(M, E))
    with pytest.raises(ValueError, match=r"tasks must have shape \(3, 1\)"):
        env.reset(tasks, KeyedGenerator(0))
    assert len(env.describe(tasks[0])) < 30
    assert bridge("Arrays").task_shape == (2,)


def test_the_class_draws_a_whole_meta_batch_at_once() -> None:
    tasks = bridge("Balanced").sample_tasks(6, KeyedGenerator(0, 0))
    assert sorted(tasks[:, 0].tolist()) == [0.25] * 3 + [0.75] * 3
    orders = {tuple(bridge("Balanced").sample_tasks(6, KeyedGenerator(0, key))[:, 0].tolist()) for key in range(9)}
    assert len(orders) > 1


def test_the_class_may_draw_from_the_global_generators(actions) -> None:
    """Also as the module is imported and the class is built: a task then means the same in every process."""
    first, again = (bridge("Benchmark", num_workers) for num_workers in (1, 3))
    assert all(torch.equal(left, right) for left, right in zip(play(first, actions), play(again, actions), strict=True))
    tasks = bridge("GlobalTasks").sample_tasks(4, KeyedGenerator(0, 0))
    assert len(tasks.unique()) == 4
    assert torch.equal(tasks, bridge("GlobalTasks").sample_tasks(4, KeyedGenerator(0, 0)))
    assert not torch.equal(tasks, bridge("GlobalTasks").sample_tasks(4, KeyedGenerator(0, 1)))


def test_building_a_class_leaves_the_global_generators_alone() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()
    bridge("Benchmark").sample_tasks(3, KeyedGenerator(0, 0))
    assert before == (random.getstate(), np.random.get_state()[1].tolist())


def test_a_task_that_is_another_one_in_each_process_is_refused(actions) -> None:
    play(bridge("Unseeded", num_workers=1), actions)
    with pytest.raises(FamilyError, match="is another one in each worker process"):
        play(bridge("Unseeded", num_workers=3), actions)
    assert multiprocessing.active_children() == []
    play(bridge("Moody", num_workers=3), actions)  # its episodes differ after the same seed: nothing can be said of it


def test_tasks_may_be_dicts() -> None:
    env = bridge("Named")
    assert env.family.task_parts == (("length", ()), ("wind", (2,)))
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    assert tasks.shape == (M, 3)
    observations = env.reset(tasks, KeyedGenerator(0))
    assert torch.equal(observations[..., 1], (tasks[:, :1] + tasks[:, 2:]).expand(M, E))
    given = as_tasks([{"wind": [1, 2], "length": 3}], env.family, "task")
    assert given.tolist() == [[3, 1, 2]]
    for wrong in (3.0, {"length": 3}, {"length": [3], "wind": [1, 2]}, {"length": 3, "wind": [1, None]}):
        with pytest.raises(ValueError, match=r"allowed: a dict of numbers .* with the keys length, wind"):
            as_tasks([wrong], env.family, "task")


@pytest.mark.parametrize("name", ["OnlyHits", "OnlyAtTheEnd", "OtherName"])
def test_a_success_that_is_not_always_said(name) -> None:
    trajectories = roll_out(bridge(name))
    lengths = (3 + (4 * trajectories.observations[:, :, 0, 1]).round()).long()  # [M, E]
    assert trajectories.rated
    assert trajectories.successes.isnan().any() == (name == "OnlyHits")
    met = {"OnlyHits": lengths > 4, "OnlyAtTheEnd": lengths > 4, "OtherName": lengths > 4}[name]
    assert met.any()
    assert torch.equal(trajectories.success_rates(), met.float().mean(dim=1).to(trajectories.success_rates()))
    sums = trajectories.sums(1.0)
    assert sums["successes"] == met.sum()


def test_bounded_actions_have_their_full_range_at_one_and_are_clipped() -> None:
    env = bridge("Tasks")
    outputs = torch.tensor([-1.0, 0.0, 0.5, 1.0, 7.0, -7.0]).double()[:, None, None, None].expand(-1, M, E, 2)
    observations, rewards, _ = play(env, outputs[:2])
    assert rewards[:, 0, 0].tolist() == [0, 5]
    assert observations[1:, 0, 0, 2].tolist() == [-1, 1]
    observations, rewards, _ = play(env, outputs[2:5])
    assert rewards[:, 0, 0].tolist() == [7.5, 10, 10]


def test_choices_begin_where_the_space_does() -> None:
    env = bridge("Choices")
    assert (env.action_size, env.choices) == (3, (3,))
    one_hot = torch.eye(3).double()[:, None, None].expand(-1, M, E, 3)
    assert play(env, one_hot)[1][:, 0, 0].tolist() == [5, 6, 7]


def rows(*choices: int, sizes: tuple[int, ...]) -> torch.Tensor:
    """The policy's output for an action of several choices, of all simulations [M, E, A]."""
    row = torch.cat([torch.eye(size)[choice] for choice, size in zip(choices, sizes, strict=True)])
    return row.double().expand(M, E, -1)


def test_actions_of_several_choices() -> None:
    """In the space's own numbers, type and shape, which the environment asserts."""
    env = bridge("ManyActions")
    assert (env.action_size, env.choices) == (5, (2, 3))
    actions = [rows(*choices, sizes=(2, 3)) for choices in ((0, 0), (1, 2), (0, 1))]
    observations, rewards, _ = play(env, torch.stack(actions))
    assert rewards[:, 0, 0].tolist() == [0, 1, 0]
    assert observations[1:, 0, 0, 2].tolist() == [5, 7, 6]
    env = bridge("Buttons")
    assert (env.action_size, env.choices) == (8, (2, 2, 2, 2))
    actions = [rows(*choices, sizes=env.choices) for choices in ((0, 1, 1, 0), (1, 0, 0, 1))]
    observations, rewards, _ = play(env, torch.stack(actions))
    assert rewards[:, 0, 0].tolist() == [0, 1]
    assert observations[1:, 0, 0, 2].tolist() == [0, 1]


def test_observations_in_parts_are_flattened() -> None:
    env = bridge("Parts")
    assert env.observation_size == 9 + 2 + 5 + 2
    observations, *_ = play(env, torch.zeros(3, M, E, 2))
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0)).float().double()
    for t, row in enumerate(observations[:, 1, 0]):
        step, more = row.split([9, 9])
        assert more.tolist() == [tasks[1].item(), 0.5, 0, 1, *np.eye(3)[t % 3], 0, 1]
        assert step.argmax() == t + 1
        assert step.sum() == 1


def test_an_ended_simulation_rests(actions) -> None:
    observations, _, ended = play(bridge("Tasks"), actions)
    for m in range(M):
        last = 3 + round(4 * observations[0, m, 0, 1].item())
        assert observations[:, m, 0, 0].tolist() == [min(t, last) for t in range(H + 1)]
        assert ended[:, m, 0].tolist() == [t + 1 >= last for t in range(H)]


def roll_out(env: Played) -> Trajectories:
    policy = MlpPolicy(env.observation_size, env.action_size, (8,), choices=env.choices)
    theta_M = policy.initial_parameters(KeyedGenerator(0)).expand(M, -1)
    tasks = env.sample_tasks(M, KeyedGenerator(0, 0))
    actor = FeedForward(policy, theta_M)
    return collect(env.family, [env.simulation], actor, tasks, KeyedGenerator(0, 1), H)


@pytest.mark.parametrize("told", [False, True])
def test_a_time_limit_of_its_own_is_no_termination(told) -> None:
    env = bridge("Tasks")
    trajectories = roll_out(played(OracleFamily(env.family), M, E, num_threads=2) if told else env)
    lengths = (3 + (4 * trajectories.observations[:, :, 0, 1]).round()).long()  # [M, E]
    assert (lengths < H).any()
    assert torch.equal(trajectories.first.sum(dim=-1), lengths.clamp(max=H))
    assert not trajectories.terminated.any()
    assert (trajectories.success_rates() == 1).all()  # at the second step, not at the last
    steps = torch.arange(H).expand(M, E, H)
    assert torch.equal(trajectories.truncated, (steps + 1) % lengths[..., None] == 0)
    # The environment counts its steps: it has been reset where the times begin anew.
    assert torch.equal(trajectories.times, steps % lengths[..., None])
    assert torch.equal(trajectories.observations[..., 0].long(), trajectories.times)
    cut = trajectories.cut_observations[trajectories.truncated][:, 0]
    assert torch.equal(cut.long(), lengths[..., None].expand(M, E, H)[trajectories.truncated])


def test_restarts_are_keyed_at_any_number_of_workers() -> None:
    alone, divided = roll_out(bridge("Tasks", 1)), roll_out(bridge("Tasks", 4))
    assert torch.equal(alone.observations, divided.observations)
    draws = alone.observations[..., 3:].flatten()
    assert len(draws.unique()) == len(draws)  # each episode has chance of its own


def test_no_process_is_left_and_none_begins_before_it_is_needed(actions) -> None:
    env = bridge("Tasks", 2)
    assert multiprocessing.active_children() == []
    play(env, actions)
    assert len(multiprocessing.active_children()) == 2
    del env
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Nothing", "has no class Nothing, allowed: Tasks, Choices"),
        ("UnpicklableError", "has no method make_env, sample_tasks, set_task"),
        ("NoSetTask", "has no method set_task"),
        ("Arguments", "missing a required argument: 'size'"),
        ("PairOfActions", "action space is Tuple, allowed: Discrete, MultiDiscrete, MultiBinary, Box of floats"),
        ("NoActions", "action space is MultiDiscrete"),
        ("GraphObservations", "observation space is Dict, allowed: a Box, .* no Graph"),
        ("SequenceObservations", "observation space is Sequence, allowed: a Box, .* no Sequence"),
        ("EmptyObservations", "observation space is Dict, allowed: a Box, "),
        ("Ragged", r"a task of shape \(2,\), allowed: shape \(1,\)"),
        ("TooFew", r"sample_tasks\(3\) gave 1 tasks, allowed: 3"),
        ("Refuses", None),
        ("Words", "gave .*'north'.*, allowed: n tasks: numbers, arrays of numbers"),
        ("HugeTasks", "sample_tasks gave .*, allowed: n tasks: numbers"),
        ("NoRng", r"sample_tasks cannot be called \(.*\), allowed: sample_tasks\(self, n, rng\)"),
        ("NoActionSpace", "its action space is NoneType, allowed: Discrete"),
        ("NoSpaces", "its environment has no observation_space"),
        ("NoEnv", "make_env gave a NoneType"),
    ],
)
def test_a_class_that_cannot_be(name, fault) -> None:
    if fault is None:
        with pytest.raises(WorkerError, match=r"(?s)an exception in sample_tasks.*Traceback.*n must be even"):
            bridge(name)
        return
    with pytest.raises(FamilyError, match=f"^{NAME}:{name}: .*{fault}"):
        bridge(name)


@pytest.mark.parametrize("name", ["nothing_here:Tasks", "tests.envs:", ":Tasks", "a b:C"])
def test_a_name_that_cannot_be(name) -> None:
    with pytest.raises(FamilyError, match="allowed"):
        played(name, M, E)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("NanObservation", "step gave an observation that is NaN"),
        ("NanReward", "step gave a reward that is NaN"),
        ("Flat", "gave an observation of 3 numbers, allowed: 6"),
        ("NoNumbers", r"gave observation = {'x': array.*, allowed: Box\(-inf, inf, \(2, 3\), float64\)$"),
        ("LacksPart", r"gave observation = {'step': 0}, allowed: Dict\('step': Discrete\(9, start=-1\), 'more': "),
        ("WrongPart", r"gave observation\['more'\]\[1\] = array\(\[1, 3\]\), allowed: MultiDiscrete\(\[2 3\]\)$"),
        (
            "SmallPart",
            r"gave observation\['more'\]\[0\] = array\(\[0\.\]\), allowed: Box\(-1.0, 1.0, \(1, 2\), float32\)$",
        ),
        ("OneEnv", "make_env gave the same environment twice"),
        ("OldReset", "reset gave only an observation, allowed: reset"),
        ("NoSeed", "its reset takes no seed, allowed: reset"),
        ("OldStep", "step gave 4 values, allowed: observation, reward, terminated, truncated"),
        ("EndArray", r"step gave a terminated of shape \(1,\), allowed: true or false"),
        ("RewardText", "step gave a reward that is a str, allowed: a number"),
        ("RewardArray", r"step gave a reward of shape \(1,\), allowed: a number"),
        ("NoInfo", "step gave an info that is a NoneType, allowed: observation, reward"),
        ("SuccessText", "gave an info with a success of str"),
    ],
)
def test_a_fault_on_the_way(name, fault, actions) -> None:
    with pytest.raises(FamilyError, match=f"^{NAME}:{name}: {fault}"):
        play(bridge(name), actions)
    assert multiprocessing.active_children() == []


def test_an_exception_brings_its_traceback_and_the_next_reset_begins_anew(actions) -> None:
    env = bridge("Raises", 2)
    play(env, actions)
    with pytest.raises(WorkerError, match=r"(?s)Traceback.*in step.*UnpicklableError: the gripper is stuck$"):
        [play(env, actions) for _ in range(10)]
    assert multiprocessing.active_children() == []
    play(env, actions)


def test_a_killed_worker_is_noticed(actions) -> None:
    with pytest.raises(
        WorkerError, match=r"^[\w.]+:Killed: a worker process was killed by SIGKILL \(out of memory\?\)$"
    ):
        play(bridge("Killed"), actions)


def test_there_are_no_pictures() -> None:
    env = bridge("Tasks")
    with pytest.raises(RenderingError, match=f"{NAME}:Tasks"):
        env.make_renderer(torch.zeros(1), 64, 64)
    env.reset(env.sample_tasks(M, KeyedGenerator(0)), KeyedGenerator(0))
    env.step(torch.zeros(M, E, 2))
    snapshot = env.snapshot()  # a seed, the action in the user's numbers, and the observation
    assert snapshot.shape == (M, E, 1 + 2 + 6)
    assert len(snapshot[..., 0].unique()) == M * E
    assert torch.equal(snapshot[0, 0, 1:3], torch.tensor([5.0, 1.0], dtype=torch.float64))
