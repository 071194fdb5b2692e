import dataclasses

import pytest
import safetensors
import torch

from maml_rl.envs import KeyedGenerator
from maml_rl.models.policies import MlpPolicy
from maml_rl.options.config import RlConfig
from maml_rl.options.yaml_file import dump_yaml
from maml_rl.runs.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from maml_rl.schema.errors import UsageError

POLICY = MlpPolicy(3, 2, (4,))
STATE = {"theta": POLICY.initial_parameters(KeyedGenerator(1)), "alpha": torch.rand(3)}
CHECKPOINT = Checkpoint(STATE, iteration=12, env_steps=345)


def begin(_: RlConfig):
    return POLICY, lambda: STATE


def begin_larger(_: RlConfig):
    def first_state():
        raise AssertionError("nothing of that size is made for a file that has another")

    return MlpPolicy(3, 2, (5,)), first_state


def begin_smaller(_: RlConfig):
    return POLICY, lambda: {"theta": STATE["theta"]}


def test_what_is_saved_is_what_is_loaded(tmp_path) -> None:
    path = save_checkpoint(tmp_path, CHECKPOINT, RlConfig())
    assert path.name == "iteration-000012.safetensors"
    loaded, config = load_checkpoint(path, begin)
    assert config == RlConfig()
    assert loaded.state.keys() == STATE.keys()
    assert all(torch.equal(loaded.state[name], STATE[name]) for name in STATE)
    assert (loaded.iteration, loaded.env_steps) == (12, 345)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # no temporary file stays behind
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata()["config"] == dump_yaml(RlConfig())
        assert set(file.keys()) == {"theta", "alpha"}


def test_a_checkpoint_of_format_1_has_the_policy_s_parameters_by_name(tmp_path) -> None:
    parameters = {name: part[0].contiguous() for name, part in POLICY.unflatten(STATE["theta"][None]).items()}
    metadata = {"format_version": "1", "iteration": "12", "env_steps": "345", "config": "inner_lr: 0.3\n"}
    path = tmp_path / "iteration-000012.safetensors"
    path.write_bytes(safetensors.torch.save(parameters, metadata))
    loaded, config = load_checkpoint(path, lambda _: (POLICY, lambda: {"theta": STATE["theta"]}))
    assert torch.equal(loaded.state["theta"], STATE["theta"])
    assert (loaded.iteration, loaded.env_steps, config.algorithm_options.inner_lr) == (12, 345, 0.3)
    path.write_bytes(safetensors.torch.save(parameters | {"log_std": torch.zeros(3)}, metadata))
    with pytest.raises(UsageError, match=r"log_std: torch.float32 \(3,\), allowed: torch.float32 \(2,\)"):
        load_checkpoint(path, lambda _: (POLICY, lambda: {"theta": STATE["theta"]}))


def test_the_latest_is_the_one_of_the_most_iterations(tmp_path) -> None:
    for iteration in (5, 100, 20):
        save_checkpoint(tmp_path, dataclasses.replace(CHECKPOINT, iteration=iteration), RlConfig())
    assert latest_checkpoint(tmp_path).name == "iteration-000100.safetensors"


def test_bad_checkpoints_are_named(tmp_path) -> None:
    with pytest.raises(UsageError, match="allowed: a run with a checkpoint"):
        latest_checkpoint(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path / "iteration-000001.safetensors", begin)
    path = save_checkpoint(tmp_path, CHECKPOINT, RlConfig())
    with pytest.raises(UsageError, match=r"theta: torch.float32 \(28,\), allowed: torch.float32 \(34,\)"):
        load_checkpoint(path, begin_larger)
    with pytest.raises(UsageError, match=r"alpha: torch.float32 \(3,\), allowed: none"):
        load_checkpoint(path, begin_smaller)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:100], b"", b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read"):
            load_checkpoint(path, begin)
        assert path.read_bytes() == content
    path.write_bytes(whole)
    with pytest.raises(UsageError, match="iteration 12 in its metadata"):
        load_checkpoint(path.rename(tmp_path / "iteration-000013.safetensors"), begin)
    infinite = dataclasses.replace(CHECKPOINT, state=STATE | {"alpha": torch.ones(3) / 0})
    broken = save_checkpoint(tmp_path, infinite, RlConfig())
    with pytest.raises(UsageError, match="not finite"):
        load_checkpoint(broken, begin)
    path.write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    with pytest.raises(UsageError, match="it is no checkpoint"):
        load_checkpoint(path, begin)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    path = save_checkpoint(tmp_path, CHECKPOINT, RlConfig())
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(tmp_path, dataclasses.replace(CHECKPOINT, env_steps=0), RlConfig())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_is_loaded_is_aligned_as_what_a_run_makes(tmp_path) -> None:
    """A resumed run equals the run: float32 kernels give other last bits on other addresses."""
    saved = save_checkpoint(tmp_path, CHECKPOINT, RlConfig())
    loaded, _ = load_checkpoint(saved, begin)
    assert len(loaded.state) > 1
    assert all(part.data_ptr() % 64 == 0 for part in loaded.state.values())
