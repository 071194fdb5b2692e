"""Training, evaluation, figures and the Python interface of data sets, as a user has them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import maml_rl
from maml_rl import evaluate, plot, train
from maml_rl.reports.sampled_page import sampled_page
from maml_rl.supervised.omniglot import omniglot
from tests.maml_rl.coloured_pictures import coloured

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--num-tasks",
    "3",
    "--num-threads",
    "1",
    "--device",
    "cpu",
    "--metrics-every",
    "2",
    "--validation-tasks",
    "4",
]
KINDS = {
    "sinusoid": ["--data", "sinusoid", "--hidden-sizes", "8"],
    "omniglot": ["--data", "omniglot", "--ways", "3", "--shots", "2", "--queries", "1", "--filters", "4"],
    "mlp": ["--data", "omniglot", "--network", "mlp", "--hidden-sizes", "8", "8", "--omniglot-split", "vinyals"],
}
ALGORITHMS = {
    "maml": [],
    "fomaml": ["--inner-steps", "2"],
    "anil": [],
    "meta_sgd": [],
    "reptile": ["--inner-optimiser", "adam", "--inner-batch", "4", "--eval-inner-batch", "3", "--train-shots", "3"],
    "pretrain": [],
}
OF_PICTURES = {
    "prototypical": ["--train-ways", "4"],
    "matching": ["--full-context"],
    "statistician": ["--train-ways", "4", "--hidden-size", "8", "--context-width", "6", "--train-shots", "3"],
    "memory": ["--train-ways", "4", "--memory-size", "50"],
}
CASES = [(data, algorithm) for data in ("sinusoid", "omniglot") for algorithm in ALGORITHMS]
CASES += [("omniglot", algorithm) for algorithm in OF_PICTURES]


def run(folder: Path, *flags: str, iterations: int = 4) -> Path:
    assert train.main([*flags, *SMALL, "--iterations", str(iterations), "--run-dir", str(folder)]) == 0
    return folder


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def last_state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted((folder / "checkpoints").glob("iteration-*"))[-1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data-runs")
    return {name: run(folder / name, *flags) for name, flags in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_metrics_are_of_loss_and_of_a_classification_accuracy(trained, name) -> None:
    found = rows(trained[name])
    assert [row["iteration"] for row in found] == [1, 3]  # every second one
    measures = ["loss"] if name == "sinusoid" else ["loss", "accuracy"]
    for row in found:
        assert {f"{each}/{when}" for each in measures for when in ("pre", "post")} <= row.keys()
        assert ("accuracy/pre" in row) == (name != "sinusoid")
        assert "return/pre" not in row
        assert "env_steps" not in row
        assert all(np.isfinite(value) for value in row.values())


@pytest.mark.parametrize(("data", "algorithm"), CASES)
def test_a_resumed_run_is_bit_identical(tmp_path, data, algorithm) -> None:
    flags = [*KINDS[data], "--algorithm", algorithm, *(ALGORITHMS | OF_PICTURES)[algorithm], "--checkpoint-every", "2"]
    whole, resumed = run(tmp_path / "whole", *flags), tmp_path / "resumed"
    shutil.copytree(whole, resumed)
    (resumed / "checkpoints" / "iteration-000004.safetensors").unlink()
    assert train.main(["--resume", str(resumed)]) == 0
    one, other = last_state(whole), last_state(resumed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    times = {"time/adapt", "time/collect", "time/outer", "time/iteration"}
    first, second = (
        [{name: row[name] for name in row.keys() - times} for row in rows(folder)] for folder in (whole, resumed)
    )
    assert first == second


@pytest.mark.parametrize("data", ["sinusoid", "omniglot"])
def test_two_ranks_come_to_the_same(tmp_path, data) -> None:
    alone = run(tmp_path / "alone", *KINDS[data], "--keep-best", "--validate-every", "4")
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "maml_rl.train"]
    flags = [*KINDS[data], *SMALL, "--keep-best", "--validate-every", "4", "--iterations", "4"]
    command = [*ranks, *flags, "--run-dir", str(tmp_path / "two")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for name, part in last_state(alone).items():
        torch.testing.assert_close(last_state(tmp_path / "two")[name], part, rtol=1e-5, atol=1e-6)
    for one, two in zip(rows(alone), rows(tmp_path / "two"), strict=True):
        shared = {name for name in one if not name.startswith("time/")}
        assert {name: two[name] for name in shared} == pytest.approx({name: one[name] for name in shared}, rel=1e-4)
    assert len(re.findall("on validation tasks", done.stderr)) == 1  # one rank prints


@pytest.mark.parametrize("name", KINDS)
def test_an_evaluation_has_a_table_a_file_and_figures(trained, name, tmp_path, capsys) -> None:
    output, figure = tmp_path / "evaluation.json", tmp_path / "tasks.png"
    flags = ["--tasks", "5", "--gradient-steps", "2", "--random"]
    assert evaluate.main([str(trained[name]), *flags, "--output", str(output), "--figure", str(figure)]) == 0
    table = capsys.readouterr().out
    assert ("squared error" if name == "sinusoid" else "transductive: all queries at once") in table
    document = json.loads(output.read_text())
    assert document["data"] == ("sinusoid" if name == "sinusoid" else "omniglot")
    ours, random = document["results"]
    assert (ours["algorithm"], random["name"]) == ("maml", "random")
    assert ours["gradient_steps"] == [0, 1, 2]
    measure = "loss" if name == "sinusoid" else "accuracy"
    many = "losses" if name == "sinusoid" else "accuracies"
    of_tasks = np.array([each[many] for each in ours["per_task"]])  # [5, 3]
    np.testing.assert_allclose(ours[f"{measure}_mean"], of_tasks.mean(axis=0))
    np.testing.assert_allclose(ours[f"{measure}_ci95"], 1.959964 * of_tasks.std(axis=0, ddof=1) / 5**0.5, rtol=1e-5)
    assert figure.read_bytes().startswith(b"\x89PNG")
    curves = tmp_path / "curves.svg"
    assert plot.main([str(trained[name]), str(output), "--output", str(curves)]) == 0
    assert "<svg" in curves.read_text()


def test_a_task_s_evaluation_depends_on_no_other_task(trained, tmp_path, monkeypatch) -> None:
    """Evaluations go in parts of many tasks; the parts' size changes nothing."""
    found = []
    for at_once in (1000, 20):
        monkeypatch.setattr("maml_rl.options.data_wiring.AT_ONCE", at_once)
        output = tmp_path / f"{at_once}.json"
        assert evaluate.main([str(trained["omniglot"]), "--tasks", "5", "--output", str(output)]) == 0
        [result] = json.loads(output.read_text())["results"]
        found.append([each["losses"] for each in result["per_task"]])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_a_run_shorter_than_its_metrics_are_apart_has_a_row(tmp_path) -> None:
    found = run(tmp_path / "run", *KINDS["sinusoid"], iterations=1)
    assert [row["iteration"] for row in rows(found)] == [0]


