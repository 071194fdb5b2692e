"""Tasks that are bodies: every mass, inertia, friction and damping of a model times a random factor."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import copy

import mujoco
import numpy as np
import torch
from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import Physics

MAX_EXPONENT = 3.0
# Field of the model and base of its factor, base^x with x uniform in [-3, 3] for each element (Rothfuss et al. 2019).
BASES = {"body_mass": 1.5, "body_inertia": 1.5, "geom_friction": 1.5, "dof_damping": 1.3}


class RandomModel:
    """A task is a row of exponents [T], one field after the other, each flattened.

    The nominal model stays as it is: `apply` writes products of it into the batch's own copies of the fields.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._nominal = {name: torch.from_numpy(getattr(model, name).copy()) for name in BASES}
        self._model = model
        self.task_size = sum(field.numel() for field in self._nominal.values())  # T

    def sample(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        return generator.uniform(num_tasks, self.task_size, low=-MAX_EXPONENT, high=MAX_EXPONENT)

    def fields(self, tasks: Tensor) -> dict[str, Tensor]:
        """The model's fields [M, ...] under tasks [M, T]."""
        sizes = [field.numel() for field in self._nominal.values()]
        parts = tasks.double().split(sizes, dim=1)
        return {
            name: nominal * BASES[name] ** part.unflatten(1, nominal.shape)
            for (name, nominal), part in zip(self._nominal.items(), parts, strict=True)
        }

    def describe(self, task: Tensor) -> str:
        """A body in a few words."""
        return f"a body of {self.fields(task[None])['body_mass'].sum():.2f} kg"

    def apply(self, physics: Physics, tasks: Tensor) -> None:
        """Give each of the M tasks' simulations its body, and the constants that MuJoCo derives from it."""
        for name, values in self.fields(tasks).items():
            physics.model_field(name).copy_(values[:, None])
        physics.set_const()

    def single(self, task: Tensor) -> mujoco.MjModel:
        """A model of its own for one task [T]: to render it, or to step it alone."""
        model = copy.copy(self._model)
        for name, values in self.fields(task[None]).items():
            np.asarray(getattr(model, name))[:] = values[0].numpy()
        mujoco.mj_setConst(model, mujoco.MjData(model))
        return model
