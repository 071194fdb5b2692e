"""Iterations per second of MAML on Omniglot: ours, and the same with torch.func and with learn2learn, in turns.

All train the same network on as many tasks, shots and inner steps, by exact second derivatives and Adam, and draw their
episodes with the same code. `loop` takes the tasks one after another, by torch.func's `functional_call` and `grad`;
`vmap` all at once, by its `vmap`; `learn2learn` is its class MAML, used as its example maml_omniglot does, without that
one's validation in each iteration. It is timed if it is installed. Before anything is timed, all must agree on the loss
and the meta-gradient, in float64.

Threads: ours works on as many tasks at once, the others give them to PyTorch, which shares each operation between them.
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap
from torch.nn.functional import cross_entropy

from benchmarks.command import run
from benchmarks.measure import machine, median_seconds
from maml_rl.machine.keys import Draws, Purpose
from maml_rl.machine.threads import num_cpus, use_threads
from maml_rl.meta.inner_loop import Inner, inner_loop
from maml_rl.meta.meta_gradient import meta_gradient
from maml_rl.models.batch_norm import EPSILON
from maml_rl.models.conv import ConvClassifier
from maml_rl.models.parameters import unflatten
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import DataConfig
from maml_rl.options.data_wiring import DataSetting, make_data_setting
from maml_rl.options.parts import choose_device
from maml_rl.runs.checkpoint import Checkpoint
from maml_rl.runs.loop import iterate
from maml_rl.schema.bounds import Count
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.examples import Examples

PROG = "python -m benchmarks.omniglot"
TRAINED_WITH = ("ways", "shots", "num_tasks", "inner_steps", "filters", "num_threads", "device")


@dataclass(frozen=True)
class Options:
    ways: int = 5
    shots: int = 1
    num_tasks: int = 32
    inner_steps: int = 1
    filters: int = 64
    num_threads: int = 1
    repeats: Count = 7
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    physics: Literal["auto", "cpu", "warp"] = "auto"
    """Without effect: there is no physics. So that all benchmarks take the same options."""


# The mean loss of the adapted networks on the query sets, and its gradient by the network's parameters.
Gradients = Callable[[Examples, Examples], tuple[float, Sequence[Tensor]]]


class Shift(nn.Module):
    """What `ConvClassifier`'s normalisations add: a number for each filter."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(filters, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def network(model: ConvClassifier, theta: Tensor) -> nn.Sequential:
    """The model at theta [P] as PyTorch's modules. Their parameters come in the order of theta."""
    channels = [model.image_shape[0], *[model.filters] * model.blocks]
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(channels):
        norm = nn.BatchNorm2d(size_out, EPSILON, affine=False, track_running_stats=False)
        layers += [nn.Conv2d(size_in, size_out, 3, 2, 1, bias=False), norm, Shift(size_out), nn.ReLU()]
    modules = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(model.filters, model.ways))
    parts = unflatten(model.parameter_shapes, theta[None])
    with torch.no_grad():
        for parameter, part in zip(modules.to(theta).parameters(), parts.values(), strict=True):
            parameter.copy_(_as_module_has_it(part[0]).reshape(parameter.shape))
    return modules


def _as_module_has_it(part: Tensor) -> Tensor:
    """nn.Linear's matrix is the transpose of ours."""
    return part.T if part.dim() == 2 else part


