"""Presets by name: --preset, and the files of configs/."""

import dataclasses
from types import SimpleNamespace

import pytest
import yaml

from maml_rl import envs
from maml_rl.meta.meta_step import TrustRegionOptions
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import DataConfig, RlConfig, configure, flat
from maml_rl.options.presets import load_preset, preset_names
from maml_rl.options.rl_wiring import make_family, make_model, make_simulations
from maml_rl.options.shipped import PRESETS
from maml_rl.options.yaml_file import read_yaml
from maml_rl.schema.errors import UsageError

SHIPPED = [(None, env) for env in envs.ENVS]
SHIPPED += [(name, env) for name in preset_names(envs.ENVS) for env in envs.ENVS if name in preset_names([env])]
# What no preset has to say: it is the user's choice, an algorithm's own, or does not change what is learned.
FREE = {
    "algorithm",
    "inner_loss",
    "meta_lr",
    "meta_lr_schedule",
    "seed",
    "device",
    "physics",
    "warp_contacts",
    "warp_constraints",
    "num_threads",
}
FREE |= {"init_from", "checkpoint_every", "keep_best", "validate_every", "video_every"}
# Part of an algorithm's own definition: a preset that said MAML's would turn ProMP into another algorithm.
FREE |= {"inner_loss"}


def parse(*argv: str) -> SimpleNamespace:
    """All options by name."""
    config, _ = parse_command_line(argv, "train", "", list(envs.ENVS))
    return SimpleNamespace(**flat(config))


def test_the_names_are_the_folders_with_families_in_them() -> None:
    assert preset_names(envs.ENVS) == ["maml-paper", "promp"]
    assert preset_names(["halfcheetah-vel"]) == ["maml-paper", "promp"]
    assert preset_names(["navigation-2d"]) == ["maml-paper"]
    assert preset_names(["bandit"]) == []


@pytest.mark.parametrize(("name", "env"), SHIPPED)
def test_a_shipped_preset_makes_an_env_and_a_policy(name, env) -> None:
    path = PRESETS / (name or "") / f"{env}.yaml"
    assert path.read_text().startswith("# ")  # its source
    config = load_preset(RlConfig(env=env), name, envs.ENVS)
    assert (config.env, config.variant) == (env, "promp" if name == "promp" else "maml")
    small = dataclasses.replace(config, num_tasks=1, episodes_per_task=1, num_threads=1, device="cpu", physics="cpu")
    family = make_family(small)
    assert make_simulations(small, family, None)[0].num_tasks == 1
    assert family.horizon == config.horizon
    policy = make_model(small, family)
    assert policy.num_parameters > family.observation_size * family.action_size


@pytest.mark.parametrize(("name", "env"), [each for each in SHIPPED if each[0]])
def test_a_published_protocol_does_not_depend_on_the_defaults(name, env) -> None:
    said = yaml.safe_load((PRESETS / name / f"{env}.yaml").read_text())
    assert flat(RlConfig()).keys() - FREE == set(said) - {"algorithms"}


# Options that have no effect on a data set's runs.
OF_TRUST_REGION = {field.name for field in dataclasses.fields(TrustRegionOptions)}
OF_OTHERS = OF_TRUST_REGION | {
    "classes",
    "picture_size",
    "picture_colour",
    "validation_tasks",
    "metrics_every",
    "train_ways",
}
OF_PICTURES = {"omniglot_split", "ways", "transductive", "network", "filters", "blocks", "halved_by", "features"}


@pytest.mark.parametrize(("data", "others"), [("sinusoid", OF_PICTURES), ("omniglot", {"nonlinearity"})])
def test_a_published_protocol_of_a_data_set_does_not_depend_on_the_defaults(data, others) -> None:
    said = yaml.safe_load((PRESETS / "maml-paper" / f"{data}.yaml").read_text())
    free = (FREE - {"meta_lr", "meta_lr_schedule"}) | OF_OTHERS | others
    assert flat(DataConfig()).keys() - free == set(said) - {"algorithms"} - FREE - OF_OTHERS | {
        "meta_lr",
        "meta_lr_schedule",
    }
    for algorithm in ("maml", "reptile"):
        config = parse("--preset", "maml-paper", "--data", data, "--algorithm", algorithm)
        assert config.data == data


