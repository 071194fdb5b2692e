import pytest

from maml_rl import evaluate, plot, train

# Each stands in a docstring with a line break in its midst.
SENTENCES = [
    (train, "If it is small, mean actions begin near 0."),
    (train, "0 divides the CPUs of a machine among its ranks."),
    (evaluate, "20, or 40 for navigation-2d and ant-dir."),
    (plot, "Runs that differ in their seeds alone become one curve."),
]


def help_of(command, capsys) -> str:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize(("command", "sentence"), SENTENCES)
def test_a_line_is_broken_only_if_it_is_full(command, sentence: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "600")  # Tyro may divide them into columns
    assert sentence in help_of(command, capsys)


@pytest.mark.parametrize("command", [train, evaluate, plot])
def test_the_help_has_a_least_width(command, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    narrow = help_of(command, capsys)
    monkeypatch.setenv("COLUMNS", "59")  # with 1 Tyro would not end
    assert help_of(command, capsys) == narrow


@pytest.mark.parametrize("command", [train, evaluate, plot])
def test_no_value_is_offered_that_no_one_can_give(command, capsys) -> None:
    page = help_of(command, capsys)
    assert "{None}" not in page
    assert "default: None" not in page
    assert "(default: )" not in page


def test_a_flag_that_may_be_left_out_shows_both_of_its_forms(capsys) -> None:
    page = help_of(evaluate, capsys)
    assert "--transductive" in page
    assert "--no-transductive" in page
