import dataclasses

import pytest
import safetensors
import torch

from envs import KeyedGenerator
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import Config
from maml_rl.options.yaml_file import dump_yaml
from maml_rl.runs.checkpoint import State, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.schema.errors import UsageError

POLICY = MlpPolicy(3, 2, (4,))
STATE = State(POLICY.initial_parameters(KeyedGenerator(1)), iteration=12, env_steps=345)


def test_what_is_saved_is_what_is_loaded(tmp_path) -> None:
    path = save_checkpoint(tmp_path, STATE, POLICY, Config())
    assert path.name == "iteration-000012.safetensors"
    loaded, config = load_checkpoint(path, lambda _: POLICY)
    assert config == Config()
    assert torch.equal(loaded.theta, STATE.theta)
    assert (loaded.iteration, loaded.env_steps) == (12, 345)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # no temporary file stays behind
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata()["config"] == dump_yaml(Config())
        assert set(file.keys()) == set(POLICY.parameter_shapes)


def test_the_latest_is_the_one_of_the_most_iterations(tmp_path) -> None:
    for iteration in (5, 100, 20):
        save_checkpoint(tmp_path, dataclasses.replace(STATE, iteration=iteration), POLICY, Config())
    assert latest_checkpoint(tmp_path).name == "iteration-000100.safetensors"


def test_bad_checkpoints_are_named(tmp_path) -> None:
    with pytest.raises(UsageError, match="allowed: a run with a checkpoint"):
        latest_checkpoint(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path / "iteration-000001.safetensors", lambda _: POLICY)
    path = save_checkpoint(tmp_path, STATE, POLICY, Config())
    with pytest.raises(UsageError, match=r"layer0.bias: torch.float32 \(4,\), allowed: torch.float32 \(5,\)"):
        load_checkpoint(path, lambda _: dataclasses.replace(POLICY, hidden_sizes=(5,)))
    with pytest.raises(UsageError, match=r"layer1.bias: torch.float32 \(2,\), allowed: torch.float32 \(4,\)"):
        load_checkpoint(path, lambda _: dataclasses.replace(POLICY, hidden_sizes=(4, 4)))
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:100], b"", b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read"):
            load_checkpoint(path, lambda _: POLICY)
        assert path.read_bytes() == content
    path.write_bytes(whole)
    with pytest.raises(UsageError, match="metadata say iteration 12"):
        load_checkpoint(path.rename(tmp_path / "iteration-000013.safetensors"), lambda _: POLICY)
    broken = save_checkpoint(tmp_path, dataclasses.replace(STATE, theta=STATE.theta / 0), POLICY, Config())
    with pytest.raises(UsageError, match="not finite"):
        load_checkpoint(broken, lambda _: POLICY)
    path.write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    with pytest.raises(UsageError, match="it is not a checkpoint of maml_rl"):
        load_checkpoint(path, lambda _: POLICY)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    path = save_checkpoint(tmp_path, STATE, POLICY, Config())
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(tmp_path, dataclasses.replace(STATE, env_steps=0), POLICY, Config())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
