"""The steps of adaptation that a table has rows for."""

ALL = 10  # up to so many steps a table has all


def shown_steps(last: int) -> list[int]:
    """Of steps 0 to `last` all if they are few; else the first five, the tens, and the last."""
    return [k for k in range(last + 1) if last <= ALL or k <= 5 or k % 10 == 0 or k == last]


def note_on_the_others(last: int) -> str:
    """A line for what is beneath the table: empty if it has all."""
    return "" if last <= ALL else f"steps 0 to {last}; the JSON of --output has them all"