def test_a_learner_by_a_look_takes_more_labels_than_it_was_trained_with(tmp_path) -> None:
    flags = [*KINDS["omniglot"], "--algorithm", "prototypical"]
    learner = maml_rl.load(run(tmp_path / "run", *flags, iterations=1))
    pictures = np.random.default_rng(0).random((5, 28, 28))
    assert maml_rl.adapt(learner, pictures, "abcde").probabilities(pictures).shape == (5, 5)


def test_learners_by_a_look_are_tested_with_any_number_of_classes(trained, tmp_path, capsys) -> None:
    flags = ["--data", "omniglot", "--shots", "1", "--algorithm", "prototypical"]
    runs = [run(tmp_path / ways, *flags, "--ways", ways, iterations=2) for ways in ("3", "4")]
    output = tmp_path / "evaluation.json"
    assert evaluate.main([*map(str, runs), "--ways", "6", "--tasks", "3", "--output", str(output)]) == 0
    document = json.loads(output.read_text())
    assert document["protocol"]["ways"] == 6
    for result in document["results"]:  # before a look all classes are alike
        np.testing.assert_allclose([each["losses"][0] for each in result["per_task"]], np.log(6), rtol=1e-6)
    capsys.readouterr()
    assert evaluate.main([str(trained["omniglot"]), "--ways", "6"]) == 2
    assert "--ways: got 6, allowed for maml" in capsys.readouterr().err
    assert evaluate.main([str(trained["sinusoid"]), "--ways", "6"]) == 2
    assert "--ways: no effect on sinusoid" in capsys.readouterr().err