def test_the_papers_omniglot() -> None:
    maml = parse("--preset", "maml-paper", "--data", "omniglot")
    assert (maml.num_tasks, maml.ways, maml.shots, maml.queries, maml.eval_steps) == (32, 5, 1, 0, 3)
    assert (maml.inner_lr, maml.inner_steps, maml.meta_lr, maml.outer_step) == (2.0, 1, 1e-3, "adam")  # 0.4 x 5 ways
    reptile = parse("--preset", "maml-paper", "--data", "omniglot", "--algorithm", "reptile")
    assert (reptile.num_tasks, reptile.train_shots, reptile.shots, reptile.queries) == (5, 10, 1, 1)
    assert (reptile.inner_optimiser, reptile.inner_lr, reptile.inner_steps, reptile.inner_batch) == (
        "adam",
        1e-3,
        5,
        10,
    )
    assert (reptile.eval_steps, reptile.eval_inner_batch, reptile.eval_lr_ratio) == (50, 5, 1.0)
    assert (reptile.meta_lr, reptile.iterations) == (1.0, 100_000)


@pytest.mark.parametrize(
    ("env", "tasks", "episodes", "horizon", "inner_lr", "max_kl", "iterations", "later_lr"),
    [
        ("navigation-2d", 20, 20, 100, 0.5, 0.01, 100, 0.25),
        ("halfcheetah-vel", 40, 10, 200, 0.1, 0.01, 476, 0.05),
        ("halfcheetah-dir", 40, 20, 200, 0.1, 0.02, 101, 0.05),
        ("ant-vel", 40, 20, 200, 0.1, 0.01, 376, 0.05),
        ("ant-dir", 40, 40, 200, 0.1, 0.01, 576, 0.001),
    ],
)
def test_the_paper_s_policies(env, tasks, episodes, horizon, inner_lr, max_kl, iterations, later_lr) -> None:
    config = parse("--preset", "maml-paper", "--env", env)
    assert (config.num_tasks, config.episodes_per_task, config.horizon) == (tasks, episodes, horizon)
    assert (config.inner_lr, config.max_kl, config.iterations) == (inner_lr, max_kl, iterations)
    assert config.inner_lr * config.eval_lr_ratio == pytest.approx(later_lr)
    assert (config.hidden_sizes, config.nonlinearity) == ((100, 100), "relu")
    assert (config.output_scale, config.init_log_std, config.curvature_stride) == (1, 0, 1)
    assert (config.cg_iterations, config.cg_damping) == (10, 1e-5)
    assert (config.discount, config.gae_lambda) == (0.99, 1)


def test_a_preset_stands_above_the_defaults_below_the_file_and_the_flags(tmp_path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("inner_lr: 0.3\nmax_kl: 0.04\n")
    argv = ["--preset", "maml-paper", "--env", "halfcheetah-dir", "--config", str(file), "--max-kl", "0.05"]
    config = parse(*argv)
    assert (config.iterations, config.inner_lr, config.max_kl) == (101, 0.3, 0.05)


def test_the_variant_promp_and_its_preset_are_one() -> None:
    preset = configure(RlConfig(), read_yaml(PRESETS / "promp" / "ant-dir.yaml"))
    for argv in (["--preset", "promp"], ["--variant", "promp"], ["--preset", "promp", "--variant", "promp"]):
        assert vars(parse("--env", "ant-dir", *argv)) == flat(preset)


def test_a_file_chooses_the_family_of_a_preset(tmp_path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("env: ant-vel\n")
    assert parse("--preset", "maml-paper", "--config", str(file)).iterations == 376
    file.write_text("env: ant-vel\nvariant: promp\n")
    assert parse("--config", str(file)).hidden_sizes == (64, 64)


def test_help_shows_the_values_of_the_preset(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        parse("--preset", "maml-paper", "--env", "ant-dir", "--help")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "default: 576" in text
    for name in preset_names(envs.ENVS):
        assert name in text


def test_another_algorithm_takes_from_a_preset_what_it_has(capsys) -> None:
    config = parse("--env", "halfcheetah-vel", "--algorithm", "oracle")
    preset = parse("--env", "halfcheetah-vel")
    assert (config.max_kl, config.num_tasks, config.iterations) == (preset.max_kl, preset.num_tasks, preset.iterations)
    assert not hasattr(config, "inner_steps")
    with pytest.raises(
        UsageError, match="--inner-steps: not an option of oracle, allowed with --algorithm maml, fomaml"
    ):
        parse("--algorithm", "oracle", "--inner-steps", "2")
    with pytest.raises(SystemExit):
        parse("--algorithm", "oracle", "--help")
    text = capsys.readouterr().out
    assert "--max-kl" in text
    assert "--inner-steps" not in text


def test_a_file_cannot_have_options_of_another_algorithm(tmp_path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("algorithm: oracle\ninner_steps: 2\n")
    with pytest.raises(UsageError, match=r"options\.yaml: inner_steps: not an option of oracle"):
        parse("--config", str(file))
    file.write_text("algorithm: oracle\nmax_kl: 0.3\n")
    assert parse("--config", str(file)).max_kl == 0.3
    assert parse("--config", str(file), "--algorithm", "pretrain").algorithm == "pretrain"
