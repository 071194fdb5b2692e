"""Every algorithm, by the name that `--algorithm` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maml_rl.algorithms.fomaml import Fomaml, FomamlOptions
from maml_rl.algorithms.maml import Maml, MamlOptions
from maml_rl.algorithms.pretrain import Pretrain, PretrainOptions
from maml_rl.envs import Family, OracleFamily
from maml_rl.meta.algorithm import Algorithm


@dataclass(frozen=True)
class Entry:
    """How an algorithm is made, and the words for `--list-algorithms`."""

    make: Callable[[Any], Algorithm]  # of an instance of `options`
    options: type  # its dataclass
    summary: str
    source: str
    wrap: Callable[[Family], Family] = lambda family: family  # the family that it is trained on, from the one named
    evaluation_steps: int = 3  # steps of adaptation that an evaluation takes unless told otherwise


ALGORITHMS: dict[str, Entry] = {
    "maml": Entry(Maml, MamlOptions, "an initialisation from which gradient steps adapt", "Finn et al. 2017"),
    "fomaml": Entry(Fomaml, FomamlOptions, "the same, without second derivatives", "Finn et al. 2017"),
    "pretrain": Entry(Pretrain, PretrainOptions, "one policy for all tasks, fine-tuned in tests", "Finn et al. 2017"),
    "oracle": Entry(
        Pretrain,
        PretrainOptions,
        "one policy that is told the task's parameters",
        "Finn et al. 2017",
        wrap=OracleFamily,
        evaluation_steps=0,
    ),
}
