"""Metrics of an iteration's episodes, over the tasks of all ranks."""

import torch
from torch import Tensor

from maml_rl.machine.ranks import check_agreement, checksum
from maml_rl.meta.algorithm import Metrics
from maml_rl.supervised.episodes import Episodes
from maml_rl.supervised.losses import accuracy


def episode_metrics(episodes: Episodes, theta: Tensor) -> Metrics:
    """Loss, and of a classification accuracy, on the query set, by the models before and after adaptation.

    The models are those that the episodes were drawn with. theta [P]: the new parameters. Raises RuntimeError if the
    ranks have come to different ones.
    """
    first, last = (episodes.thetas_M[k] for k in (min(episodes.thetas_M), max(episodes.thetas_M)))
    query = episodes.sets[1].to(last.device, last.dtype)
    measures = {"loss": episodes.loss} | ({"accuracy": accuracy} if episodes.data.classifies else {})

    @torch.no_grad()
    def of_tasks(tasks: slice) -> Tensor:
        part = query.rows(tasks)
        distributions = [episodes.model.at(theta_M[tasks])(part.inputs) for theta_M in (first, last)]
        return torch.stack([each(of, part) for each in measures.values() for of in distributions], dim=1)  # [m, ...]

    own = checksum(theta)
    totals = episodes.mean.all_sum(torch.tensor([1.0, own], dtype=torch.float64, device=theta.device))
    check_agreement(own, *totals.tolist())
    values = episodes.mean(of_tasks, query).tolist()
    return dict(zip((f"{name}/{when}" for name in measures for when in ("pre", "post")), values, strict=True))
