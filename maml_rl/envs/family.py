"""The contract of a family of tasks: all that there is to know of it before anything is simulated."""

from typing import Protocol

from torch import Tensor

from maml_rl.envs.keyed_generator import KeyedGenerator
from maml_rl.envs.physics.contract import MakePhysics
from maml_rl.envs.pictures.renderer import Renderer
from maml_rl.envs.simulation import Simulation


class Family(Protocol):
    """A distribution of tasks of one kind, with the sizes that a policy for them needs."""

    observation_size: int  # O
    action_size: int  # A
    choices: tuple[int, ...]  # of each component of a discrete action, one-hot vectors in a row [A]; () if continuous
    action_bound: float  # of each component of an action, in units of the policy's output: beyond it `step` clips
    task_shape: tuple[int, ...]  # of one task, a row of `tasks`
    task_bound: float  # no number of a task that somebody gives may be larger
    # Names and shapes of the parts that the row holds one after the other, if a task is a dict; () if it is not.
    task_parts: tuple[tuple[str, tuple[int, ...]], ...]
    horizon: int  # steps of an episode in the published protocol; the time limit itself is the sampler's
    dt: float  # seconds of simulated time per step
    terminates: bool  # whether an episode can end before the sampler's time limit
    truncates: bool  # whether it can end by a time limit of its own; only such families say whether a task was met

    def sample_tasks(self, num_tasks: int, generator: KeyedGenerator) -> Tensor:
        """Draw the tasks [num_tasks, ...] of a meta-batch, float64 on the CPU.

        Task i may depend on the number of tasks; of the families here it depends on the generator's row i only.
        """
        ...

    def describe(self, task: Tensor) -> str:
        """One task in a few words, with its unit: "1.70 m/s"."""
        ...

    def make_renderer(self, task: Tensor, width: int, height: int) -> Renderer:
        """A renderer of episodes of one task, in pictures of that many pixels.

        Raises RenderingError (maml_rl.envs.pictures.offscreen) if this machine cannot.
        """
        ...

    def simulate(
        self, num_tasks: int, episodes_per_task: int, num_threads: int = 0, make_physics: MakePhysics | None = None
    ) -> Simulation:
        """Room for `num_tasks` tasks and `episodes_per_task` episodes of each at once.

        num_threads: threads of the physics, or worker processes of a user's class; 0 for one per CPU. make_physics: in
        place of `maml_rl.envs.physics.cpu.CpuPhysics`; families that MuJoCo does not simulate have no use for it.
        """
        ...
