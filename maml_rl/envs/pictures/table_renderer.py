"""Pictures of the families without a body: pulls of a bandit's arms, and the way through a process's states."""

from itertools import pairwise
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from maml_rl.envs.pictures.renderer import Frame

SMOOTH = 3  # pixels drawn per pixel shown and axis
MARGIN = 0.06  # of the picture

# Okabe and Ito's colours, which stay apart for colour-blind readers.
BACKGROUND, LINE, PALE = (255, 255, 255), (150, 150, 150), (180, 205, 225)
BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


class BanditRenderer:
    """A bar per arm: how often it was pulled (pale) and paid (blue); its probability to pay is the orange line."""

    def __init__(self, task: Tensor, width: int, height: int) -> None:
        """task: [k]. width, height: pixels."""
        self._probabilities = task.tolist()
        self._size, self._shown = (SMOOTH * width, SMOOTH * height), (width, height)

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        pulls, wins = states[-1].tensor_split(2)
        image = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(image)
        left, bottom = MARGIN * self._size[0], (1 - MARGIN) * self._size[1]
        slot = (self._size[0] - 2 * left) / len(pulls)
        tall = bottom - MARGIN * self._size[1]
        most = max(10.0, float(pulls.sum()))  # all pulls on one arm fill the height
        for arm, chance in enumerate(self._probabilities):
            x = left + slot * arm
            for count, colour in ((pulls[arm], PALE), (wins[arm], BLUE)):
                draw.rectangle((x + 0.15 * slot, bottom - tall * float(count) / most, x + 0.85 * slot, bottom), colour)
            y = bottom - tall * chance
            draw.line((x + 0.05 * slot, y, x + 0.95 * slot, y), fill=ORANGE, width=SMOOTH)
        draw.line((left, bottom, self._size[0] - left, bottom), fill=LINE, width=SMOOTH)
        return np.asarray(image.resize(self._shown, Image.Resampling.LANCZOS))

    def close(self) -> None:
        pass


class TabularMdpRenderer:
    """States around a circle, as large as their best mean reward; the way so far (pale), the last step, the state."""

    def __init__(self, task: Tensor, width: int, height: int) -> None:
        """task: [states, actions, states + 1]. width, height: pixels."""
        self._best = task[..., -1].amax(dim=-1).tolist()
        self._size, self._shown = (SMOOTH * width, SMOOTH * height), (width, height)

    def draw(self, states: Tensor, earlier: Tensor) -> Frame:
        image = Image.new("RGB", self._size, BACKGROUND)
        draw = ImageDraw.Draw(image)
        way = [self._place(int(state)) for state in states[:, 0]]
        for one, other in pairwise(way):
            draw.line((*one, *other), fill=PALE, width=SMOOTH)
        if len(way) > 1:
            draw.line((*way[-2], *way[-1]), fill=BLUE, width=2 * SMOOTH)
        for state, best in enumerate(self._best):
            (x, y), radius = self._place(state), min(self._size) * (0.02 + 0.008 * max(0.0, best))
            colour = ORANGE if state == int(states[-1, 0]) else LINE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return np.asarray(image.resize(self._shown, Image.Resampling.LANCZOS))

    def close(self) -> None:
        pass

    def _place(self, state: int) -> tuple[float, float]:
        """Pixels; state 0 is at the top, the others follow clockwise."""
        angle, radius = 2 * pi * state / len(self._best), (0.5 - 2 * MARGIN) * min(self._size)
        return self._size[0] / 2 + radius * sin(angle), self._size[1] / 2 - radius * cos(angle)
