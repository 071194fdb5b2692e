"""Page of sampled pictures: of each of some classes the few that a model has seen, and samples conditioned on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from maml_rl.reports.canvas import FONT_SIZE, PLAIN_TEXT, as_text, blank, check_number, draw_pictures
from maml_rl.schema.errors import UsageError

MAX_SETS = 10
GIVEN, SAMPLES = 5, 10  # that are drawn of a class

# Inches.
MARGIN, BETWEEN, HEADING, ROW_GAP, NAME, PICTURE = 0.35, 0.4, 0.4, 0.12, 0.25, 0.8


@dataclass(frozen=True)
class SampledSet:
    """Pictures of one class, and a model's samples of it. Values are from 0 to 1: of 1 channel ink, of 3 RGB."""

    given: np.ndarray  # [K, C, H, W]
    samples: np.ndarray  # [n, C, H, W]
    name: str  # of the class


@rc_context(PLAIN_TEXT)
def sampled_page(sets: Sequence[SampledSet], title: str) -> Figure:
    """A row per class: the first 5 given pictures on the left, the first 10 samples on the right, the name above.

    Raises UsageError for more classes than a page can have, and for pictures that are neither grey nor RGB.
    """
    check_number(len(sets), "classes", 1, MAX_SETS)
    if (channels := sets[0].given.shape[1]) not in (1, 3):
        raise UsageError(f"got pictures of {channels} channels, allowed: 1 or 3 in a figure")
    right, row = MARGIN + GIVEN * PICTURE + BETWEEN, NAME + PICTURE + ROW_GAP
    width = right + SAMPLES * PICTURE + MARGIN
    first = MARGIN + 2 * HEADING
    drawn = blank(width, first + len(sets) * row + MARGIN, "none")
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(drawn.get_figheight(), 0))  # inches, from the top
    axes.set_axis_off()
    axes.text(width / 2, MARGIN, as_text(title), fontsize=FONT_SIZE + 1, ha="center", va="center")
    for x, words in ((MARGIN, "given"), (right, "sampled")):
        axes.text(x, MARGIN + HEADING, words, fontsize=FONT_SIZE, weight="bold", va="top")
    for number, each in enumerate(sets):
        top = first + number * row
        axes.text(MARGIN, top + NAME / 2, as_text(each.name), fontsize=FONT_SIZE - 3, va="center")
        draw_pictures(axes, each.given[None, :GIVEN], MARGIN, top + NAME, PICTURE)
        draw_pictures(axes, each.samples[None, :SAMPLES], right, top + NAME, PICTURE)
    return drawn
