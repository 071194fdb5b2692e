"""Options for each algorithm in a file, and what an algorithm takes from values that were written for another."""

from types import SimpleNamespace

import pytest
import yaml

from maml_rl import envs
from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options import presets
from maml_rl.options.command_line import parse_command_line
from maml_rl.options.config import RlConfig, configure, flat
from maml_rl.schema.errors import UsageError
from tests.maml_rl.algorithms.catalogue_names import OF_POLICIES


def parse(*argv: str) -> SimpleNamespace:
    """All options by name."""
    config, _ = parse_command_line(argv, "train", "", list(envs.ENVS))
    return SimpleNamespace(**flat(config))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a preset of navigation-2d, and a file; returns the flag for the file."""
    monkeypatch.setattr(presets, "PRESETS", tmp_path)

    def write(preset: dict, file: dict | None = None) -> list[str]:
        (tmp_path / "navigation-2d.yaml").write_text(yaml.safe_dump({"env": "navigation-2d"} | preset))
        (tmp_path / "file.yaml").write_text(yaml.safe_dump(file or {}))
        return ["--config", str(tmp_path / "file.yaml")]

    return write


LEVELS = [0.11, 0.12, 0.13, 0.14, 0.15]  # of inner_lr: in the preset, its section, the file, its section, a flag


@pytest.mark.parametrize("said", ["flag", "file"])
@pytest.mark.parametrize("top", range(6))
def test_defaults_preset_its_section_file_its_section_flags(write, top, said) -> None:
    values = [{"inner_lr": level} for level in LEVELS[:top]] + [{}] * (5 - top)
    named = {"algorithm": "cavia"} if said == "file" else {}
    argv = write(
        values[0] | {"algorithms": {"cavia": values[1], "promp": {"clip": 0.2}}},
        named | values[2] | {"algorithms": {"cavia": values[3] | {"context_size": 3}, "anil": {"inner_lr": 7.0}}},
    )
    argv += ["--algorithm", "cavia"] if said == "flag" else []
    argv += ["--inner-lr", str(LEVELS[4])] if top == 5 else []
    config = parse(*argv)
    assert (config.algorithm, config.context_size) == ("cavia", 3)
    assert config.inner_lr == (LEVELS[top - 1] if top else 1.0)


def test_a_section_is_of_the_algorithm_that_is_trained(write) -> None:
    argv = write({"algorithms": {"maml": {"num_tasks": 7}, "promp": {"clip": 0.2, "num_tasks": 8}}})
    assert parse(*argv).num_tasks == 7  # the default algorithm has its own too
    promp = parse(*argv, "--algorithm", "promp")
    assert (promp.clip, promp.num_tasks) == (0.2, 8)
    assert parse(*argv, "--algorithm", "anil").num_tasks == RlConfig().num_tasks


def test_a_flag_overrules_the_file_s_algorithm_and_what_only_that_one_has(write) -> None:
    sections = {"promp": {"clip": 0.2}, "cavia": {"context_size": 3}}
    argv = write({}, {"algorithm": "promp", "meta_epochs": 3, "inner_lr": 0.4, "algorithms": sections})
    promp, cavia = parse(*argv), parse(*argv, "--algorithm", "cavia")
    assert (promp.clip, promp.meta_epochs) == (0.2, 3)
    assert (cavia.algorithm, cavia.context_size, cavia.inner_lr) == ("cavia", 3, 0.4)
    # Without an algorithm of its own a file is for the one that is trained.
    argv = write({}, {"meta_epochs": 3})
    assert parse(*argv, "--algorithm", "promp").meta_epochs == 3
    with pytest.raises(UsageError, match=r"file\.yaml: meta_epochs: not an option of cavia"):
        parse(*argv, "--algorithm", "cavia")


def test_a_value_that_a_preset_says_stays_also_if_it_is_another_algorithm_s_default(write) -> None:
    argv = write({"inner_lr": 0.1, "inner_steps": 1}, {"algorithm": "maml"})
    for arguments in ([], argv):
        config = parse(*arguments, "--algorithm", "cavia")
        assert config.inner_lr == 0.1
        assert parse(*arguments, "--algorithm", "reptile").inner_steps == 1


@pytest.mark.parametrize("name", OF_POLICIES)
def test_defaults_of_one_algorithm_are_not_values_of_another(write, name) -> None:
    write({"num_tasks": 7, "max_kl": 0.03})
    config = parse("--algorithm", name)
    expected = vars(ALGORITHMS[name].options())
    if "max_kl" in expected:
        expected = expected | {"max_kl": 0.03}
    assert {key: getattr(config, key) for key in expected} == expected
    # From a configuration of MAML: its values that are not its defaults are taken over, and no others.
    other = configure(configure(RlConfig(), {"max_kl": 0.03}), {"algorithm": name})
    assert vars(other.algorithm_options) == expected


def test_an_unknown_option_of_a_section_that_is_not_trained_does_no_harm_to_a_run(write) -> None:
    argv = write({}, {"algorithms": {"promp": {"clop": 0.1}}})
    assert parse(*argv).algorithm == "maml"
    with pytest.raises(UsageError, match=r"file\.yaml: clop: unknown option.*nearest: clip"):
        parse(*argv, "--algorithm", "promp")
