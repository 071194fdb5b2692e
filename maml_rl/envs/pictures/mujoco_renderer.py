"""Pictures of a MuJoCo model, by MuJoCo's own renderer, offscreen."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import mujoco
from torch import Tensor

from maml_rl.envs.pictures.offscreen import use_offscreen_gl
from maml_rl.envs.pictures.renderer import Frame


class MujocoRenderer:
    """Draws the state (qpos, qvel) as the model's tracking camera sees it."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int, camera: str = "track") -> None:
        """width, height: pixels. Raises RenderingError if no OpenGL backend works."""
        use_offscreen_gl()
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        self._camera = camera
        self._data = mujoco.MjData(model)
        self._model = model
        self._renderer = mujoco.Renderer(model, height, width)

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        qpos, qvel = states[-1].tensor_split([self._model.nq])
        self._data.qpos[:], self._data.qvel[:] = qpos.numpy(), qvel.numpy()
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._camera)
        return self._renderer.render().copy()

    def close(self) -> None:
        self._renderer.close()
