"""The inner loop: policy-gradient steps from theta to one adapted policy per task. Everything that adapts uses it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maml_rl.machine.threads import parallel_map
from maml_rl.models.mlp_derivatives import inner_gradient
from maml_rl.models.policies import MlpPolicy
from maml_rl.rl.samples import Samples, task_chunks


def adapt(policy: MlpPolicy, theta_M: Tensor, batches: Sequence[Samples], inner_lr: float) -> Tensor:
    """theta_i' = theta_i - inner_lr * grad L_i(theta_i), once for each batch in turn (Finn et al. 2017, algorithm 3).

    theta_M: [M, P]. batches: K sets of samples, the k-th collected with the parameters of step k. Returns [M, P],
    detached.
    """
    if not batches:
        return theta_M.detach()

    def adapt_tasks(chunk: slice) -> Tensor:
        theta_c = theta_M[chunk].detach()
        for batch in batches:
            theta_c = theta_c - inner_lr * inner_gradient(policy, theta_c, batch.tasks(chunk))
        return theta_c

    return torch.cat(parallel_map(adapt_tasks, task_chunks(batches[0])))
