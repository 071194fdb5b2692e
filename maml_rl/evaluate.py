"""Evaluate policies and models on new tasks: a table, a JSON file, a video, a figure.

python -m maml_rl.evaluate runs/RUN --output evaluation.json --video evaluation.mp4
"""

import json
import sys
from collections.abc import Sequence
from math import isfinite
from typing import Any

from rich.console import Console

from maml_rl.command import FAILED, exit_status
from maml_rl.envs.pictures.offscreen import RenderingError
from maml_rl.evaluation import models, policies
from maml_rl.evaluation.learners import check_side, learners
from maml_rl.evaluation.options import Options, parse
from maml_rl.interface.meta_model import MetaModel
from maml_rl.interface.meta_policy import MetaPolicy
from maml_rl.machine.atomic_file import write_atomically
from maml_rl.machine.threads import use_threads
from maml_rl.options.parts import choose_device


def with_nulls(value: Any) -> Any:
    """The value for JSON, which has no NaN: null stands for the mean of no episodes, if all have diverged."""
    if isinstance(value, dict):
        return {name: with_nulls(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_nulls(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def write(document: dict[str, Any], options: Options) -> None:
    """Write the evaluation JSON, if it is asked for."""
    if options.output:
        write_atomically(options.output, (json.dumps(with_nulls(document), indent=1) + "\n").encode())


def run(options: Options) -> int:
    """Evaluate, print, write. Returns the exit status: 1 if the video alone could not be made."""
    choose_device(options.device)
    use_threads(options.num_threads)
    console = Console(stderr=True)
    named = learners(options)
    check_side(named, options)
    of_policies = [(name, each) for name, each in named if isinstance(each, MetaPolicy)]
    if not of_policies:
        of_models = [(name, each) for name, each in named if isinstance(each, MetaModel)]
        if options.figure:
            from maml_rl.evaluation.drawing import check_drawable  # matplotlib takes a second to import

            check_drawable(of_models, options)
        results = models.evaluate(of_models, options, console)
        models.print_table(results)
        write(models.as_json(results, options), options)
        if options.figure:
            from maml_rl.evaluation.drawing import draw_models

            with console.status(f"drawing {options.figure}"):
                write_atomically(options.figure, draw_models(results, options))
        return 0
    played = [policies.evaluate(name, each, options, console) for name, each in of_policies]
    policies.print_table(played)
    write(policies.as_json(played, options), options)
    if options.figure:
        from maml_rl.evaluation.drawing import draw_policies

        write_atomically(options.figure, draw_policies(played, options))
    if options.video:
        try:
            with console.status(f"drawing {options.video}"):
                policies.film(played[0], options)
        except RenderingError as error:
            print(f"maml_rl.evaluate: no video: {error}", file=sys.stderr)
            return FAILED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status (`maml_rl.command`): 1 also if the video alone could not be made."""
    return exit_status("maml_rl.evaluate", lambda: run(parse(sys.argv[1:] if argv is None else argv)))


if __name__ == "__main__":
    sys.exit(main())
