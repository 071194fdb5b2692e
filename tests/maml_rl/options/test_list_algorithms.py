"""The algorithms that --help names, in a narrow terminal."""

import pytest

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options.command_line import parse_command_line


@pytest.mark.parametrize("side", ["env", "data"])
def test_help_names_the_algorithms_of_its_side(side: str, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parse_command_line([f"--{side}", {"env": "navigation-2d", "data": "omniglot"}[side], "--help"], "train", "", [])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(line.strip("│ ") for line in lines).split())
    for name, entry in ALGORITHMS.items():
        assert (f"{name}: {entry.summary} ({entry.source})" in text) == (side in entry.sides), name
