"""The distribution over actions on top of a policy's network."""

from dataclasses import dataclass

from torch import Tensor

from maml_rl.models.distributions import Distribution, Gaussian, categorical


@dataclass(frozen=True)
class ActionHead:
    """Gaussians whose log standard deviations do not depend on the state, or categorical distributions.

    log_std: a Gaussian's parameter, [M, A]; None of a categorical. Each component is floored at `min_log_std`: below it
    the standard deviation no longer changes.
    """

    choices: tuple[int, ...]  # of each component of a discrete action; () for a Gaussian
    min_log_std: float

    def over_actions(self, *parameters: Tensor) -> Distribution:
        """The distributions, of the network's output [M, N, A] and the result of `shared`."""
        return categorical(self.choices)(*parameters) if self.choices else Gaussian(*parameters)

    def shared(self, log_std: Tensor | None) -> tuple[Tensor, ...]:
        """The distribution's parameters that are the same in all states: log_std [M, 1, A] of a Gaussian."""
        return () if log_std is None else (log_std[:, None].clamp(min=self.min_log_std),)

    def active(self, log_std: Tensor | None) -> list[Tensor]:
        """For each part of `shared` [M, 1, A]: 1 if it follows its parameter, 0 if it is at its floor."""
        return [] if log_std is None else [(log_std[:, None].detach() >= self.min_log_std).to(log_std.dtype)]

    def mean_std(self, log_std: Tensor) -> float:
        """Mean standard deviation over a Gaussian's components, in units of the policy's output."""
        return float(log_std.clamp(min=self.min_log_std).exp().mean())
