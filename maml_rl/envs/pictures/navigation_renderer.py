"""Pictures of 2-D navigation: the point, its trail, the goal, and the trails of the episodes it adapted on."""

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from maml_rl.envs.pictures.renderer import Frame

HALF_WIDTH = 0.8  # m: the visible part around the start; goals lie within 0.5 m
SMOOTH = 3  # pixels drawn per pixel shown and axis

# Okabe and Ito's colours, which stay apart for colour-blind readers.
BACKGROUND, GRID, EARLIER = (255, 255, 255), (225, 225, 225), (180, 205, 225)
TRAIL, POINT, GOAL, START = (0, 114, 178), (0, 60, 110), (213, 94, 0), (120, 120, 120)


class NavigationRenderer:
    """Draws positions [2] (m); y points up."""

    def __init__(self, goal: Tensor, width: int, height: int) -> None:
        """goal: [2] (m). width, height: pixels."""
        self._goal = goal.numpy()
        self._size = (SMOOTH * width, SMOOTH * height)
        self._scale = min(self._size) / (2 * HALF_WIDTH)  # pixels drawn per m
        self._shown = (width, height)

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        image = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(image)
        for line in np.arange(-0.5, 0.6, 0.25):  # the square of the goals, every 0.25 m
            draw.line(self._pixels(np.array([[line, -0.5], [line, 0.5]])), fill=GRID, width=SMOOTH)
            draw.line(self._pixels(np.array([[-0.5, line], [0.5, line]])), fill=GRID, width=SMOOTH)
        for episode in earlier.numpy():
            trail = episode[np.isfinite(episode).all(axis=1)]
            if len(trail) > 1:
                draw.line(self._pixels(trail), fill=EARLIER, width=SMOOTH)
        positions = states.numpy()
        if len(positions) > 1:
            draw.line(self._pixels(positions), fill=TRAIL, width=2 * SMOOTH, joint="curve")
        self._disc(draw, np.zeros(2), 3, START)
        self._disc(draw, self._goal, 7, GOAL)
        self._disc(draw, self._goal, 4, BACKGROUND)
        self._disc(draw, positions[-1], 5, POINT)
        return np.asarray(image.resize(self._shown, Image.Resampling.LANCZOS))

    def close(self) -> None:
        pass

    def _pixels(self, positions: np.ndarray) -> list[tuple[float, float]]:
        x = self._size[0] / 2 + self._scale * positions[:, 0]
        y = self._size[1] / 2 - self._scale * positions[:, 1]
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def _disc(self, draw: ImageDraw.ImageDraw, position: np.ndarray, radius: int, colour: tuple[int, int, int]) -> None:
        [(x, y)] = self._pixels(position[None])
        r = radius * SMOOTH
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
