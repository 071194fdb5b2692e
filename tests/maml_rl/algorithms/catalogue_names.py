"""The names of the catalogue, for tests of what every algorithm keeps."""

import pytest

from maml_rl.algorithms.catalogue import ALGORITHMS

OF_POLICIES = [name for name, entry in ALGORITHMS.items() if "env" in entry.sides]
# Left out, and the reason.
LEFT_OUT = {"rl2": "it adapts by its memory, without gradient steps: test_rl2.py"}
NAMES = [
    pytest.param(name, marks=pytest.mark.skip(reason=LEFT_OUT[name])) if name in LEFT_OUT else name
    for name in OF_POLICIES
]
