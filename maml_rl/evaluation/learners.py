"""The policies or models of an evaluation, by name: they are of one kind, and can be compared."""

from collections.abc import Sequence

from maml_rl.evaluation.options import OF_MODELS, OF_POLICIES, Options
from maml_rl.interface.loading import load, untrained
from maml_rl.interface.meta_model import MetaModel
from maml_rl.interface.meta_policy import MetaPolicy
from maml_rl.options.config import configure, side
from maml_rl.schema.errors import UsageError
from maml_rl.schema.fields import Mark, names_with
from maml_rl.schema.flags import option_name


def learners(options: Options) -> list[tuple[str, MetaPolicy | MetaModel]]:
    """The policies or models to evaluate, by unique names. Raises UsageError if they cannot be compared."""
    loaded = [(str(path), load(path, options.env)) for path in options.runs]
    first_path, first = loaded[0]
    for path, other in loaded:
        if type(other) is not type(first):
            got, allowed = side(type(other.config)), side(type(first.config))
            raise UsageError(f"{path}: got a run with --{got}, allowed: with --{allowed}, as {first_path}")
        for field in names_with(type(first.config), Mark.SHARED):
            got, allowed = getattr(other.config, field), getattr(first.config, field)
            given = field in ("data", "ways") and getattr(options, field)
            if got != allowed and not given:
                raise UsageError(f"{path}: {field}: got {got!r}, allowed: {allowed!r}, as {first_path} has it")
    if options.random:
        of_policies = isinstance(first, MetaPolicy)  # all of them have MAML's model, but those that remember
        config = configure(first.config, {"seed": options.seed} | ({"algorithm": "maml"} if of_policies else {}))
        loaded.append(("random", untrained(config)))
    names = [f"{each.config.algorithm} ({path})" if path != "random" else path for path, each in loaded]
    return [(name, each) for name, (_, each) in zip(names, loaded, strict=True)]


def check_side(named: Sequence[tuple[str, MetaPolicy | MetaModel]], options: Options) -> None:
    """Raise UsageError for an option that has no effect on what is evaluated."""
    _, first = named[0]
    of_others = OF_MODELS if isinstance(first, MetaPolicy) else OF_POLICIES
    given = next((name for name in of_others if getattr(options, name) is not None), None)
    if given:
        it = "policies" if isinstance(first, MetaPolicy) else "models of a data set"
        raise UsageError(f"{option_name(given)}: no effect on {it}")
    if options.figure and isinstance(first, MetaPolicy) and len(named) == 1:
        raise UsageError("--figure: got one policy, allowed: several to compare, or a model of a data set; see --video")
