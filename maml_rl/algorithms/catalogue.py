"""Every algorithm, by the name that `--algorithm` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from maml_rl.algorithms.anil import Anil, AnilOptions, with_head
from maml_rl.algorithms.cavia import Cavia, CaviaOptions, with_context
from maml_rl.algorithms.dice import Dice, DiceOptions
from maml_rl.algorithms.e_maml import EMaml, EMamlOptions
from maml_rl.algorithms.fomaml import Fomaml, FomamlOptions
from maml_rl.algorithms.lvc import Lvc, LvcOptions
from maml_rl.algorithms.maml import Maml, MamlOptions
from maml_rl.algorithms.matching import Matching, MatchingOptions, with_context_of_support
from maml_rl.algorithms.memory import Memory, MemoryOptions, check_sharing, memory_network
from maml_rl.algorithms.meta_sgd import MetaSgd, MetaSgdOptions
from maml_rl.algorithms.pretrain import Pretrain, PretrainOptions
from maml_rl.algorithms.promp import Promp, PrompOptions
from maml_rl.algorithms.prototypical import Prototypical, PrototypicalOptions
from maml_rl.algorithms.reptile import Reptile, ReptileOptions
from maml_rl.algorithms.rl2 import Rl2, Rl2Options, with_gru
from maml_rl.algorithms.statistician import NeuralStatistician, StatisticianOptions, with_networks
from maml_rl.envs import Family, OracleFamily, TrialFamily
from maml_rl.meta.algorithm import Algorithm
from maml_rl.models.embedding import embedding_of

BOTH = ("env", "data")


@dataclass(frozen=True)
class Entry:
    """How an algorithm is made, and the words for `--list-algorithms`."""

    make: Callable[[Any], Algorithm]  # of an instance of `options`
    options: type  # its dataclass
    summary: str
    source: str
    wrap: Callable[[Family], Family] = lambda family: family  # the family that it is trained on, from the one named
    model: Callable[[Any, Any], Any] = lambda model, options: model  # the model that it trains, likewise
    sides: tuple[str, ...] = ("env",)  # "env", reinforcement learning, and "data", supervised learning
    step: str = "gradient step"  # by which it adapts, in words
    step_size: str = "--inner-lr"  # the option to lower if a policy diverges
    # Steps of adaptation that an evaluation takes unless told otherwise; None for as many as training takes.
    evaluation_steps: int | None = 3
    any_ways: bool = False  # whether a classifier may be tested with another number of classes than it was trained with
    # Raises UsageError if its options do not go with so many tasks of an iteration, and so many ranks.
    check: Callable[[Any, int, int], None] = lambda options, num_tasks, num_ranks: None


# A look at the support set is all the adaptation of these.
ByALook = partial(Entry, sides=("data",), step="look", step_size="--meta-lr", evaluation_steps=None, any_ways=True)

ALGORITHMS: dict[str, Entry] = {
    "maml": Entry(
        Maml, MamlOptions, "an initialisation from which gradient steps adapt", "Finn et al. 2017", sides=BOTH
    ),
    "fomaml": Entry(Fomaml, FomamlOptions, "the same, without second derivatives", "Finn et al. 2017", sides=BOTH),
    "e_maml": Entry(EMaml, EMamlOptions, "explores before it adapts, for what comes after", "Stadie et al. 2018"),
    "promp": Entry(Promp, PrompOptions, "a clipped outer loss, by steps of Adam", "Rothfuss et al. 2019"),
    "lvc": Entry(Lvc, LvcOptions, "MAML with a meta-gradient of low variance", "Rothfuss et al. 2019"),
    "dice": Entry(Dice, DiceOptions, "MAML with an unbiased meta-gradient", "Foerster et al. 2018"),
    "reptile": Entry(
        Reptile, ReptileOptions, "towards where some steps on each task lead", "Nichol et al. 2018", sides=BOTH
    ),
    "anil": Entry(Anil, AnilOptions, "only the last layer adapts", "Raghu et al. 2020", model=with_head, sides=BOTH),
    "meta_sgd": Entry(
        MetaSgd,
        MetaSgdOptions,
        "every parameter's step size is learned",
        "Li et al. 2017",
        step_size="--max-init-lr",
        sides=BOTH,
    ),
    "cavia": Entry(
        Cavia,
        CaviaOptions,
        "only a context beside the observation adapts",
        "Zintgraf et al. 2019",
        model=with_context,
        sides=BOTH,
    ),
    "prototypical": ByALook(
        Prototypical,
        PrototypicalOptions,
        "embeddings: the nearest class mean",
        "Snell et al. 2017",
        model=lambda model, options: embedding_of(model),
    ),
    "matching": ByALook(
        Matching,
        MatchingOptions,
        "embeddings: attention over the support set",
        "Vinyals et al. 2016",
        model=with_context_of_support,
    ),
    "statistician": ByALook(
        NeuralStatistician,
        StatisticianOptions,
        "models sets of pictures: the least divergence",
        "Edwards & Storkey 2017",
        model=with_networks,
    ),
    "memory": ByALook(
        Memory,
        MemoryOptions,
        "embeddings: the nearest key of a life-long memory",
        "Kaiser et al. 2017",
        model=memory_network,
        check=check_sharing,
    ),
    "rl2": Entry(
        Rl2,
        Rl2Options,
        "a recurrent policy that remembers the episodes before",
        "Duan et al. 2016",
        wrap=TrialFamily,
        model=with_gru,
        step="episode",
        step_size="--meta-lr",
        evaluation_steps=None,
    ),
    "pretrain": Entry(
        Pretrain, PretrainOptions, "one policy for all tasks, fine-tuned in tests", "Finn et al. 2017", sides=BOTH
    ),
    "oracle": Entry(
        Pretrain,
        PretrainOptions,
        "one policy that is told the task's parameters",
        "Finn et al. 2017",
        wrap=OracleFamily,
        evaluation_steps=0,
    ),
}
