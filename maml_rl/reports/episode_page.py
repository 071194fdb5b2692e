"""Page of few-shot episodes: the pictures of the support sets, and what a model takes the queries for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox, TransformedBbox

from maml_rl.reports.canvas import COLOURS, FONT_SIZE, PLAIN_TEXT, as_text, blank, check_number, draw_pictures
from maml_rl.schema.errors import UsageError

MAX_EPISODES, MAX_WAYS = 4, 20
SHOTS, QUERIES, QUERY_COLUMNS = 5, 10, 5  # that are drawn of an episode
RIGHT, WRONG = COLOURS[2], COLOURS[1]  # of frames
KEY = """Below a query: the class that the model takes it for, and the probability that it gives that class.
Green frame: it is right. Vermilion frame: it is wrong; "2, not 4": it took a picture of class 4 for class 2."""

# Inches.
MARGIN, BETWEEN, HEADING, NUMBERS, LINE = 0.35, 0.4, 0.4, 0.3, 0.2
SUPPORT_WIDTH, PICTURE = 10.0, 0.8  # of a support set at most, and of a picture at most
QUERY_WIDTH, QUERY_HEIGHT = 1.15, 1.4  # of a query with its words
NAME_WIDTH, NAME_LETTERS = 5.0, 62  # of a column of names; letters in it


@dataclass(frozen=True)
class Episode:
    """A task of N classes, and a model's answers. Pictures have values from 0 to 1: of 1 channel ink, of 3 RGB."""

    support: np.ndarray  # [N, shots, C, H, W]
    queries: np.ndarray  # [Q, C, H, W]
    labels: np.ndarray  # [Q], numbers of classes, from 0 on
    predicted: np.ndarray  # [Q], likewise
    probabilities: np.ndarray  # [Q, N]
    names: Sequence[str]  # of the N classes


@rc_context(PLAIN_TEXT)
def episode_page(episodes: Sequence[Episode], title: str) -> Figure:
    """A row per episode: a column of support pictures per class, and queries in green frames, or vermilion if wrong.

    Of more than 5 shots the first 5 are drawn, of more than 10 queries 10 at equal distances. Raises UsageError for
    more episodes or classes than a page can have, and for pictures that are neither grey nor RGB.
    """
    check_number(len(episodes), "episodes", 1, MAX_EPISODES)
    for each in episodes:
        check_number(len(each.support), "as the number of classes", 2, MAX_WAYS)
        if (channels := each.support.shape[2]) not in (1, 3):
            raise UsageError(f"got pictures of {channels} channels, allowed: 1 or 3 in a figure")
    left = max(NAME_WIDTH, *(min(SUPPORT_WIDTH, len(each.support) * PICTURE) for each in episodes))
    width = 2 * MARGIN + left + BETWEEN + QUERY_COLUMNS * QUERY_WIDTH
    tops = np.cumsum([MARGIN + HEADING, *(_height(each, left) + BETWEEN for each in episodes)])
    drawn = blank(width, tops[-1] + 2 * LINE + MARGIN, "none")
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(drawn.get_figheight(), 0))  # inches, from the top
    axes.set_axis_off()
    axes.text(width / 2, MARGIN, as_text(title), fontsize=FONT_SIZE + 1, ha="center", va="center")
    for number, (episode, top) in enumerate(zip(episodes, tops, strict=False), start=1):
        _draw_support(axes, episode, number, top, left)
        _draw_queries(axes, episode, MARGIN + left + BETWEEN, top)
    axes.text(MARGIN, tops[-1], KEY, fontsize=FONT_SIZE - 2, va="top", linespacing=1.4)
    return drawn


def _size(episode: Episode) -> float:
    """Of a support picture, inches."""
    return min(PICTURE, SUPPORT_WIDTH / len(episode.support))


def _height(episode: Episode, left: float) -> float:
    """Of an episode's row, inches. left: the width of the support sets."""
    shots, names = min(SHOTS, episode.support.shape[1]), _name_rows(episode, left)
    queries = ceil(min(QUERIES, len(episode.queries)) / QUERY_COLUMNS)
    return HEADING + max(NUMBERS + shots * _size(episode) + (names + 1) * LINE, queries * QUERY_HEIGHT)


def _name_rows(episode: Episode, left: float) -> int:
    """Rows of the names, which fill a column before the next."""
    return min(len(episode.names), max(5, ceil(len(episode.names) / int(left / NAME_WIDTH))))


def _draw_support(axes: Axes, episode: Episode, number: int, top: float, left: float) -> None:
    (ways, shots), size = episode.support.shape[:2], _size(episode)
    part = f", {SHOTS} shots drawn" if shots > SHOTS else ""
    axes.text(MARGIN, top, f"{number}. {ways}-way, {shots}-shot{part}", fontsize=FONT_SIZE, weight="bold", va="top")
    for way in range(ways):
        axes.text(MARGIN + (way + 0.5) * size, top + HEADING, str(way), fontsize=FONT_SIZE - 1, ha="center", va="top")
    below = top + HEADING + NUMBERS
    draw_pictures(axes, episode.support[:, :SHOTS].swapaxes(0, 1), MARGIN, below, size)
    first = below + min(SHOTS, shots) * size + LINE
    rows = _name_rows(episode, left)
    for way, name in enumerate(episode.names):
        x, y = MARGIN + way // rows * NAME_WIDTH, first + way % rows * LINE
        text = axes.text(x, y, as_text(f"{way}  {name}", NAME_LETTERS), fontsize=FONT_SIZE - 3, va="center")
        text.set_clip_box(TransformedBbox(Bbox([[x, y - LINE], [x + NAME_WIDTH - 0.1, y + LINE]]), axes.transData))
        text.set_clip_on(True)


def _draw_queries(axes: Axes, episode: Episode, left: float, top: float) -> None:
    right, number = episode.predicted == episode.labels, len(episode.queries)
    part = f", {QUERIES} drawn" if number > QUERIES else ""
    heading = f"{right.sum()} of {number} queries right{part}"
    axes.text(left, top, heading, fontsize=FONT_SIZE, weight="bold", va="top")
    chosen = np.linspace(0, number - 1, min(QUERIES, number)).round().astype(int)
    for place, q in enumerate(chosen):
        x = left + place % QUERY_COLUMNS * QUERY_WIDTH + (QUERY_WIDTH - PICTURE) / 2
        y = top + HEADING + place // QUERY_COLUMNS * QUERY_HEIGHT
        draw_pictures(axes, episode.queries[None, q : q + 1], x, y, PICTURE)
        colour = RIGHT if right[q] else WRONG
        axes.add_patch(Rectangle((x, y), PICTURE, PICTURE, fill=False, edgecolor=colour, linewidth=4))
        words = f"{episode.predicted[q]}" if right[q] else f"{episode.predicted[q]}, not {episode.labels[q]}"
        words += f"\n{episode.probabilities[q, episode.predicted[q]]:.2f}"
        axes.text(x + PICTURE / 2, y + PICTURE + 0.08, words, fontsize=FONT_SIZE - 1, ha="center", va="top")
