"""Batch normalisation (Ioffe & Szegedy 2015), of each task by the statistics of its own batch, in training and after.

No running statistics: what a task's query set is normalised by is the query set, so that its predictions are made
together ("transductive"). A shift is learned and no scale is, as in the code of Finn et al. 2017.
"""

from torch import Tensor
from torch.nn.functional import batch_norm

EPSILON = 1e-3  # added to the variance: TensorFlow's, with which the published figures were made; PyTorch's is 1e-5


def batch_normalised(x: Tensor, shift: Tensor) -> Tensor:
    """Each task's features with mean `shift` and variance 1 over its N examples, and over an image's places.

    x: [N, M F, ...], the features of task 0, of task 1, ... shift: [M, F]. A task's result depends on its own examples
    alone. All N count, whatever their weights in a loss. Differentiable twice: PyTorch 2.13 gives a third derivative
    too, which is wrong (its issue 186256). Raises ValueError if a feature has a single number to be normalised by.
    """
    # The shift apart: PyTorch's `batch_norm` with a shift and no scale has no second derivative.
    shift = shift.flatten().view(-1, *[1] * (x.dim() - 2))  # [M F, 1, ...]
    return batch_norm(x, None, None, training=True, eps=EPSILON) + shift
