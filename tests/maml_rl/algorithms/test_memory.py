"""The memory of Kaiser et al. 2017: its rules by plain loops, what changes nothing, and that it learns."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch

from maml_rl.algorithms.memory import (
    Memory,
    MemoryOptions,
    by_showing,
    check_sharing,
    in_random_order,
    keys_of,
    margin_loss,
)
from maml_rl.envs import KeyedGenerator
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.threads import one_torch_thread
from maml_rl.meta.task_mean import TaskMean
from maml_rl.models.key_network import KeyNetwork
from maml_rl.models.parameters import unflatten
from maml_rl.schema.errors import UsageError
from maml_rl.supervised.episode_metrics import episode_metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.key_memory import class_similarity, empty_memory, shown
from maml_rl.supervised.omniglot import omniglot
from tests.maml_rl import finite_differences

D = torch.float64
NETWORK = KeyNetwork(filters=6, size=32)
MEMORY = Memory(MemoryOptions(meta_lr=0.003, memory_size=200, key_size=32, dropout=0.0))


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=D)
    return drawn / drawn.norm(dim=-1, keepdim=True)


def noise_like(slots: int, moments: int) -> torch.Tensor:
    drawn = torch.rand(moments, 1, slots, generator=torch.Generator().manual_seed(5), dtype=D)
    return 16 * drawn - 8


def episodes(model, num_tasks: int = 2, iteration: int = 0, ways: int = 3, queries: int = 3) -> Episodes:
    data = omniglot("vinyals", ways)
    return Episodes(
        model,
        data,
        data.sample_tasks("train", num_tasks, KeyedGenerator(2, iteration)),
        Draws(Purpose.EPISODES, 1, iteration),
        shots=1,
        queries=queries,
        steps=1,
        mean=TaskMean(num_tasks),
        random=np.random.default_rng(iteration),
    )


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def plain_run(queries, values, noise, slots: int, neighbours: int, margin: float):
    """One memory as a list of slots, [key, value, age] or None: losses, hits, and the slots in the end."""
    memory: list[list | None] = [None] * slots
    waiting = [0] * slots  # ages of the slots, of empty ones too
    losses, hits = [], []
    for t in range(queries.shape[1]):
        moment, said = list(zip(queries[:, t].tolist(), values[:, t].tolist(), strict=True)), []
        for q, y in moment:
            ranked = sorted((s for s in range(slots) if memory[s]), key=lambda s, q=q: -cosine(q, memory[s][0]))
            pool = set(ranked[:neighbours])
            own = [s for s in ranked if memory[s][1] == y]
            if own:
                pool.add(min(own, key=lambda s: waiting[s]))
            right = max((cosine(q, memory[s][0]) for s in pool if memory[s][1] == y), default=0.0)
            wrong = max((cosine(q, memory[s][0]) for s in pool if memory[s][1] != y), default=0.0)
            losses.append(max(0.0, wrong - right + margin) - margin)
            said.append(ranked[0] if ranked and memory[ranked[0]][1] == y else None)
        hits += [slot is not None for slot in said]
        order = sorted(range(slots), key=lambda s, t=t: -(waiting[s] + float(noise[t, 0, s])))
        free = [s for s in order if s not in said]
        waiting = [age + 1 for age in waiting]
        for (q, y), slot in zip(moment, said, strict=True):
            if slot is None:
                slot, key = free.pop(0), q
            else:
                total = [a + b for a, b in zip(memory[slot][0], q, strict=True)]
                key = [a / sqrt(cosine(total, total)) for a in total]
            memory[slot], waiting[slot] = [key, y], 0
    return losses, hits, memory, waiting


@pytest.mark.parametrize(("slots", "neighbours"), [(40, 256), (12, 3), (5, 2), (3, 1)])
def test_reading_update_rule_and_loss_in_plain_numbers(slots, neighbours) -> None:
    """Three sequences of two classes each share a memory; with few slots the old is written over."""
    queries = units(3, 25, 4)
    values = torch.randint(2, (3, 25), generator=torch.Generator().manual_seed(1)) + 2.0 * torch.arange(3)[:, None]
    noise = noise_like(slots, 25)
    losses, hits, slots_then, ages = plain_run(queries, values, noise, slots, neighbours, 0.1)
    start = empty_memory(1, slots, 4, queries)
    memory, reading = shown(start, queries[None], values[None].double(), neighbours, noise)
    found = margin_loss(queries, reading.right[0], reading.wrong[0], 0.1)
    np.testing.assert_allclose(found.T.flatten(), losses, rtol=1e-9, atol=1e-12)
    assert reading.hit[0].T.flatten().tolist() == hits
    assert any(hits)
    assert memory.ages[0].tolist() == ages
    for slot, key, value in zip(slots_then, memory.keys[0], memory.values[0].tolist(), strict=True):
        assert value == (-1 if slot is None else slot[1])
        np.testing.assert_allclose(key, [0] * 4 if slot is None else slot[0], rtol=1e-9, atol=1e-12)


def test_memories_side_by_side_are_memories_alone() -> None:
    queries, values = (
        units(3, 1, 9, 4),
        torch.randint(3, (3, 1, 9), generator=torch.Generator().manual_seed(1)).double(),
    )
    together, _ = shown(empty_memory(3, 6, 4, queries), queries, values, 256)
    for i in range(3):
        alone, _ = shown(empty_memory(1, 6, 4, queries), queries[i : i + 1], values[i : i + 1], 256)
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], other[i])


def test_relabelling_changes_labels_alone() -> None:
    queries, asked = units(2, 1, 9, 4), units(2, 5, 4, seed=3)
    values = torch.randint(3, (2, 1, 9), generator=torch.Generator().manual_seed(1))
    other = torch.tensor([2, 0, 1])
    plain, _ = shown(empty_memory(2, 20, 4, queries), queries, values.double(), 256)
    renamed, _ = shown(empty_memory(2, 20, 4, queries), queries, other[values].double(), 256)
    torch.testing.assert_close(renamed.keys, plain.keys)
    torch.testing.assert_close(class_similarity(renamed, asked, 3)[..., other], class_similarity(plain, asked, 3))


def test_a_shot_given_twice_keeps_the_prediction() -> None:
    """Its second showing finds its own key. (A later shot of a class may move an earlier one's key, twice further.)"""
    queries, asked = units(2, 1, 6, 4), units(2, 5, 4, seed=3)
    values = torch.arange(6.0).expand(2, 1, -1).double()
    once, _ = shown(empty_memory(2, 20, 4, queries), queries, values, 256)
    twice, reading = shown(
        empty_memory(2, 20, 4, queries), queries.repeat_interleave(2, 2), values.repeat_interleave(2, 2), 256
    )
    assert reading.hit[:, :, 1::2].all()
    torch.testing.assert_close(class_similarity(twice, asked, 6), class_similarity(once, asked, 6))


def test_ages_count_the_examples_since_a_slot_was_written() -> None:
    queries = torch.eye(4, dtype=D)[[0, 1, 2, 0, 3]][None, None]
    memory, _ = shown(empty_memory(1, 9, 4, queries), queries, torch.tensor([[[0, 1, 2, 0, 1.0]]]).double(), 256)
    written = memory.values[0] >= 0
    assert sorted(memory.ages[0][written].tolist()) == [0, 1, 2, 3]  # the first one's was made new by the fourth
    assert (memory.ages[0][~written] == 5).all()
    assert (memory.keys.norm(dim=2)[0] - written.double()).abs().max() < 1e-12


def test_a_class_without_a_key_is_never_chosen() -> None:
    queries = -units(1, 1, 1, 4)
    memory, _ = shown(empty_memory(1, 3, 4, queries), queries, torch.ones(1, 1, 1, dtype=D), 256)
    assert class_similarity(memory, units(1, 6, 4, seed=2), 3).argmax(dim=2).unique().tolist() == [1]


def test_the_network_is_torch_s() -> None:
    model = KeyNetwork((2, 6, 10), filters=3, size=5)
    theta = model.initial_parameters(KeyedGenerator(0)).double()
    theta += 0.1 * torch.randn(len(theta), generator=torch.Generator().manual_seed(0), dtype=D)
    images = torch.rand(1, 4, 2, 6, 10, generator=torch.Generator().manual_seed(1), dtype=D)
    parts = {name: part[0] for name, part in unflatten(model.parameter_shapes, theta[None]).items()}
    x = images[0]
    for i in range(4):
        layer = torch.nn.Conv2d(x.shape[1], len(parts[f"conv{i}.bias"]), 3, padding="same", dtype=D)
        layer.load_state_dict({name: parts[f"conv{i}.{name}"] for name in ("weight", "bias")})
        x = layer(x).relu()
        x = torch.nn.MaxPool2d(2, ceil_mode=True)(x) if i in (1, 3) else x
    x = (x.flatten(1) @ parts["hidden.weight"] + parts["hidden.bias"]) @ parts["projection.weight"]
    expected = x / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model.at(theta[None])(images).mean[0], expected)
    both = model.at(torch.stack([theta + 1, theta]))(images.expand(2, -1, -1, -1, -1)).mean
    torch.testing.assert_close(both[1], expected)  # each task has its own network


