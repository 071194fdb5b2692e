"""Linear feature baseline: the value of a state, fitted per task and per batch (Duan et al. 2016, section 4)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from maml_rl.schema.errors import Diverged

RIDGE = 1e-5  # on the Gram matrix, raised tenfold until the solve is finite
MAX_RIDGE = 1e5
MAX_OBSERVATION = 10.0


@dataclass(frozen=True)
class Cuts:
    """C places at which a batch ends an episode that would have gone on. F is the number of features."""

    task: Tensor  # [C] int
    features: Tensor  # [C, F], of the state at which the episode was cut off
    reach: Tensor  # [C, F]: over the episode's steps t, the sum of discount^(steps from t to the cut) features_t


def baseline_features(observations: Tensor, times: Tensor) -> Tensor:
    """[o, o^2, t/100, (t/100)^2, (t/100)^3, 1], with o clipped to +-10, in float64.

    observations: [..., O]. times: [...], steps since the start of the episode. Returns [..., 2 O + 4].
    """
    o = observations.double().clamp(-MAX_OBSERVATION, MAX_OBSERVATION)
    t = times.double()[..., None] / 100
    return torch.cat([o, o.square(), t, t**2, t**3, torch.ones_like(t)], dim=-1)


def fit_baseline(features: Tensor, targets: Tensor, mask: Tensor, cuts: Cuts | None = None) -> Tensor:
    """Coefficients [M, F] of the ridge regression of each task's targets on its features, over the steps in the mask.

    features: [M, E, H, F], float64. targets: [M, E, H], reward units, float64. mask: [M, E, H] bool.
    cuts: the target of a step whose episode was cut off lacks discount^(steps to the cut) times the value of the state
    at the cut. That value is this very baseline's, linear in the coefficients: it moves to the left of the normal
    equations, (X^T X - reach^T features) c = X^T y.
    The normal equations are solved in float64: in float32 the weights are off by a factor of two. Raises Diverged if no
    ridge up to 1e5 gives finite coefficients, which takes features or targets that are not finite themselves.
    """
    X = features.where(mask[..., None], 0.0).flatten(1, 2)  # [M, N, F]
    y = targets.where(mask, 0.0).flatten(1, 2)[..., None]  # [M, N, 1]
    gram, moment = X.mT @ X, X.mT @ y
    if cuts is not None:
        for task in cuts.task.unique().tolist():  # tasks have different numbers of cuts
            chosen = cuts.task == task
            gram[task] -= cuts.reach[chosen].mT @ cuts.features[chosen]
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    ridge = RIDGE
    while ridge <= MAX_RIDGE:
        coefficients, failed = torch.linalg.solve_ex(gram + ridge * identity, moment)
        if not failed.any() and coefficients.isfinite().all():
            return coefficients[..., 0]
        ridge *= 10
    largest = float(targets.where(mask, 0.0).abs().max())
    raise Diverged(f"the baseline has no finite fit: rescale the rewards, of which the returns reach {largest:.2g}")


def predict_values(features: Tensor, coefficients: Tensor) -> Tensor:
    """Values [M, E, H] in reward units. features: [M, E, H, F]. coefficients: [M, F]."""
    return torch.einsum("mehf,mf->meh", features, coefficients)
