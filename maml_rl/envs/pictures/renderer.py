"""Renderers of a family's episodes. Each family's `make_renderer` gives one of its own."""

from typing import Protocol

import numpy as np
from torch import Tensor

Frame = np.ndarray  # [height, width, 3], uint8, RGB


class Renderer(Protocol):
    """Draws one episode of one task."""

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        """The picture of the last of `states`.

        states: [t, S], of `Simulation.snapshot`, from the episode's start to the moment to be drawn. earlier:
        [episodes, H + 1, S], the episodes that the policy adapted on; NaN after their ends.
        """
        ...

    def close(self) -> None:
        """Free the graphics' memory."""
        ...
