"""Adam (Kingma & Ba 2015, algorithm 1) on one vector, its moments in the state of an algorithm."""

from torch import Tensor

from maml_rl.meta.algorithm import State

MOMENTS = ("adam.m", "adam.v", "adam.t")  # entries of a state, which nothing but the next step needs
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
NOT_NEGATIVE = ("adam.v", "adam.t", "inner.v", "inner.t")  # entries of a state, also of `maml_rl.meta.inner_adam`'s


def adam_start(point: Tensor) -> State:
    """The entries of a state before the first step: both moments [P], and the number of steps so far []."""
    return {
        "adam.m": point.new_zeros(point.shape),
        "adam.v": point.new_zeros(point.shape),
        "adam.t": point.new_zeros(()),
    }


def adam_step(
    point: Tensor, gradient: Tensor, moments: State, lr: float, epsilon: float = EPSILON
) -> tuple[Tensor, State]:
    """The point [P] after a step down the gradient [P], and the moments after it."""
    t = moments["adam.t"] + 1
    m = BETA1 * moments["adam.m"] + (1 - BETA1) * gradient
    v, scale = second_moment(moments["adam.v"], gradient, t, epsilon)
    step = lr * (m / (1 - BETA1**t)) / scale
    return point - step, {"adam.m": m, "adam.v": v, "adam.t": t}


def second_moment(v: Tensor, gradient: Tensor, t: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor]:
    """The second moment [..., P] after a gradient [..., P], and the scale [..., P] that a step is divided by.

    t: number of steps with this one, [] or [..., 1].
    """
    v = BETA2 * v + (1 - BETA2) * gradient.square()
    return v, (v / (1 - BETA2**t)).sqrt() + epsilon
