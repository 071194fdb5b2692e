"""What TensorBoard's HParams and text tabs show of runs, by TensorBoard's own backend."""

from pathlib import Path

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
from tensorboard.util.tensor_util import make_ndarray

from maml_rl.options.config import DataConfig, RlConfig
from maml_rl.runs.hyper_parameters import hyper_parameters
from maml_rl.train import main
from tests.maml_rl.test_train import metrics, train


def tab(folder: Path) -> tuple[list[str], list[str], dict[str, api_pb2.SessionGroup]]:
    """Names of the columns of options and of metrics, in their order, and the rows by the names of their runs."""
    runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = base_plugin.TBContext(data_provider=MultiplexerDataProvider(runs, str(folder)), logdir=str(folder))
    backend, request = backend_context.Context(context), RequestContext()
    columns = get_experiment.Handler(request, backend, "", api_pb2.GetExperimentRequest()).run()
    wanted = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS],
    )
    groups = list_session_groups.Handler(request, backend, "", wanted).run().session_groups
    names = [info.name for info in columns.hparam_infos], [info.name.tag for info in columns.metric_infos]
    return *names, {group.name: group for group in groups}


def values(group: api_pb2.SessionGroup) -> dict[str, float]:
    return {each.name.tag: each.value for each in group.metric_values}


def test_two_runs_are_compared_by_what_differs_and_by_their_final_returns(tmp_path) -> None:
    train(tmp_path / "a", "--iterations", "2", "--keep-best")
    train(tmp_path / "b", "--iterations", "2", "--keep-best", "--algorithm", "fomaml", "--inner-lr", "0.3")
    options, numbers, rows = tab(tmp_path)
    assert sorted(options[:2]) == ["algorithm", "inner_lr"]  # then the others, by name
    assert options[2:] == sorted(options[2:])
    assert {"hidden_sizes", "seed", "env"} <= set(options)
    assert not {"iterations", "device", "num_threads"} & set(options)
    assert numbers[:2] == ["Final/return/post", "Final/validation/return"]
    assert rows.keys() == {"a", "b"}  # no other run folders
    for name, row in rows.items():
        [session] = row.sessions
        assert session.status == api_pb2.STATUS_SUCCESS
        assert abs(values(row)["Final/return/post"] - metrics(tmp_path / name)[-1]["return/post"]) < 1e-4
        assert values(row)["Final/validation/return"] <= 0
    assert rows["b"].hparams["algorithm"].string_value == "fomaml"
    assert rows["b"].hparams["inner_lr"].number_value == 0.3
    assert rows["b"].hparams["hidden_sizes"].string_value == "8"


def test_a_resumed_run_is_one_row_with_its_last_values(tmp_path) -> None:
    run = tmp_path / "run"
    train(run, "--iterations", "1")
    assert main(["--resume", str(run), "--iterations", "3", "--num-threads", "2"]) == 0
    assert main(["--resume", str(run), "--iterations", "4"]) == 0
    options, _, rows = tab(tmp_path)
    assert len(options) == len(set(options))
    [session] = rows["run"].sessions
    assert session.status == api_pb2.STATUS_SUCCESS
    assert abs(values(rows["run"])["Final/return/post"] - metrics(run)[-1]["return/post"]) < 1e-4


def test_the_text_tab_has_the_commands_of_a_run(tmp_path) -> None:
    run = tmp_path / "a run"
    train(run, "--iterations", "1")
    assert main(["--resume", str(run), "--iterations", "2"]) == 0
    runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    begun, resumed = (
        make_ndarray(each.tensor_proto).item().decode() for each in runs.Tensors("a run", "command/text_summary")
    )
    assert begun.startswith("    python -m maml_rl.train --env navigation-2d ")
    assert f"--run-dir '{run}'" in begun
    assert "    # maml_rl " in begun
    assert f"--resume '{run}' --iterations 2\n" in resumed


def test_a_run_that_is_under_way_has_a_row(tmp_path) -> None:
    train(tmp_path / "run", "--iterations", "0")
    _, numbers, rows = tab(tmp_path)
    assert numbers == []
    assert rows["run"].sessions[0].status == api_pb2.STATUS_UNKNOWN  # TensorBoard shows that it has not ended


def test_runs_of_a_data_set_have_their_final_loss(tmp_path) -> None:
    arguments = ["--data", "sinusoid", "--iterations", "2", "--metrics-every", "1", "--hidden-sizes", "8"]
    assert main([*arguments, "--num-tasks", "2", "--device", "cpu", "--run-dir", str(tmp_path / "run")]) == 0
    _, numbers, rows = tab(tmp_path)
    assert numbers[0] == "Final/loss/post"
    assert abs(values(rows["run"])["Final/loss/post"] - metrics(tmp_path / "run")[-1]["loss/post"]) < 1e-4


def test_every_option_has_a_cell() -> None:
    for config in (RlConfig(), DataConfig()):
        cells = hyper_parameters(config)
        assert all(isinstance(value, bool | int | float | str) for value in cells.values())
        assert cells["algorithm"] == "maml"
    assert hyper_parameters(RlConfig(hidden_sizes=(100, 50)))["hidden_sizes"] == "100, 50"