def test_the_output_names_the_normalisation(trained, tmp_path, capsys) -> None:
    output = tmp_path / "evaluation.json"
    flags = ["--tasks", "3", "--no-transductive", "--output", str(output)]
    assert evaluate.main([str(trained["omniglot"]), *flags]) == 0
    assert "not transductive: each query alone" in capsys.readouterr().out
    assert json.loads(output.read_text())["protocol"]["transductive"] is False


def test_your_own_pictures_from_training_to_prediction(tmp_path, capsys) -> None:
    folder = coloured(tmp_path / "pictures")
    flags = ["--data", str(folder), "--ways", "2", "--shots", "1", "--picture-size", "12", "--picture-colour", "rgb"]
    trained = run(tmp_path / "run", *flags, "--blocks", "2", iterations=2)
    assert "read 45 of 45 pictures" in capsys.readouterr().err
    figure = tmp_path / "page.pdf"
    assert evaluate.main([str(trained), "--tasks", "2", "--figure", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"%PDF")

    model = maml_rl.load(trained)
    files = [folder / name / f"{number}.png" for name in ("class0", "class9") for number in range(2)]
    labels = ["dark", "dark", "light", "light"]
    learner = maml_rl.adapt(model, files, labels)
    assert repr(learner) == f"MetaModel(maml, {folder}, {len(model.theta)} parameters, iteration 2, gradient_steps 3)"
    opened = [Image.open(file) for file in files]
    np.testing.assert_array_equal(learner.probabilities(opened), learner.probabilities(files))
    assert learner.labels == ("dark", "light")
    assert set(learner.predict(files)) <= {"dark", "light"}
    assert learner.predict(files).tolist() == [
        learner.labels[number] for number in learner.probabilities(files).argmax(axis=1)
    ]
    np.testing.assert_allclose(learner.probabilities(files).sum(axis=1), 1, rtol=1e-5)
    each = [learner.probabilities([file], transductive=False)[0] for file in files]
    np.testing.assert_allclose(learner.probabilities(files, transductive=False), each, rtol=1e-4)

    # A class that comes to it would draw the split anew, and let tests see what was trained on.
    shutil.copytree(folder / "class0", folder / "another")
    capsys.readouterr()
    for command, flags in ((evaluate.main, [str(trained), "--tasks", "2"]), (train.main, ["--resume", str(trained)])):
        assert command(flags) == 2
        error = capsys.readouterr().err
        assert "got other classes or another split of them" in error
        assert error.count("\n") == 1
    shutil.rmtree(folder / "another")
    assert not torch.equal(learner.theta, model.theta)
    # The folder may be elsewhere by now.
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert evaluate.main([str(trained), "--tasks", "2", "--data", str(moved)]) == 0
    assert evaluate.main([str(trained), "--tasks", "2"]) == 2
    assert train.main(["--resume", str(trained), "--iterations", "3"]) == 2
    assert train.main(["--resume", str(trained), "--iterations", "3", "--data", "omniglot"]) == 2
    assert train.main(["--resume", str(trained), "--iterations", "3", "--data", str(moved)]) == 0
    capsys.readouterr()
    assert train.main(["--data", str(moved), "--ways", "2", "--shots", "1", "--run-dir", str(moved / "run")]) == 2
    assert "--run-dir" in capsys.readouterr().err
    assert not (moved / "run").exists()


def test_a_regressor_is_adapted_to_points_at_once_and_step_by_step(trained) -> None:
    model = maml_rl.load(trained["sinusoid"])
    x = np.linspace(-5, 5, 10)
    adapted = maml_rl.adapt(model, x, np.sin(x), gradient_steps=2)
    again = maml_rl.adapt(maml_rl.adapt(model, x[:, None], np.sin(x), gradient_steps=1), x, np.sin(x), gradient_steps=1)
    assert torch.equal(adapted.theta, again.theta)
    assert adapted.predict(x).shape == (10,)
    assert not np.array_equal(adapted.predict(x), model.predict(x))


@pytest.mark.parametrize("algorithm", OF_PICTURES)
def test_learners_that_compare_are_used_alike(tmp_path, algorithm, capsys) -> None:
    flags = [*KINDS["omniglot"], "--algorithm", algorithm, *OF_PICTURES[algorithm]]
    trained = run(tmp_path / "run", *flags, iterations=2)
    output = tmp_path / "evaluation.json"
    assert evaluate.main([str(trained), "--tasks", "4", "--output", str(output)]) == 0
    normalisation = "is none" if algorithm == "memory" else "takes the statistics of training"
    assert f"batch normalisation in tests {normalisation}" in capsys.readouterr().out
    [result] = json.loads(output.read_text())["results"]
    assert result["gradient_steps"] == [0, 1]
    assert result["accuracy_mean"][0] == pytest.approx(1 / 3)
    pictures = np.random.default_rng(0).random((3, 28, 28), np.float32)
    learner = maml_rl.adapt(maml_rl.load(trained), pictures, ["a", "b", "c"], gradient_steps=1)
    again = maml_rl.adapt(learner, pictures[:2], ["c", "b"], gradient_steps=1)
    assert set(learner.predict(pictures)) <= {"a", "b", "c"}
    assert set(again.predict(pictures)) <= {"b", "c"}
    if algorithm != "matching":  # each is its own nearest
        assert learner.predict(pictures).tolist() == ["a", "b", "c"]
        assert again.predict(pictures[:2]).tolist() == ["c", "b"]


def test_a_statistician_draws_what_it_samples(tmp_path, monkeypatch) -> None:
    flags = [*KINDS["omniglot"], "--algorithm", "statistician", *OF_PICTURES["statistician"]]
    trained = run(tmp_path / "run", *flags, iterations=2)
    terms = {f"statistician/{name}" for name in ("bound", "reconstruction", "kl_z", "kl_c")}
    assert all(terms <= row.keys() for row in rows(trained))
    pages = []
    monkeypatch.setattr(
        "maml_rl.evaluation.drawing.sampled_page", lambda *page: pages.append(page) or sampled_page(*page)
    )
    for name in ("one", "two"):
        figure = tmp_path / f"{name}.png"
        assert evaluate.main([str(trained), "--tasks", "4", "--shots", "1", "--figure", str(figure)]) == 0
        assert figure.read_bytes().startswith(b"\x89PNG")
    (sets, title), (again, _) = pages
    assert "conditioned on 3 pictures" in title
    assert len(sets) == 10  # of tasks of 3 classes
    data = omniglot("finn", 3)
    drawings = {data.pictures.name(number): number for number in data.splits["test"].flatten().tolist()}
    for each, same in zip(sets, again, strict=True):
        of_class = data.pictures.read(drawings[each.name], np.arange(20))
        assert all((picture == of_class).all(axis=(1, 2, 3)).any() for picture in each.given)
        assert (each.given.shape, each.samples.shape) == ((3, 1, 28, 28), (10, 1, 28, 28))
        assert 0 < each.samples.min() < each.samples.max() < 1
        np.testing.assert_array_equal(same.samples, each.samples)
    assert evaluate.main([str(trained), "--tasks", "2", "--figure", str(tmp_path / "six.png")]) == 0
    assert len(pages[-1][0]) == 6


def test_models_of_other_kinds_are_compared_on_the_same_examples(trained, tmp_path, capsys) -> None:
    flags = ["--data", "omniglot", "--ways", "3", "--shots", "1", "--algorithm", "prototypical"]
    other, output = run(tmp_path / "run", *flags, iterations=2), tmp_path / "evaluation.json"
    compared = [str(other), str(trained["omniglot"]), "--random", "--tasks", "4", "--output", str(output)]
    figure = tmp_path / "compared.png"
    assert evaluate.main([*compared, "--figure", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    table = capsys.readouterr().out
    assert f"prototypical ({other}), random: batch normalisation in tests takes the statistics of training" in table
    assert f"maml ({trained['omniglot']}): batch normalisation in tests is transductive" in table
    document = json.loads(output.read_text())
    results = document["results"]
    assert [len(each["gradient_steps"]) for each in results] == [2, 4, 2]
    assert [each["normalisation"].split()[0] for each in results] == ["takes", "is", "takes"]
    after = [np.array([task["accuracies"][-1] for task in each["per_task"]]) for each in results]
    assert [pair["mean"] for pair in document["differences"]] == pytest.approx(
        [(after[j] - after[i]).mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    )
    # Shots and queries are the first one's, of all.
    assert document["protocol"]["shots"] == 1
    alone, queries = tmp_path / "alone.json", str(document["protocol"]["queries"])
    few = ["--tasks", "4", "--shots", "1", "--queries", queries, "--output", str(alone)]
    assert evaluate.main([str(trained["omniglot"]), *few]) == 0
    expected = json.loads(alone.read_text())
    assert expected["protocol"]["shots"] == 1
    assert results[1]["per_task"] == expected["results"][0]["per_task"]


def test_what_the_python_interface_refuses(trained) -> None:
    model, regressor = maml_rl.load(trained["omniglot"]), maml_rl.load(trained["sinusoid"])
    pictures = np.zeros((4, 28, 28), np.float32)
    with pytest.raises(ValueError, match="4 different labels, allowed: up to 3"):
        maml_rl.adapt(model, pictures, "abcd")
    with pytest.raises(ValueError, match=r"shape \(4, 1, 27, 28\), allowed: \(N, 1, 28, 28\)"):
        maml_rl.adapt(model, pictures[:, 1:], "abca")
    with pytest.raises(ValueError, match="targets: got 3, allowed: 4"):
        maml_rl.adapt(model, pictures, "abc")
    with pytest.raises(ValueError, match="no labels"):
        model.predict(pictures)
    with pytest.raises(ValueError, match="got pictures, allowed: numbers"):
        regressor.predict(["a.png"])
    with pytest.raises(ValueError, match="gradient_steps: got -1"):
        maml_rl.adapt(model, pictures, "abca", gradient_steps=-1)
    with pytest.raises(ValueError, match="gradient_steps: got 1000000"):
        maml_rl.adapt(model, pictures, "abca", gradient_steps=1_000_000)
    with pytest.raises(ValueError, match="targets: got None"):
        maml_rl.adapt(model, pictures, None)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="keys of a dict"):
        maml_rl.adapt(model, pictures, [["a"], ["b"], ["c"], ["a"]])
    with pytest.raises(ValueError, match=r"inputs: got 'a\.png', allowed: a list of paths"):
        maml_rl.adapt(model, "a.png", "a")
    with pytest.raises(ValueError, match="got pictures and 3"):
        maml_rl.adapt(model, ["a.png", 3], "ab")
    with pytest.raises(ValueError, match="not finite"):
        maml_rl.adapt(model, pictures * np.nan, "abca")
    with pytest.raises(ValueError, match=r"inputs: got none, allowed: \(N, 1, 28, 28\)"):
        maml_rl.adapt(model, [], [])
    with pytest.raises(ValueError, match="targets: got a number that is not finite"):
        maml_rl.adapt(regressor, [1.0, 2.0], [0.0, np.nan])


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--data", "omniglott"], ["--data", "sinusoid, omniglot, or a folder", "nearest: omniglot"]),
        (["--data", "sinusoid", "--env", "navigation-2d"], ["--data: not allowed with --env"]),
        (["--data", "sinusoid", "--horizon", "3"], ["--horizon: not an option of runs with --data"]),
        (["--env", "navigation-2d", "--ways", "3"], ["--ways: not an option of runs with --env"]),
        (
            ["--data", "sinusoid", "--algorithm", "promp"],
            ["--algorithm: got 'promp', allowed with --data: maml, fomaml"],
        ),
        (["--data", "omniglot", "--algorithm", "cavia"], ["cavia", "for policies and regressions"]),
        (["--data", "sinusoid", "--inner-loss", "dice"], ["--inner-loss: got 'dice'", "plain"]),
        (["--data", "omniglot", "--ways", "1"], ["--ways", ">= 2"]),
        (["--data", "omniglot", "--ways", "101"], ["--ways: got 101, allowed: 2 to 100, the number of val classes"]),
        (["--data", "omniglot", "--shots", "15", "--queries", "6"], ["--shots + --queries", "up to 20 in all"]),
        (["--data", "omniglot", "--shots", "1", "--train-shots", "20"], ["--train-shots + --queries", "20 + 1"]),
        (["--data", "omniglot", "--blocks", "9", "--halved-by", "max_pool"], ["--blocks: got 9", "28 x 28"]),
        (["--data", "omniglot", "--preset", "promp"], ["--preset: got 'promp'"]),
        (["--data", "sinusoid", "--algorithm", "anil", "--head-layers", "4"], ["--head-layers: got 4"]),
        (["--data", "omniglot", "--num-tasks", "1000000", "--shots", "10"], ["GB"]),
        (["--data", "sinusoid", "--algorithm", "prototypical"], ["allowed: pictures with --network conv"]),
        (["--data", "sinusoid", "--algorithm", "statistician"], ["allowed: pictures with --network conv"]),
        (["--data", "omniglot", "--algorithm", "memory", "--memory-size", "9"], ["--memory-size: got 9", ">= 16"]),
        (["--data", "omniglot", "--algorithm", "memory", "--network", "mlp"], ["pictures with --network conv"]),
        (["--data", "omniglot", "--network", "mlp", "--hidden-sizes"], ["--hidden-sizes: got none"]),
        (["--data", "omniglot", "--network", "mlp", "--inner-batch", "1"], ["--inner-batch: got 1", "batch norm"]),
        (["--data", "omniglot", "--blocks", "5", "--eval-inner-batch", "1"], ["--eval-inner-batch: got 1"]),
        (["--data", "omniglot", "--train-ways", "6"], ["--train-ways: no effect", "prototypical, matching"]),
        (["--data", "omniglot", "--train-ways", "1200", "--algorithm", "matching"], ["--train-ways: got 1200"]),
        (["--data", "omniglot", "--algorithm", "statistician", "--blocks", "9"], ["--blocks: got 9", "28 x 28"]),
        (["--data", "sinusoid", "--filters", "8"], ["--filters: no effect in this run, allowed with pictures"]),
        (["--data", "sinusoid", "--ways", "3"], ["--ways: no effect"]),
        (["--data", "omniglot", "--hidden-sizes", "8"], ["--hidden-sizes: no effect", "--network mlp"]),
        (["--data", "omniglot", "--picture-size", "8"], ["--picture-size: no effect", "--data FOLDER"]),
        (["--data", "omniglot", "--algorithm", "memory", "--eval-steps", "2"], ["--eval-steps: no effect"]),
        (["--data", "omniglot", "--validate-every", "2"], ["--validate-every: no effect", "--keep-best"]),
        (["--data", "."], ["0 classes", "6 or more"]),
    ],
)
def test_bad_input_gets_one_line_before_anything_is_written(flags, parts, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(flags) == 2
    error = capsys.readouterr().err
    for part in parts:
        assert part in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--video", "v.mp4"], ["--video: no effect on models of a data set"]),
        (["--episodes", "3"], ["--episodes: no effect"]),
        (["--env", "navigation-2d"], ["--env: got 'navigation-2d', allowed: none"]),
        (["--shots", "20"], ["--shots + --queries"]),
        (["--data", "."], ["--data: got '.', no effect on a run of omniglot"]),
        (["--figure", "f.mp4"], ["--figure", ".png, .pdf, .svg"]),
        (["--ways", "21"], ["--ways: got 21, allowed for maml"]),
        (["--ways", "21", "--figure", "f.png"], ["--figure: got tasks of 21 classes, allowed: up to 20"]),
        (["--split", "tets"], ["--split", "test"]),
        (["halfcheetah-dir"], ["halfcheetah-dir: got a run with --env, allowed: with --data"]),
    ],
)
def test_bad_input_of_an_evaluation(trained, flags, parts, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert evaluate.main([str(trained["omniglot"]), *flags]) == 2
    error = capsys.readouterr().err
    for part in parts:
        assert part in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_data_sets_are_listed(capsys) -> None:
    assert train.main(["--list-data"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("sinusoid", "omniglot", "path/to/folder", "Lake et al. 2015"))


def test_help_is_of_the_side(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        train.main(["--data", "omniglot", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "--shots" in text
    assert "--horizon" not in text


def test_the_best_state_on_validation_tasks_is_kept(tmp_path, capsys) -> None:
    for data, measure in (("sinusoid", "loss"), ("omniglot", "accuracy")):
        flags = [*KINDS[data], "--keep-best", "--validate-every", "2"]
        folder = run(tmp_path / data, *flags)
        assert (folder / "checkpoints" / "best.safetensors").exists()
        assert f"{measure} on validation tasks" in capsys.readouterr().err


def test_a_resumed_run_has_all_its_metrics(tmp_path, capsys) -> None:
    """A row is written every second iteration, and after the last, which a resumed run then has in between."""
    folder = run(tmp_path / "run", *KINDS["sinusoid"], iterations=3)
    for iterations in (5, 8):
        capsys.readouterr()
        assert train.main(["--resume", str(folder), "--iterations", str(iterations)]) == 0
        assert "lacks" not in capsys.readouterr().err
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5, 7]
    assert not list(folder.glob("*.damaged*"))
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[1:]))
    assert train.main(["--resume", str(folder), "--iterations", "9"]) == 0
    assert "metrics.jsonl lacks 1 of 4 iterations; as it was: " in capsys.readouterr().err