def test_the_gradient_of_the_loss_is_that_of_finite_differences() -> None:
    """At queries that are normalised, with the keys held fixed; a step of 1e-5 crosses no corner of the loss here."""
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=D)
    right, wrong = units(1, 6, 3, seed=3), units(1, 6, 3, seed=4)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return margin_loss(torch.nn.functional.normalize(x.view(1, 6, 3), dim=2), right, wrong, 0.1).mean()

    point = x.flatten().requires_grad_()
    (found,) = torch.autograd.grad(loss(point), point)
    expected = finite_differences.gradient(lambda y: float(loss(y)), point.detach())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert 0 < int((found.view(6, 3).norm(dim=1) > 0).sum()) < 6  # some are within the margin, some beyond


@pytest.mark.parametrize(("max_gradient", "dropout"), [(5.0, 0.0), (1e-3, 0.0), (5.0, 0.7)])
def test_the_update_is_adam_on_a_plain_loop_s_gradient(max_gradient, dropout) -> None:
    """All keys by one network; those of the memory are constants."""
    algorithm = Memory(replace(MEMORY.options, max_gradient=max_gradient, age_noise=0.0, dropout=dropout))
    state = {name: part.double() for name, part in algorithm.init(NETWORK, KeyedGenerator(1)).items()}
    problem = episodes(NETWORK)
    after, metrics = algorithm.update(state, problem)
    support, query = (each.to(torch.device("cpu"), D) for each in problem.sets)
    random = np.random.default_rng(0)
    batch = in_random_order(support, query, random)
    random.random((12, 1, 200))  # the noise of ages
    kept = torch.from_numpy(random.random((2, 12, 32)) >= dropout)
    oracle = torch.nn.Parameter(state["theta"].clone())

    def key(i: int, t: int) -> torch.Tensor:
        """Of a network whose projection, its last weights, has no row for what is left out."""
        rows = kept[i, t].to(D).repeat_interleave(32)
        theta = oracle * torch.cat([torch.ones(len(oracle) - len(rows), dtype=D), rows])
        return keys_of(NETWORK, theta[None], batch.inputs[i : i + 1, t : t + 1])[0, 0]

    queries = torch.stack([torch.stack([key(i, t) for t in range(12)]) for i in range(2)])
    values = batch.targets.argmax(dim=2) + 3 * torch.arange(2)[:, None]
    noise = torch.zeros(12, 1, 200)
    losses, hits, _, _ = plain_run(queries.detach(), values, noise, 200, 256, 0.1)
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    _, reading = shown(empty_memory(1, 200, 32, oracle.detach()), queries.detach()[None], values[None].double(), 256)
    assert reading.hit[0].T.flatten().tolist() == hits
    margin_loss(queries, reading.right[0], reading.wrong[0], 0.1).mean().backward()
    torch.nn.utils.clip_grad_norm_([oracle], max_gradient)
    torch.optim.Adam([oracle], lr=0.003, eps=1e-4).step()
    torch.testing.assert_close(after["theta"], oracle.detach(), rtol=1e-4, atol=1e-7)
    written = int((after["memory.values"] >= 0).sum())
    assert written == hits.count(False)  # the state has the memory of the iteration


