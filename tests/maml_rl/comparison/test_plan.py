from pathlib import Path

import pytest

from maml_rl.comparison.options import parse
from maml_rl.comparison.plan import Plan, plan
from maml_rl.options.config import flat
from maml_rl.schema.errors import UsageError


def planned(*argv: str) -> Plan:
    return plan(*parse([*argv, "--output", "out"]))


def test_every_algorithm_with_every_seed_its_preset_and_the_options_that_it_has() -> None:
    flags = ["--num-tasks", "4", "--clip", "0.5", "--env-steps", "2.5M"]
    found = planned("--env", "halfcheetah-dir", "--algorithms", "maml", "promp", "--seeds", "3", "5", *flags)
    assert [run.name for run in found.runs] == ["maml-3", "maml-5", "promp-3", "promp-5"]
    assert found.runs[0].folder == Path("out/runs/maml-3")
    maml, _, promp, _ = (flat(run.config) for run in found.runs)
    assert (maml["num_tasks"], promp["num_tasks"], promp["clip"]) == (4, 4, 0.5)
    assert "clip" not in maml
    assert (maml["nonlinearity"], promp["meta_lr"]) == ("tanh", 0.003)  # the preset's
    assert found.env_steps == 2_500_000
    assert planned("--data", "omniglot", "--algorithms", "reptile").runs[2].config.seed == 3


def test_several_runs_of_one_algorithm_from_a_file(tmp_path) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text(
        "env: halfcheetah-dir\nseeds: [7]\nenv_steps: 80k\nnum_tasks: 6\n"
        "runs:\n  promp: {algorithm: promp}\n  'promp, large steps': {algorithm: promp, meta_lr: 0.1, num_tasks: 8}\n"
    )
    one, other = planned("--config", str(file)).runs
    assert (one.label, other.label) == ("promp", "promp, large steps")
    assert (one.config.num_tasks, other.config.num_tasks) == (6, 8)
    assert (flat(one.config)["meta_lr"], flat(other.config)["meta_lr"]) == (0.003, 0.1)
    assert one.config.seed == 7
    assert planned("--config", str(file)).env_steps == 80_000
    above = planned("--config", str(file), "--seeds", "1", "2", "--num-tasks", "3", "--env", "navigation-2d")
    assert [run.config.seed for run in above.runs] == [1, 2, 1, 2]
    assert {run.config.num_tasks for run in above.runs} == {3}
    assert {flat(run.config)["env"] for run in above.runs} == {"navigation-2d"}


DIR = ["--env", "halfcheetah-dir"]


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        ([], ["no run", "--algorithms"]),
        ([*DIR, "--algorithms"], ["no run"]),
        ([*DIR, "--algorithms", "mamml"], ["--algorithms", "'mamml'", "nearest: maml"]),
        (["--data", "sinusoid", "--algorithms", "maml", "--filters", "3"], ["--filters: no effect", "pictures"]),
        ([*DIR, "--algorithms", "maml", "maml"], ["--algorithms", "maml twice"]),
        ([*DIR, "--algorithms", "maml", "--seeds", "1", "1"], ["--seeds", "1 twice"]),
        ([*DIR, "--algorithms", "maml", "--seed", "1"], ["--seed", "--seeds"]),
        ([*DIR, "--algorithm", "maml"], ["--algorithm", "--algorithms"]),
        ([*DIR, "--algorithms", "maml", "--num-threads", "1"], ["--num-threads", "--jobs"]),
        ([*DIR, "--algorithms", "maml", "--clip", "0.2"], ["--clip", "not an option of these runs"]),
        ([*DIR, "--algorithms", "maml", "--env-steps", "many"], ["--env-steps", "many", "30M"]),
        ([*DIR, "--algorithms", "maml", "--env-steps", "0"], ["--env-steps", "0", "30M"]),
        ([*DIR, "--algorithms", "maml", "--env-steps", "1M", "--iterations", "3"], ["--iterations", "--env-steps"]),
        ([*DIR, "--algorithms", "prototypical"], ["prototypical", "allowed with --env"]),
        ([*DIR, "--data", "omniglot", "--algorithms", "maml"], ["--data", "--env"]),
        (["--data", "omniglot", "--algorithms", "maml", "--env-steps", "1M"], ["--env-steps", "no effect"]),
        (["--env", "walkr-dir", "--algorithms", "maml"], ["walkr-dir", "nearest: walker-dir"]),
        ([*DIR, "--algorithms", "maml", "--preset", "none"], ["--preset", "none"]),
        (["--config", "missing.yaml"], ["missing.yaml", "readable"]),
        (["--config", "FILE", "--algorithms", "maml"], ["--algorithms", "--config"]),
    ],
)
def test_bad_input(tmp_path, argv, parts) -> None:
    with pytest.raises(UsageError) as error:
        planned(*argv)
    assert all(part in str(error.value) for part in parts), str(error.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("env: halfcheetah-dir", ["runs", "None"]),
        ("runs: [maml]", ["runs", "options of each run"]),
        ("runs: {a/b: {algorithm: maml}}", ["runs", "'a/b'", "name of letters"]),
        ("runs: {a: {algorithm: none}}", ["runs: a", "none"]),
        ("runs: {a: {seed: 3}}", ["runs: a", "seed"]),
        ("runs: {a: {inner_lrr: 3}}", ["runs: a: inner_lrr", "nearest: inner_lr"]),
        ("runs: {a: {inner_lr: high}}", ["runs: a: inner_lr", "high"]),
        ("inner_lrr: 1\nruns: {a: {}}", ["inner_lrr", "nearest: inner_lr"]),
        ("seeds: 3\nruns: {a: {}}", ["seeds", "3", "a list"]),
        ("env: x\ndata: y\nruns: {a: {}}", ["data", "env"]),
        ("env_steps: 1M\niterations: 3\nruns: {a: {}}", ["--iterations", "--env-steps"]),
    ],
)
def test_a_bad_file(tmp_path, text, parts) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        planned("--config", str(file))
    assert all(part in str(error.value) for part in [str(file), *parts][parts[0].startswith("--") :]), str(error.value)
