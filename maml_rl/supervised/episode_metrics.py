"""Metrics of an iteration's episodes, over the tasks of all ranks."""

import dataclasses

import torch
from torch import Tensor

from maml_rl.machine.ranks import check_agreement, checksum
from maml_rl.machine.stopwatch import Stopwatch
from maml_rl.meta.algorithm import Algorithm, Metrics, State
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.losses import accuracy


@torch.no_grad()
def episode_metrics(episodes: Episodes, algorithm: Algorithm, before: State, after: State) -> Metrics:
    """Loss, and of a classification accuracy, on the query sets, before adaptation and after the trained steps of it.

    before, after: the state that the episodes were to improve, which adapts to them anew, and the one that they led to.
    Raises RuntimeError if the ranks have come to different ones.
    """
    own = checksum(after["theta"])
    totals = episodes.mean.all_sum(torch.tensor([1.0, own], dtype=torch.float64, device=after["theta"].device))
    check_agreement(own, *totals.tolist())
    untimed = dataclasses.replace(episodes, watch=Stopwatch())
    actors = list(algorithm.adapt(before, untimed, algorithm.trained_steps))
    first, last = actors[0], actors[-1]
    query = episodes.sets[1].to(last.theta_M.device, last.theta_M.dtype)
    measures = {"loss": episodes.loss} | ({"accuracy": accuracy} if episodes.data.classifies else {})

    def of_tasks(tasks: slice) -> Tensor:
        part = query.rows(tasks)
        distributions = [actor.rows(tasks)(part.inputs, None)[0] for actor in (first, last)]
        return torch.stack([each(of, part) for each in measures.values() for of in distributions], dim=1)  # [m, ...]

    values = episodes.mean(of_tasks, query).tolist()
    return dict(zip((f"{name}/{when}" for name in measures for when in ("pre", "post")), values, strict=True))
