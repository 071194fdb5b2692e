"""Rollout data, and the shape key of the whole project.

Shapes
    M  tasks                    O  size of an observation
    E  episodes per task        A  size of an action
    H  steps, the time limit    P  number of policy parameters
    N  E * H, all steps of one task, in the form the losses take

`theta` is [P], shared by all tasks; `theta_M` is [M, P], one adapted policy per task. Rollout data is [M, E, H, ...].
"""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trajectories:
    """H steps of each of M * E simulations, collected with one policy per task.

    A simulation whose episode ends starts the next one, so that each row of H steps holds one episode or several.
    `times` says how far each step is into its own episode. An episode that has lasted H steps has met the time limit;
    one that the end of its row cuts off earlier has not ended.

    Means over episodes are over the first episode of each simulation. That one always has H steps of room, so it is
    played to its end, however long it lives: a mean over all whole episodes would count short lives more often.
    """

    observations: Tensor  # [M, E, H, O], before each action
    actions: Tensor  # [M, E, H, A], as sampled: unscaled, unclipped
    rewards: Tensor  # [M, E, H]
    times: Tensor  # [M, E, H] int, steps since the start of the step's own episode
    terminated: Tensor  # [M, E, H] bool: the step led into a terminal state; a time limit is not one
    truncated: Tensor  # [M, E, H] bool: a time limit of the env's own, short of H, ended the episode
    final_observations: Tensor  # [M, E, O], after the last step
    diverged: Tensor  # [M, E] bool: the physics became unstable, and nothing in the row is to be used
    # The means or logits that the actions were drawn with; empty if nobody has to know.
    outputs: Tensor = field(default_factory=lambda: torch.empty(0))  # [M, E, H, A]
    # The actor's after the last step; empty if it has none.
    memory: Tensor = field(default_factory=lambda: torch.empty(0))  # [M, E, ...]
    # Of families that truncate episodes or report success; otherwise empty.
    cut_observations: Tensor = field(default_factory=lambda: torch.empty(0))  # [M, E, H, O], after truncated steps
    # [M, E], of the first episodes: 1 if the task was met, 0 if not, NaN if the env did not say.
    successes: Tensor = field(default_factory=lambda: torch.empty(0))

    def rows(self, chunk: slice) -> "Trajectories":
        """The trajectories of the tasks in `chunk`. Their tensors share memory with this object's."""
        return Trajectories(**{each.name: getattr(self, each.name)[chunk] for each in fields(self)})

    @property
    def mask(self) -> Tensor:
        """[M, E, H] bool: steps that count: the steps of simulations that have not diverged."""
        return (~self.diverged)[..., None].expand_as(self.rewards)

    @property
    def first(self) -> Tensor:
        """[M, E, H] bool: steps of the first episode of each simulation that has not diverged."""
        return (self.times == torch.arange(self.times.shape[-1], device=self.times.device)) & self.mask

    def ended(self) -> Tensor:
        """[M, E, H] bool: the last step that the row holds of an episode."""
        last = torch.zeros_like(self.terminated)
        last[..., -1] = True
        return last | self.terminated | self.truncated

    def unfinished(self) -> Tensor:
        """[M, E, H] bool: the row holds nothing after this step of an episode that would have gone on."""
        unfinished = self.ended() & ~self.terminated & self.mask
        unfinished[..., -1] &= self.times[..., -1] + 1 < self.times.shape[-1]  # otherwise the time limit ended it
        return unfinished

    def observations_after(self, steps: Tensor) -> Tensor:
        """[C, O], the observations after the C steps that are true in `steps` [M, E, H]; all of them `ended`."""
        last = self.final_observations[:, :, None].expand_as(self.observations)[steps]
        if not self.cut_observations.numel():
            return last
        return self.cut_observations[steps].where(self.truncated[steps][:, None], last)

    def num_steps(self) -> int:
        """Environment steps that count."""
        return int(self.mask.sum())

    def returns(self) -> Tensor:
        """[M, E], undiscounted returns of the first episodes, in reward units; 0 of diverged ones."""
        return self.rewards.where(self.first, 0.0).double().sum(dim=-1)

    def task_returns(self) -> Tensor:
        """[M], mean undiscounted return of a task's first episodes; diverged ones do not count."""
        return self.returns().sum(dim=1) / (~self.diverged).sum(dim=1)

    def sums(self, action_bound: float) -> dict[str, float]:
        """Sums over tasks: steps, and of the first episodes their number, lengths, returns and successes.

        Diverged simulations count as that alone. `rated` are the episodes of which the env said whether they succeeded.
        `outside` sums over steps the share of an action's components beyond the bound, at which the env clips them,
        `observation_squares` the mean square of an observation's components.
        """
        valid = ~self.diverged
        outside = (self.actions.abs() > action_bound).double().mean(dim=-1)  # [M, E, H]
        successes = self.successes if self.successes.numel() else torch.full_like(self.rewards[..., 0], torch.nan)
        return {
            "steps": float(self.mask.sum()),
            "outside": float(outside[self.mask].sum()),
            "observation_squares": float(self.observations.square().mean(dim=-1).double()[self.mask].sum()),
            "diverged": float(self.diverged.sum()),
            "episodes": float(valid.sum()),
            "return": float(self.returns().sum()),
            "lived": float(self.first.sum()),
            "rated": float((~successes.isnan() & valid).sum()),
            "successes": float(((successes > 0) & valid).sum()),
        }

    def mean_return(self) -> float:
        """Mean undiscounted return over tasks and first episodes, in reward units; diverged ones do not count."""
        return float(self.returns()[~self.diverged].mean())

    @property
    def rated(self) -> bool:
        """Whether any episode says that it met its task, or did not."""
        return bool(self.successes.numel() and not self.successes.isnan().all())

    def success_rates(self) -> Tensor:
        """[M], share of a task's first episodes that met it; diverged ones do not count.

        An episode that does not say has not: some environments report a success and nothing else.
        """
        if not self.rated:
            return torch.zeros_like(self.rewards[:, 0, 0])
        valid = ~self.diverged
        return ((self.successes > 0) & valid).sum(dim=1) / valid.sum(dim=1)
