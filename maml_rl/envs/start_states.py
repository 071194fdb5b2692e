"""Start states of the episodes of a rollout."""

from collections.abc import Callable

import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator


class StartStates:
    """Random numbers for start states: the n-th episode of a simulation takes its n-th draw.

    A draw depends neither on the step at which the episode begins nor on other simulations, so that results do not
    depend on how simulations are divided among threads and ranks.
    """

    def __init__(self, generator: KeyedGenerator, draw: Callable[[KeyedGenerator], Tensor]) -> None:
        """draw: draws for one episode of every simulation, [M, E, S]. It is not kept: envs must not form circles."""
        self._later = generator.child()
        self.first = draw(generator)  # [M, E, S]
        self._draws = self.first[None]  # [n, M, E, S]
        self._episode = torch.zeros(self.first.shape[:2], dtype=torch.int64)  # number of the present one

    def next(self, simulations: Tensor, draw: Callable[[KeyedGenerator], Tensor]) -> Tensor:
        """Begin the next episode of some simulations [M, E] bool. Returns its draws [M, E, S]; zeros for the others."""
        simulations = simulations.cpu()
        self._episode += simulations
        while len(self._draws) <= int(self._episode.max()):
            self._draws = torch.cat([self._draws, draw(self._later)[None]])
        index = self._episode[None, :, :, None].expand(1, *self.first.shape)
        return self._draws.gather(0, index)[0].masked_fill(~simulations[..., None], 0)
