"""Predictions of query sets, by either of the two ways in which their batches may be normalised."""

import torch
from torch import Tensor

from maml_rl.meta.algorithm import Actor
from maml_rl.meta.task_mean import CACHE_ROWS
from maml_rl.models.distributions import Distribution, with_parts


@torch.no_grad()
def predicted(
    actor: Actor, support_inputs: Tensor, query_inputs: Tensor, transductive: bool, rows_per_input: int = 1
) -> Distribution:
    """The distributions [M, Q, A] of each task's queries, by the models of M tasks.

    support_inputs: [M, S, ...]. query_inputs: [M, Q, ...]. transductive: whether a model that normalises a batch takes
    all of a task's queries as one. If not, each is in a batch with the support set, and its prediction depends on no
    other query (Nichol et al. 2018). Other models predict the same both ways. rows_per_input: as of a `Model`.
    The work is done on the caller's thread.
    """
    if transductive:
        return actor(query_inputs, None)[0]
    M, Q = query_inputs.shape[:2]
    # To the model a pair of a task and one of its queries is a task. Chunks of them bound the memory.
    rows = (support_inputs.shape[1] + 1) * rows_per_input
    pairs = torch.arange(M * Q, device=query_inputs.device).split(max(1, CACHE_ROWS // rows))

    def of_the_query(pair: Tensor) -> Distribution:
        task, query = pair // Q, pair % Q
        batch = torch.cat([support_inputs[task], query_inputs[task, query][:, None]], dim=1)  # [m, S + 1, ...]
        distribution, _ = actor.rows(task)(batch, None)
        # Copies: a view would keep the predictions of the support set.
        return with_parts(distribution, [part[:, -1].clone() for part in distribution])

    chunks = [of_the_query(pair) for pair in pairs]
    return with_parts(chunks[0], [torch.cat(parts).unflatten(0, (M, Q)) for parts in zip(*chunks, strict=True)])
