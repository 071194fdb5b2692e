"""Policies on new tasks: their returns in a table, as JSON, and in a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from torch import Tensor

from maml_rl.evaluation.options import Options
from maml_rl.interface.meta_policy import MetaPolicy
from maml_rl.machine.keys import Draws, Purpose, keyed
from maml_rl.options.config import configure, flat
from maml_rl.options.given_tasks import episodes_of, load_tasks
from maml_rl.options.parts import choose_device
from maml_rl.options.rl_wiring import RlSetting, make_family, make_rl_setting
from maml_rl.reports.evaluation import Adaptation, adapt_and_roll_out
from maml_rl.reports.measure import RETURN
from maml_rl.reports.paired import Scores, differences, print_differences
from maml_rl.reports.shown_steps import note_on_the_others, shown_steps
from maml_rl.reports.video import episodes_side_by_side, write_video
from maml_rl.schema.errors import Diverged, UsageError
from maml_rl.schema.flags import option_name

TASKS = 40  # as the MAML paper's tests have


@dataclass(frozen=True)
class PolicyResult:
    """One policy's evaluation."""

    name: str
    meta_policy: MetaPolicy
    setting: RlSetting  # of the evaluation
    tasks: Tensor
    adaptation: Adaptation

    @property
    def scores(self) -> Scores:
        """After the last step."""
        return Scores(self.name, self.adaptation.returns()[-1])


def evaluate(name: str, meta_policy: MetaPolicy, options: Options, console: Console) -> PolicyResult:
    """Evaluate one policy on new tasks, or on the fixed ones."""
    trained = meta_policy.config
    family = make_family(trained)
    if options.fixed_tasks is not None:
        tasks = load_tasks(options.fixed_tasks, trained.env, family)
    else:
        tasks = family.sample_tasks(options.tasks or TASKS, keyed(Purpose.EVALUATION_TASKS, options.seed))
    if options.video and options.video_tasks > len(tasks):
        raise UsageError(f"--video-tasks: got {options.video_tasks}, allowed: 1 to {len(tasks)}, the number of tasks")
    episodes = options.episodes or episodes_of(options.fixed_tasks, trained.env) or trained.episodes_per_task
    sizes = {"num_tasks": len(tasks), "episodes_per_task": episodes, "device": options.device}
    given = {name: getattr(options, name) for name in ("inner_lr", "eval_lr_ratio")}
    given = {name: value for name, value in given.items() if value is not None}
    setting = make_rl_setting(configure(trained, sizes | given, option_name), family=family)
    steps = setting.evaluation_steps if options.gradient_steps is None else options.gradient_steps
    device = choose_device(options.device)
    state = {name: part.to(device) for name, part in meta_policy.state.items()}
    rollouts = setting.problem(tasks, Draws(Purpose.EVALUATION_EPISODES, options.seed))
    with console.status(name) as status:
        try:
            adaptation = adapt_and_roll_out(
                setting.algorithm, state, rollouts, steps, lambda part: status.update(f"{name}: {part}")
            )
        except Diverged as error:
            raise Diverged(f"{name}: {error}") from error
    return PolicyResult(name, meta_policy, setting, tasks, adaptation)


def as_json(results: Sequence[PolicyResult], options: Options) -> dict[str, Any]:
    """The evaluation JSON: every number that the table has, and every task's."""
    first, config = results[0], results[0].setting.config
    rated = any(result.adaptation.rated for result in results)
    rows: list[dict[str, Any]] = []
    for result in results:
        returns = result.adaptation.returns()  # [K + 1, M]
        rates = result.adaptation.success_rates()  # [K + 1, M]
        rows.append(
            {
                "name": result.name,
                "algorithm": "random" if result.name == "random" else result.setting.config.algorithm,
                "iteration": result.meta_policy.iteration,
                "inner_lrs": result.setting.algorithm.step_sizes(result.meta_policy.state, 0, len(returns) - 1),
                **result.adaptation.summary(),
                **({} if not rated else {"success_rate": rates.mean(dim=1).tolist()}),
                "per_task": [
                    {"task": task.tolist(), "returns": returns[:, i].tolist()}
                    | ({} if not rated else {"success_rates": rates[:, i].tolist()})
                    for i, task in enumerate(result.tasks)
                ],
            }
        )
    named = ("variant", "horizon", "discount", "gae_lambda", "inner_lr", "eval_lr_ratio")
    protocol = {name: value for name, value in flat(config).items() if name in named}
    protocol |= {"tasks": len(first.tasks), "episodes_per_task": config.episodes_per_task, "seed": options.seed}
    protocol |= {"fixed_tasks": options.fixed_tasks}
    checkpoints = [str(path) for path in options.runs]
    document = {"env": config.env, "checkpoints": checkpoints, "protocol": protocol, "results": rows}
    return document | {"differences": differences([result.scores for result in results])}


def title(results: Sequence[PolicyResult]) -> str:
    """What was evaluated on: family, number of tasks, and of the episodes of each."""
    config, tasks = results[0].setting.config, len(results[0].tasks)
    episodes = config.episodes_per_task
    return f"{config.env}: {tasks} task{'s' * (tasks > 1)} x {episodes} episode{'s' * (episodes > 1)}"


def print_table(results: Sequence[PolicyResult]) -> None:
    """All policies in one table: steps of adaptation, mean return, 95 % confidence interval over tasks, env steps."""
    print(f"{title(results)}\n")
    width = max(len("policy"), *(len(result.name) for result in results))
    rated = any(result.adaptation.rated for result in results)
    kinds = {result.setting.step for result in results}
    steps = f"{kinds.pop()}s" if len(kinds) == 1 else "steps"
    heading = f"{'policy':<{width}}  iterations  {steps:>14}  mean return  95 % interval  env steps per task"
    print(heading + "  success" * rated)
    for result in results:
        rates = result.adaptation.success_rates()
        name, iterations = result.name, f"{result.meta_policy.iteration}"
        rows = list(zip(*result.adaptation.summary().values(), strict=True))
        for k, mean, interval, env_steps in (rows[k] for k in shown_steps(len(rows) - 1)):
            half = f"+- {interval:.1f}" if interval is not None else "-"
            row = f"{name:<{width}}  {iterations:>10}  {k:>14}  {mean:>11.1f}  {half:>13}  {env_steps:>18,.0f}"
            print(row + f"  {rates[k].mean():>7.0%}" * rated)
            name = iterations = ""
    if note := note_on_the_others(max(len(result.adaptation.returns()) for result in results) - 1):
        print(f"\n{note}")
    if len(results) > 1:
        print_differences([result.scores for result in results], RETURN)


def film(result: PolicyResult, options: Options) -> None:
    """Write the video of the first tasks. Raises RenderingError if there can be none."""
    assert options.video
    draws = Draws(Purpose.EVALUATION_EPISODES, options.seed)
    frames, fps = episodes_side_by_side(
        result.setting.config.env,
        result.setting.family,
        result.tasks[: options.video_tasks],
        result.adaptation,
        draws,
        options.video_size,
        result.setting.step,
        max_fps=options.video_fps,
    )
    write_video(options.video, frames, fps)