def by_torch_func(modules: nn.Module, inner_lr: float, steps: int, at_once: bool) -> Gradients:
    """at_once: the tasks by `vmap`; if not, one after another."""
    parameters = {name: part.detach() for name, part in modules.named_parameters()}  # that Adam moves in place

    def loss(of: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(functional_call(modules, of, (inputs,)), targets)

    def task_loss(of: dict[str, Tensor], *sets: Tensor) -> Tensor:
        support, query = sets[:2], sets[2:]
        for _ in range(steps):
            gradient = grad(loss)(of, *support)
            of = {name: part - inner_lr * gradient[name] for name, part in of.items()}
        return loss(of, *query)

    def gradients(support: Examples, query: Examples) -> tuple[float, Sequence[Tensor]]:
        sets = support.inputs, support.targets, query.inputs, query.targets
        of_task = grad_and_value(task_loss)
        if at_once:
            by_task, losses = vmap(of_task, in_dims=(None, 0, 0, 0, 0))(parameters, *sets)
            return float(losses.mean()), [by_task[name].mean(dim=0) for name in parameters]
        total, sums = 0.0, [torch.zeros_like(part) for part in parameters.values()]
        for task in zip(*sets, strict=True):
            gradient, value = of_task(parameters, *task)
            total += float(value)
            for into, name in zip(sums, parameters, strict=True):
                into += gradient[name]
        return total / len(query.inputs), [each / len(query.inputs) for each in sums]

    return gradients


def by_learn2learn(modules: nn.Module, inner_lr: float, steps: int, maml_class: Any) -> Gradients:
    """maml_class: its MAML."""
    maml = maml_class(modules, lr=inner_lr, first_order=False)

    def gradients(support: Examples, query: Examples) -> tuple[float, Sequence[Tensor]]:
        maml.zero_grad()
        total = 0.0
        for i in range(len(query.inputs)):
            learner = maml.clone()
            for _ in range(steps):
                learner.adapt(cross_entropy(learner(support.inputs[i]), support.targets[i]))
            error = cross_entropy(learner(query.inputs[i]), query.targets[i])
            error.backward()
            total += error.item()
        return total / len(query.inputs), [part.grad / len(query.inputs) for part in maml.parameters()]

    return gradients


def learn2learn_maml() -> Any:
    """learn2learn's class MAML, or None if it is not installed."""
    try:
        return importlib.import_module("learn2learn").algorithms.MAML
    except ImportError:
        return None


def others(setting: DataSetting, theta: Tensor) -> dict[str, tuple[nn.Module, Gradients]]:
    """Networks at theta [P], with their gradients."""
    model, options = setting.model, setting.config.algorithm_options
    assert isinstance(model, ConvClassifier)
    lr, steps = options.inner_lr, options.inner_steps
    makers: dict[str, Callable[[nn.Module], Gradients]] = {
        "loop": lambda modules: by_torch_func(modules, lr, steps, at_once=False),
        "vmap": lambda modules: by_torch_func(modules, lr, steps, at_once=True),
    }
    if maml_class := learn2learn_maml():
        makers["learn2learn"] = lambda modules: by_learn2learn(modules, lr, steps, maml_class)
    networks = {name: network(model, theta) for name in makers}
    return {name: (networks[name], make(networks[name])) for name, make in makers.items()}


def episodes(setting: DataSetting, iteration: int) -> Episodes:
    """Those of an iteration, as `maml_rl.runs.loop.iterate` draws them."""
    tasks = setting.sample_tasks(iteration)
    return setting.problem(tasks, Draws(Purpose.EPISODES, setting.config.seed, iteration))


def disagreement(setting: DataSetting) -> float:
    """The largest relative difference of a loss or meta-gradient from ours, in float64."""
    theta = setting.initial_state()["theta"].to(choose_device(setting.config.device), torch.float64)
    problem, options = episodes(setting, 0), setting.config.algorithm_options
    inner = Inner(problem.loss, options.inner_lr, options.inner_steps)
    ours = meta_gradient(problem, inner_loop(problem, theta, inner), inner, problem.outer_loss)
    support, query = (each.to(theta.device, theta.dtype) for each in problem.sets)
    differences = []
    for _, gradients in others(setting, theta).values():
        loss, parts = gradients(support, query)
        gradient = torch.cat([_as_module_has_it(part).flatten() for part in parts])
        differences += [abs(loss / ours.loss - 1), float((gradient - ours.gradient).norm() / ours.gradient.norm())]
    return max(differences)


def measure(setting: DataSetting, repeats: int) -> dict[str, Any]:
    """Iterations per second of each, in turns, and their CPU seconds: other programs move those less."""
    config, device = setting.config, choose_device(setting.config.device)
    num_threads = config.num_threads or num_cpus()
    checkpoint = Checkpoint(setting.initial_state(), 0, 0).on(device)

    def ours() -> None:
        nonlocal checkpoint
        use_threads(num_threads)
        checkpoint, _ = iterate(setting, checkpoint)

    def training(modules: nn.Module, gradients: Gradients) -> Callable[[], None]:
        adam, iteration = torch.optim.Adam(modules.parameters(), config.algorithm_options.meta_lr), 0

        def step() -> None:
            nonlocal iteration
            torch.set_num_threads(num_threads)
            support, query = (each.to(device, torch.float32) for each in episodes(setting, iteration).sets)
            _, parts = gradients(support, query)
            for parameter, part in zip(modules.parameters(), parts, strict=True):
                parameter.grad = part.detach()
            adam.step()
            iteration += 1

        return step

    trained = {name: training(*each) for name, each in others(setting, checkpoint.state["theta"]).items()}
    iterations, of_cpu = {"ours": ours} | trained, dict[str, list[float]]()

    def with_cpu_time(name: str) -> Callable[[], None]:
        def iteration() -> None:
            start = time.process_time()
            iterations[name]()
            of_cpu.setdefault(name, []).append(time.process_time() - start)

        return iteration

    seconds = median_seconds(*map(with_cpu_time, iterations), repeats=repeats, device=device)
    wall = dict(zip(iterations, seconds, strict=True))
    cpu = {name: statistics.median(spent[1:]) for name, spent in of_cpu.items()}
    return {
        "iterations_per_second": {name: round(1 / each, 2) for name, each in wall.items()},
        "ours_over": {name: round(wall[name] / wall["ours"], 2) for name in trained},
        "cpu_seconds": {name: round(each, 3) for name, each in cpu.items()},
        "ours_over_by_cpu": {name: round(cpu[name] / cpu["ours"], 2) for name in trained},
    }


def configuration(options: Options) -> DataConfig:
    """What maml_rl.train would train with. Raises UsageError."""
    flags = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in TRAINED_WITH]
    config, _ = parse_command_line(["--data=omniglot", *flags], PROG, "", [])
    assert isinstance(config, DataConfig)
    return config


def result(options: Options, _: Sequence[str]) -> dict[str, Any]:
    config = configuration(options)
    use_threads(config.num_threads)
    setting = make_data_setting(config)
    setting.try_out()
    difference = disagreement(setting)
    assert difference < 1e-9, f"they compute the same: {difference}"
    sizes = {name: getattr(config, name) for name in ("ways", "shots", "num_tasks")}
    sizes |= {"num_threads": config.num_threads or num_cpus(), "difference": difference}
    return sizes | measure(setting, options.repeats) | machine(choose_device(config.device))


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status: 2 for bad input."""
    return run("omniglot", Options, str(__doc__), result, argv)


if __name__ == "__main__":
    sys.exit(main())
