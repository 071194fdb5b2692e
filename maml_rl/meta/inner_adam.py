"""The inner loop by Adam with beta1 = 0, whose second moments go on from task to task (Nichol et al. 2018).

The state holds them as inner.v [P], and the number of steps behind them as inner.t []. During adaptation each task has
its own, [M, P] and [M].
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from maml_rl.meta.adam import BETA2, second_moment
from maml_rl.meta.algorithm import Actor, FeedForward, State
from maml_rl.meta.inner_loop import Inner, Path, task_gradients
from maml_rl.meta.problem import Batch, Problem


def inner_adam_start(theta: Tensor) -> State:
    """The entries of a state before the first task."""
    return {"inner.v": theta.new_zeros(theta.shape), "inner.t": theta.new_zeros(())}


def adam_descent(problem: Problem, state: State, inner: Inner) -> tuple[Path, State]:
    """`maml_rl.meta.inner_loop.descent` by Adam of step size `inner.alpha`. Returns each task's moments too."""
    theta_M, moments_M = _of_each_task(problem, state)
    thetas_M, batches = [theta_M], list[Batch]()
    for k in range(inner.steps):
        batches.append(problem.draw(theta_M, k))
        gradient_M = task_gradients(problem.model, theta_M, batches[-1], inner.loss)
        theta_M, moments_M = inner_adam_step(theta_M, gradient_M, moments_M, inner.alpha)
        thetas_M.append(theta_M)
    return Path(thetas_M, batches), moments_M


def adam_steps(problem: Problem, state: State, step_sizes: Sequence[float], first: int = 0) -> Iterator[Actor]:
    """`maml_rl.meta.adaptation.gradient_steps` by Adam. The actors' `state_M` has their moments."""
    theta_M, moments_M = _of_each_task(problem, state)
    yield FeedForward(problem.model, theta_M, moments_M)
    for k, lr in enumerate(step_sizes, start=first):
        with problem.watch("adapt"):
            gradient_M = task_gradients(problem.model, theta_M, problem.draw(theta_M, k), problem.loss)
            theta_M, moments_M = inner_adam_step(theta_M, gradient_M, moments_M, lr)
        yield FeedForward(problem.model, theta_M, moments_M)


def inner_adam_step(theta_M: Tensor, gradient_M: Tensor, moments_M: State, lr: float | Tensor) -> tuple[Tensor, State]:
    """The parameters [M, P] after a step down the gradients [M, P], and the moments after it."""
    t_M = moments_M["inner.t"] + 1
    v_M, scale_M = second_moment(moments_M["inner.v"], gradient_M, t_M[:, None])
    return theta_M - lr * gradient_M / scale_M, {"inner.v": v_M, "inner.t": t_M}


def carried_over(problem: Problem, state: State, moments_M: State, path: Path) -> State:
    """The entries of the next state, after `adam_descent` has led along the path to each task's moments."""
    # The authors take the tasks of a meta-batch one after another with one Adam, and each of the K steps of the M tasks
    # makes v <- b v + (1 - b) g^2. Here all tasks begin at the same v, and task i adds v_i - b^K v to what its steps
    # leave of it. In a sequence the tasks behind task i would leave b^K each of its part, and a task's place in it is
    # one of M: (1 - b^(K M)) / (1 - b^K) is the sum of b^(K j) over j = 0, ..., M - 1. This is what the sequence would
    # give, as a mean over all orders of the tasks, if the gradients did not depend on v.
    steps, all_tasks, v = len(path.batches), problem.mean.all_tasks, state["inner.v"]
    by_task, by_all = BETA2**steps, BETA2 ** (steps * all_tasks)
    # Rounding would take parameters without gradients below zero.
    mean = problem.mean(lambda tasks: (moments_M["inner.v"][tasks] - by_task * v).clamp(min=0), path.batches[-1])
    after = by_all * v + (1 - by_all) / (1 - by_task) * mean
    return {"inner.v": after.to(v.dtype), "inner.t": state["inner.t"] + steps * all_tasks}


def _of_each_task(problem: Problem, state: State) -> tuple[Tensor, State]:
    """theta_M [M, P] and the moments as each task begins with them."""
    M = problem.num_tasks
    moments_M = {"inner.v": state["inner.v"].expand(M, -1), "inner.t": state["inner.t"].expand(M)}
    return state["theta"].expand(M, -1), moments_M
