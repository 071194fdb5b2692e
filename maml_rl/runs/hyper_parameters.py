"""A run in TensorBoard's HParams tab: the options that were chosen, as the tab reads them from event files.

`SummaryWriter.add_hparams` would make a run of its own in a folder below; these summaries go into the run's own file.
There is no summary of the whole experiment: it would fix the columns to the options of the first run. Without it the
tab makes them of all runs, first the options in which these differ, and all scalars, in the order of their names.
"""

# pyright: reportAttributeAccessIssue=false
# TensorBoard's generated modules ship no stubs: to pyright they have no attributes.

from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from maml_rl.options.config import Config, flat, names_marked
from maml_rl.schema.fields import Mark

FINAL = "Final/"  # begins the names of final values: capitals come first among the tab's columns, and five are shown


def hyper_parameters(config: Config) -> dict[str, bool | float | str]:
    """The options that a run keeps for its life, by name: the tab reads those of a resumed run once.

    A list is a text, such as "100, 100", and so is "none".
    """
    free = names_marked(config, Mark.FREE_ON_RESUME)
    return {name: _cell(value) for name, value in flat(config).items() if name not in free}


def session_start(config: Config) -> Summary:
    """The summary with a run's options. The run is named by its folder, as everywhere in TensorBoard."""
    return hparams_pb(hyper_parameters(config), trial_id="")


def session_end() -> Summary:
    """The summary that says that the run has come to its end."""
    ended = SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    data = metadata.create_summary_metadata(HParamsPluginData(session_end_info=ended))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def _cell(value: Any) -> bool | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    return "none" if value is None else ", ".join(map(str, value))
