"""Adaptation of a policy to a task, or of a model to examples: one verb for both."""

from collections.abc import Sequence
from typing import Any, overload

from maml_rl.interface.meta_model import Inputs, MetaModel, adapt_model
from maml_rl.interface.meta_policy import MetaPolicy, Task, adapt_policy


@overload
def adapt(
    meta_model: MetaPolicy, task: Task, gradient_steps: int = 1, episodes: int | None = None, seed: int = 0
) -> MetaPolicy: ...
@overload
def adapt(
    meta_model: MetaModel, inputs: Inputs, targets: Sequence[Any], gradient_steps: int | None = None, seed: int = 0
) -> MetaModel: ...
def adapt(meta_model: MetaPolicy | MetaModel, *given: Any, **options: Any) -> MetaPolicy | MetaModel:
    """A policy, adapted to a task, or a model, adapted to examples: a new one; the old one stays as it is.

    adapt(policy, task, gradient_steps=1, episodes=None, seed=0): by policy-gradient steps, each on fresh episodes. A
    policy of RL^2 plays as many episodes instead, and remembers the first trial's. task: a goal in the family's own
    units, such as 1.7 (m/s) or (0.3, -0.2) (m). episodes: for each gradient step; None takes
    `config.episodes_per_task`. Raises ValueError for a task of another shape, gradient_steps below 0, or episodes
    below 1.

    adapt(model, inputs, targets, gradient_steps=None, seed=0): by gradient steps on these examples. inputs: numbers
    [N, I], pictures [N, C, H, W], or a list of picture files' paths or of Pillow's images. Values of pictures are from
    0, black, to 1, of Omniglot from 0, paper, to 1, ink; those of 8 bits are divided by 255, and files and images are
    turned into such values. targets: numbers [N], or of a classification N labels of any kind; as many different ones
    as the model has ways, or fewer; of a model that adapts by a look any number. gradient_steps: up to 1000; None takes
    `config.eval_steps`. seed: of minibatches, if the model takes its steps on some. Raises ValueError for examples that
    do not go with the model.
    """
    if isinstance(meta_model, MetaPolicy):
        return adapt_policy(meta_model, *given, **options)
    return adapt_model(meta_model, *given, **options)
