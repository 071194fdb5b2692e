from maml_rl.reports.shown_steps import note_on_the_others, shown_steps


def test_a_long_table_has_the_first_steps_the_tens_and_the_last() -> None:
    assert shown_steps(0) == [0]
    assert shown_steps(10) == list(range(11))
    assert shown_steps(32) == [0, 1, 2, 3, 4, 5, 10, 20, 30, 32]


def test_a_note_stands_beneath_tables_that_leave_steps_out() -> None:
    for last in (1, 10, 11, 50):
        assert bool(note_on_the_others(last)) == (len(shown_steps(last)) < last + 1)
