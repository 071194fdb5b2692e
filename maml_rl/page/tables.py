"""Tables of an evaluation, as the page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from maml_rl.evaluation.models import ModelResult
from maml_rl.evaluation.policies import PolicyResult
from maml_rl.page.evaluated import Evaluated
from maml_rl.reports.measure import ACCURACY, LOSS, RETURN, Measure
from maml_rl.reports.paired import Scores


@dataclass(frozen=True)
class Table:
    """Words by rows and columns: the first column is names, the others are numbers."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


def policies_table(results: Sequence[PolicyResult]) -> Table:
    """Of every policy, by steps of adaptation: mean return, its 95 % interval over tasks, env steps, successes."""
    rated = any(result.adaptation.rated for result in results)
    heading = ["policy", _steps([result.setting.step for result in results]), "mean return", "95 % interval"]
    heading += ["env steps per task", *(["success"] if rated else [])]
    rows: list[list[str]] = []
    for result in results:
        rates, name = result.adaptation.success_rates(), f"{result.name}, {result.meta_policy.iteration:,} iterations"
        for k, mean, half, env_steps in zip(*result.adaptation.summary().values(), strict=True):
            row = [name, str(k), RETURN.text(mean), _half(half, RETURN), f"{env_steps:,.0f}"]
            rows.append(row + [f"{rates[k].mean():.0%}"] * rated)
            name = ""
    return Table(heading, rows)


def models_table(results: Sequence[ModelResult]) -> Table:
    """Of every model, by steps of adaptation: mean accuracy or squared error, and its 95 % interval over tasks."""
    measure = results[0].measure
    heading = ["model", _steps([result.setting.step for result in results]), measure.axis, "95 % interval"]
    heading += ["loss"] if measure is ACCURACY else []
    rows: list[list[str]] = []
    for result in results:
        measures, name = result.measures, f"{result.name}, {result.meta_model.iteration:,} iterations"
        for k, mean in enumerate(measures[f"{measure.name}_mean"]):
            row = [name, str(k), measure.text(mean), _half(measures[f"{measure.name}_ci95"][k], measure)]
            rows.append([*row, LOSS.text(measures["loss_mean"][k])] if measure is ACCURACY else row)
            name = ""
    return Table(heading, rows)


def differences_table(compared: Sequence[Scores], measure: Measure) -> Table:
    """Of every one the mean difference from the first after the last step, task by task, and its 95 % interval."""
    first, *others = compared
    rows = []
    for each in others:
        difference = each.less(first)
        sign = "\N{MINUS SIGN}" if difference.mean < 0 else "+"
        rows.append([each.name, sign + measure.text(abs(difference.mean)), _half(difference.half, measure)])
    return Table([f"less {first.name}", measure.name, "95 % interval"], rows)


def tasks_table(evaluated: Evaluated, numbers: Sequence[int]) -> Table:
    """Of some tasks the measure after every number of steps."""
    heading = ["task", *(evaluated.after(k) for k in evaluated.shown_steps)]
    text = evaluated.measure.text
    rows = [
        [evaluated.tasks[i], *(text(float(evaluated.values[k, i])) for k in evaluated.shown_steps)] for i in numbers
    ]
    return Table(heading, rows)


def _steps(words: Sequence[str]) -> str:
    return f"{words[0]}s" if len(set(words)) == 1 else "steps"


def _half(half: float | None, measure: Measure) -> str:
    return "" if half is None else f"\N{PLUS-MINUS SIGN} {measure.text(half)}"
