"""Which options of supervised learning change nothing, beside the others that a run has."""

from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.options.config import DataConfig
from maml_rl.options.parts import adapts_by_gradients
from maml_rl.supervised.catalogue import DATA_SETS, classifies


def without_effect(config: DataConfig) -> dict[str, str]:
    """The names of the options that change nothing, and of each what it takes to have an effect."""
    pictures, folder = classifies(config.data), config.data not in DATA_SETS
    convolutions, gradients = pictures and config.network == "conv", adapts_by_gradients(config)
    effects = {
        ("omniglot_split",): (config.data == "omniglot", "--data omniglot"),
        ("picture_size", "picture_colour"): (folder, "--data FOLDER"),
        ("ways", "network"): (pictures, "pictures"),
        ("transductive",): (pictures and gradients, "pictures and an algorithm that adapts by gradient steps"),
        ("filters",): (convolutions, "pictures and --network conv"),
        ("blocks",): (convolutions and config.algorithm != "memory", "pictures, --network conv, and not with memory"),
        ("halved_by", "features"): (
            convolutions and gradients,
            "pictures, --network conv, and an algorithm that adapts by gradient steps",
        ),
        ("hidden_sizes",): (not pictures or config.network == "mlp", "--data sinusoid, or pictures and --network mlp"),
        ("nonlinearity",): (not pictures, "--data sinusoid"),
        ("init_std", "inner_batch", "eval_inner_batch", "eval_steps"): (
            gradients,
            "an algorithm that adapts by gradient steps",
        ),
        ("train_ways",): (
            ALGORITHMS[config.algorithm].any_ways,
            f"an algorithm that compares: {', '.join(name for name, entry in ALGORITHMS.items() if entry.any_ways)}",
        ),
    }
    return {name: needed for names, (has_effect, needed) in effects.items() if not has_effect for name in names}
