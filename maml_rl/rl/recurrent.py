"""A recurrent policy as it plays the episodes of a trial (Duan et al. 2016, "RL^2")."""

import torch
from torch import Tensor

from maml_rl.envs.wrappers.trial import tail_size
from maml_rl.meta.algorithm import Memory, State
from maml_rl.models.distributions import Distribution
from maml_rl.models.gru import GruPolicy
from maml_rl.rl.trajectories import Trajectories
from maml_rl.rl.trial import next_tail, with_tail


class Recurrent:
    """An actor with one theta for all tasks. Within an episode its memory is that of the GRU.

    It begins an episode with a memory, and with the step before in the tail of its first observation: those of the
    trial's episode before.
    """

    def __init__(self, model: GruPolicy, theta: Tensor, start: Tensor) -> None:
        """theta: [P]. start: [M, E, W + A + 2], memory and tail before the next episode; or [M, 1, ...], of all E."""
        self.model, self.theta, self.start = model, theta, start
        self._unroll = model.unrolled_at(theta)

    @property
    def theta_M(self) -> Tensor:
        return self.theta.expand(len(self.start), -1)

    @property
    def state_M(self) -> State:
        """theta, and the memory of each task's first trial [M, W + A + 2]."""
        return {"theta": self.theta_M, "memory": self.start[:, 0]}

    def __call__(self, inputs: Tensor, memory: Memory) -> tuple[Distribution, Memory]:
        if memory is None:
            start = self.start.expand(-1, inputs.shape[1], -1)
            memory = start[..., : self.model.memory_size]
            inputs = with_tail(inputs, start[..., self.model.memory_size :])
        return self._unroll(inputs[:, :, None], memory)

    def rows(self, rows: slice | Tensor) -> "Recurrent":
        return Recurrent(self.model, self.theta, self.start[rows])

    def after(self, trajectories: Trajectories) -> "Recurrent":
        """The actor that begins the next episode, after this one's."""
        tail = next_tail(trajectories, tail_size(self.model.action_size))
        return Recurrent(self.model, self.theta, torch.cat([trajectories.memory, tail], dim=-1))


def fresh_start(model: GruPolicy, num_tasks: int, like: Tensor) -> Tensor:
    """`Recurrent.start` of a trial's first episode: zeros [M, 1, W + A + 2]."""
    return like.new_zeros(num_tasks, 1, model.memory_size + tail_size(model.action_size))
