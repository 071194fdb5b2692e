import json
from pathlib import Path

import pytest
from PIL import Image

from maml_rl.options.config import RlConfig, configure
from maml_rl.options.yaml_file import dump_yaml
from maml_rl.plot import group_runs, main
from maml_rl.reports.evaluation_file import read_evaluation
from maml_rl.reports.figures import figure
from maml_rl.runs.directory import read_run


def fixture_run(folder: Path, seed: int, inner_lr: float = 0.1, rows: int = 3) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(dump_yaml(configure(RlConfig(), {"seed": seed, "inner_lr": inner_lr})))
    lines = [
        {"iteration": i, "env_steps": 100 * (i + 1), "return/pre": -40.0 - seed, "return/post": -30.0 + i * seed}
        for i in range(rows)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def evaluation(tmp_path) -> Path:
    def result(name: str, returns: list[float]) -> dict:
        steps = list(range(len(returns)))
        return {"name": name, "gradient_steps": steps, "return_mean": returns, "return_ci95": [1.0] * len(returns)}

    content = {"env": "navigation-2d", "results": [result("maml", [-40, -12, -4]), result("oracle", [-2])]}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    return tmp_path / "evaluation.json"


def test_runs_that_differ_in_their_seeds_are_one_curve_with_a_band(tmp_path) -> None:
    runs = [read_run(fixture_run(tmp_path / f"{lr}-{seed}", seed, lr)) for lr in (0.1, 0.5) for seed in (1, 2)]
    groups = group_runs(runs)
    assert list(groups["navigation-2d"]) == ["inner_lr 0.1", "inner_lr 0.5"]
    [axes] = figure(groups, []).axes
    before, after = axes.lines[:2]
    assert list(after.get_xdata()) == [100, 200, 300]
    assert list(after.get_ydata()) == [-30, -28.5, -27]  # the mean of seeds 1 and 2
    assert list(before.get_ydata()) == [-41.5] * 3
    assert len(axes.collections) == 4  # a band for each of four curves
    assert "step" in axes.get_xlabel()
    assert "reward units" in axes.get_ylabel()


def test_algorithms_are_named_and_compared_with_themselves_alone(tmp_path) -> None:
    folders = [fixture_run(tmp_path / name, 1) for name in ("maml", "pretrain", "another-pretrain")]
    for folder, num_tasks in zip(folders[1:], (10, 30), strict=True):
        pretrain = configure(RlConfig(), {"algorithm": "pretrain", "num_tasks": num_tasks})
        (folder / "config.yaml").write_text(dump_yaml(pretrain))
    runs = [read_run(folder) for folder in folders]
    assert list(group_runs(runs[:2])["navigation-2d"]) == ["maml", "pretrain"]
    assert list(group_runs(runs)["navigation-2d"]) == ["maml", "pretrain, num_tasks 10", "pretrain, num_tasks 30"]


def test_gradient_steps_with_intervals_and_an_oracle_as_a_line(evaluation) -> None:
    [axes] = figure({}, [read_evaluation(evaluation)]).axes
    line, *_ = axes.containers[0]
    assert list(line.get_ydata()) == [-40, -12, -4]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["oracle", "maml"]


def test_families_and_files_stay_apart(tmp_path, evaluation) -> None:
    content = read_evaluation(evaluation)
    other = content | {"tasks": "halfcheetah-dir", "results": content["results"][:1]}
    twice = [content | {"label": "one"}, content | {"label": "two"}, other]
    first, second = figure({}, twice).axes
    assert (first.get_title(), second.get_title()) == ("navigation-2d", "halfcheetah-dir")
    words = {text.get_text() for text in first.get_legend().get_texts()}
    assert words == {"maml, one", "maml, two", "oracle, one", "oracle, two"}


def test_tasks_of_other_sizes_stay_apart(tmp_path) -> None:
    result = {"name": "maml", "gradient_steps": [0, 1], "accuracy_mean": [0.2, 0.9], "accuracy_ci95": [0.0, 0.1]}
    read = []
    for ways in (5, 20):
        path = tmp_path / f"{ways}.json"
        path.write_text(json.dumps({"data": "omniglot", "protocol": {"ways": ways, "shots": 1}, "results": [result]}))
        read.append(read_evaluation(path))
    assert [axes.get_title() for axes in figure({}, read).axes] == ["omniglot, 5-way 1-shot", "omniglot, 20-way 1-shot"]


def test_a_torn_last_line_is_left_out(tmp_path) -> None:
    run = fixture_run(tmp_path / "run", 1)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 3, "ret')
    assert len(read_run(run)[1]) == 3


@pytest.mark.parametrize(("families", "rows"), [(1, [1]), (3, [3]), (4, [2, 2]), (5, [3, 2]), (6, [3, 3])])
def test_families_stand_in_rows(tmp_path, families, rows) -> None:
    runs = [read_run(fixture_run(tmp_path / "run", 1))[1]]
    axes = figure({f"family {i}": {"maml": runs} for i in range(families)}, []).axes
    assert [each.get_title() for each in axes] == [f"family {i}" for i in range(families)]
    places = [each.get_subplotspec().rowspan.start for each in axes]
    assert [places.count(row) for row in sorted(set(places))] == rows


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_plots_render(tmp_path, evaluation, suffix: str) -> None:
    run = fixture_run(tmp_path / "run", 1)
    output = tmp_path / f"figure{suffix}"
    assert main([str(run), str(evaluation), "--output", str(output)]) == 0
    assert output.stat().st_size > 5000
    if suffix == ".png":
        with Image.open(output) as picture:
            assert picture.width > 1000  # a panel each
            assert len(picture.convert("RGB").getcolors(1_000_000)) > 20


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--output", "a.png"], ["no run"]),
        (["RUN"], ["--output"]),
        (["RUN", "--output", "a.bmp"], ["--output", "a.bmp", ".png, .pdf, .svg"]),
        (["RUN", "--output", "nowhere/a.png"], ["--output", "a folder that exists"]),
        (["empty", "--output", "a.png"], ["empty", "a run directory, with a config.yaml"]),
        (["missing", "--output", "a.png"], ["missing", "does not exist"]),
        (["no-metrics", "--output", "a.png"], ["no-metrics", "a run with metrics"]),
        (["no-iteration", "--output", "a.png"], ["no iteration", "a run with metrics"]),
        (["list.json", "--output", "a.png"], ["list.json", "got a list"]),
        (["broken.json", "--output", "a.png"], ["broken.json", "an evaluation's JSON"]),
        (["other.json", "--output", "a.png"], ["other.json", "an evaluation's JSON"]),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run = fixture_run(tmp_path / "run", 1)
    (tmp_path / "empty").mkdir()
    (fixture_run(tmp_path / "no-metrics", 1) / "metrics.jsonl").unlink()
    fixture_run(tmp_path / "no-iteration", 1, rows=0)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "list.json").write_text("[1]")
    before = sorted(tmp_path.rglob("*"))
    assert main([str(run) if each == "RUN" else each for each in arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    for part in parts:
        assert part in error
    assert sorted(tmp_path.rglob("*")) == before