def test_accuracy_by_showing() -> None:
    targets = torch.eye(2)[torch.tensor([[0, 1, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0]])]
    hit = torch.tensor([[0, 0, 1, 0, 1, 1], [0, 0, 1, 0, 1, 0]]).bool()
    assert by_showing(hit, targets) == {"memory/showing_1": 0.0, "memory/showing_2": 0.5, "memory/showing_3": 0.75}


def test_it_learns_to_tell_characters_apart() -> None:
    state, found = MEMORY.init(NETWORK, KeyedGenerator(1)), []
    with one_torch_thread():
        for iteration in range(80):
            problem = episodes(NETWORK, 4, iteration, ways=5, queries=5)
            before, (state, metrics) = state, MEMORY.update(state, problem)
            if iteration >= 60 or iteration < 10:
                found.append(metrics | episode_metrics(problem, MEMORY, before, state))
    early, late = found[:10], found[-20:]

    def mean(name: str, rows: list) -> float:
        return float(np.mean([row[name] for row in rows]))

    assert mean("accuracy/pre", found) == pytest.approx(0.2)
    assert mean("memory/showing_1", found) == 0  # no key has the value yet
    assert mean("loss", late) < mean("loss", early) - 0.02
    assert mean("accuracy/post", late) > max(0.6, mean("accuracy/post", early) + 0.05)
    assert mean("memory/showing_6", late) > mean("memory/showing_2", late) > 0.3  # of 20 classes


def test_a_task_s_prediction_depends_on_no_other_task() -> None:
    state, problem = MEMORY.init(NETWORK, KeyedGenerator(1)), episodes(NETWORK, 3)
    *_, all_of_them = MEMORY.adapt(state, problem, 1)
    inputs = problem.sets[1].inputs
    together = all_of_them(inputs, None)[0].logits
    *_, first = MEMORY.adapt(state, replace(problem, tasks=problem.tasks[:1]), 1)
    torch.testing.assert_close(first(inputs[:1], None)[0].logits, together[:1])
    torch.testing.assert_close(all_of_them.rows(slice(1, 3))(inputs[1:], None)[0].logits, together[1:])


def test_ranks_and_too_few_slots_are_refused() -> None:
    check_sharing(MEMORY.options, 200, 1)
    with pytest.raises(UsageError, match="got 2 ranks, allowed with memory: 1"):
        check_sharing(MEMORY.options, 4, 2)
    with pytest.raises(UsageError, match="--memory-size: got 200, allowed: >= 201"):
        check_sharing(MEMORY.options, 201, 1)
