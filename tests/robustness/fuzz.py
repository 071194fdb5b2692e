"""Random input of every kind that a user gives. It is accepted, or refused in one line: nothing else may happen.

python -m tests.robustness.fuzz --examples 10000
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import maml_rl
from maml_rl import envs, evaluate, plot
from maml_rl.algorithms.catalogue import ALGORITHMS
from maml_rl.comparison import options as comparison_options
from maml_rl.comparison.document import against_each_other, read_comparison, summaries
from maml_rl.comparison.figure import comparison_figure
from maml_rl.comparison.plan import plan
from maml_rl.envs import KeyedGenerator
from maml_rl.envs.errors import FamilyError
from maml_rl.interface.loading import untrained
from maml_rl.options.command_line import Source, parse_command_line
from maml_rl.options.config import DataConfig, RlConfig, configure, flat
from maml_rl.options.given_tasks import as_tasks, load_tasks
from maml_rl.options.yaml_file import dump_yaml
from maml_rl.page import options as page_options
from maml_rl.reports.canvas import picture
from maml_rl.reports.evaluation_file import read_evaluation
from maml_rl.reports.figures import figure
from maml_rl.runs.checkpoint import Checkpoint, save_checkpoint
from maml_rl.runs.directory import read_run
from maml_rl.runs.metrics_file import MetricsWriter
from maml_rl.schema.errors import UsageError
from maml_rl.schema.flags import option_name
from tests.robustness.mutations import (
    any_text,
    as_yaml,
    json_values,
    long_text,
    mutated,
    spliced,
    spliced_bytes,
    yaml_soup,
    yaml_values,
)
from tests.robustness.promise import LONGEST, SOON, read_checkpoint

TINY = configure(RlConfig(), {"hidden_sizes": [4], "num_tasks": 2, "episodes_per_task": 2, "horizon": 3})
OPTIONS = flat(TINY) | {"hidden_sizes": [4]}


HEALTH_CHECKS = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
)


@dataclass(frozen=True)
class Kind:
    """Input of one kind, and what takes it: in a folder of its own, which may keep what it likes."""

    inputs: st.SearchStrategy[Any]
    give: Callable[[Any, Path], Any]
    cost: float = 1.0  # in time, over that of the others


def outcome(kind: Kind, given_input: Any, folder: Path) -> str:
    """accepted or refused. Raises whatever else came of it, and AssertionError for a refusal that is not one line."""
    start = time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            kind.give(given_input, folder)
        refusal = None
    except SystemExit as end:  # of --help
        if end.code:
            raise
        refusal = None
    except (UsageError, FamilyError) as error:
        refusal = str(error)
    assert time.process_time() - start < SOON
    if refusal is not None:
        assert len(refusal.splitlines()) == 1, refusal
        assert len(refusal) <= LONGEST, refusal
        assert refusal.isprintable(), refusal
    return "accepted" if refusal is None else "refused"


def command_lines(*options: type) -> st.SearchStrategy[list[str]]:
    """Lists of tokens: flags and values, right, nearly right and wrong."""
    names = [option_name(field.name) for each in options for field in fields(each)]
    right = [[option_name(name), str(value)] for name, value in flat(TINY).items() if option_name(name) in names]
    right += [["--output", "x.png"], ["--output", "x.json"], ["--random"], ["--tasks", "2"], ["--help"], ["runs/a"]]
    flag = st.sampled_from(names) | st.sampled_from(names).flatmap(spliced) | st.sampled_from(["-h", "--no-keep-best"])
    value = st.sampled_from(["1", "-1", "0.5", "1e999", "nan", "-inf", "true", "none", ".", "/", "maml-paper", "a:b"])
    value |= st.sampled_from(list(envs.ENVS)) | long_text
    pair = st.tuples(flag, value).map(lambda two: "=".join(two))
    parts = st.sampled_from(right) | st.lists(flag | value | pair, max_size=3)
    return st.lists(parts, max_size=4).map(lambda lists: [token for each in lists for token in each])


def give_options(text: str, folder: Path) -> None:
    (folder / "options.yaml").write_text(text, errors="surrogatepass")
    parse_command_line(["--config", str(folder / "options.yaml")], "train", "", list(envs.ENVS))


FAMILIES = {env: envs.make_family(env) for env in ("navigation-2d", "hopper-rand-params", "tabular-mdp")}
TASKS = {env: family.sample_tasks(2, KeyedGenerator(1)).tolist() for env, family in FAMILIES.items()}
ANY_ENV = st.sampled_from(list(FAMILIES))


def give_tasks(drawn: tuple[str, Any], folder: Path) -> None:
    env, tasks = drawn
    as_tasks(tasks if isinstance(tasks, list) and tasks else [tasks], FAMILIES[env], "task")


def give_task_files(drawn: tuple[str, str, str], folder: Path) -> None:
    env, suffix, text = drawn
    path = folder / f"tasks.{suffix}"
    path.write_text(text, errors="surrogatepass")
    load_tasks(str(path), env, FAMILIES[env])


ROWS = [{"iteration": i, "env_steps": 9 * i, "return/pre": -4.5, "return/post": None, "ok": True} for i in range(3)]


def as_lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows]))


LINES = as_lines(ROWS)


def give_metrics(text: str, folder: Path) -> None:
    (folder / "config.yaml").write_text(dump_yaml(TINY))
    (folder / "metrics.jsonl").write_text(text, errors="surrogatepass")
    read_run(folder)
    MetricsWriter(folder, first_iteration=2).__exit__(None, None, None)


def result(name: str, returns: list[float]) -> dict[str, Any]:
    steps, half = list(range(len(returns))), [1.5, None, 0.0][: len(returns)]
    return {"name": name, "gradient_steps": steps, "return_mean": returns, "return_ci95": half}


EVALUATION = {"env": "navigation-2d", "results": [result("maml", [-40.0, -12.0, -3.5]), result("oracle", [-2.0])]}


def give_evaluation(text: str, folder: Path) -> None:
    (folder / "evaluation.json").write_text(text, errors="surrogatepass")
    picture(figure({}, [read_evaluation(folder / "evaluation.json")]), "png")


def tiny_checkpoint() -> tuple[bytes, dict[str, Any], dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = save_checkpoint(Path(folder), Checkpoint(untrained(TINY).state, 0, 0), TINY)
        return path.read_bytes(), *read_checkpoint(path)


WHOLE, TENSORS, METADATA = tiny_checkpoint()


def give_checkpoint(content: bytes, folder: Path) -> None:
    (folder / "x.safetensors").write_bytes(content)
    maml_rl.load(folder / "x.safetensors")


def as_metadata(changed: Any) -> bytes:
    texts = changed if isinstance(changed, dict) else {"config": changed}
    texts = {key: str(value).encode(errors="replace").decode() for key, value in texts.items()}
    return safetensors.torch.save(TENSORS, {key.encode(errors="replace").decode(): each for key, each in texts.items()})


texts_of_options = yaml_soup | any_text | spliced(dump_yaml(TINY)) | mutated(OPTIONS, yaml_values).map(as_yaml)
mutated_tasks = ANY_ENV.flatmap(lambda env: st.tuples(st.just(env), mutated(TASKS[env], yaml_values)))
mutated_metadata = mutated(METADATA, any_text | st.integers().map(str) | texts_of_options).map(as_metadata)

ALL_OPTIONS = {entry.options for entry in ALGORITHMS.values()}
KEPT = json.loads((Path(__file__).resolve().parents[2] / "docs" / "runs" / "navigation-2d.json").read_text())
# Two runs of two tasks and three iterations: a small comparison, whole in every part.
KEPT["tasks"] = KEPT["tasks"][:2]
KEPT["runs"] = [
    {name: value[:3] if isinstance(value, list) else value for name, value in each.items()}
    | {"scores": [row[:2] for row in each["scores"]]}
    for each in (KEPT["runs"][0], KEPT["runs"][-1])
]
RUNS = {"env": "navigation-2d", "seeds": [1, 2], "env_steps": "8M", "runs": {"maml": {}, "far": {"inner_lr": 0.5}}}


def give_comparison_line(argv: list[str], folder: Path) -> None:
    options, shared = comparison_options.parse(argv)
    plan(replace(options, output=folder / "out"), shared)


def give_comparison_file(text: str, folder: Path) -> None:
    (folder / "runs.yaml").write_text(text, errors="surrogatepass")
    argv = ["--config", str(folder / "runs.yaml"), "--output", str(folder / "out")]
    plan(*comparison_options.parse(argv))


def give_comparison(text: str, folder: Path) -> None:
    (folder / "comparison.json").write_text(text, errors="surrogatepass")
    comparison = read_comparison(folder / "comparison.json")
    found, pairs = summaries(comparison), against_each_other(comparison)
    picture(comparison_figure(comparison, found, pairs), "png")


KINDS = {
    "train's command line": Kind(
        command_lines(RlConfig, *ALL_OPTIONS, Source),
        lambda argv, _: parse_command_line(argv, "train", "", list(envs.ENVS)),
    ),
    "the same of data sets": Kind(
        command_lines(DataConfig, *ALL_OPTIONS, Source).map(lambda argv: ["--data", "omniglot", *argv]),
        lambda argv, _: parse_command_line(argv, "train", "", list(envs.ENVS)),
    ),
    "compare's command line": Kind(
        command_lines(comparison_options.Options, RlConfig).map(
            lambda argv: ["--env", "navigation-2d", "--algorithms", "maml", "promp", "--output", "x", *argv]
        ),
        give_comparison_line,
    ),
    "files of runs": Kind(
        mutated(RUNS, yaml_values).map(as_yaml) | yaml_soup | spliced(as_yaml(RUNS)), give_comparison_file
    ),
    "comparisons": Kind(mutated(KEPT).map(json.dumps) | spliced(json.dumps(KEPT)), give_comparison, cost=8),
    "report's command line": Kind(command_lines(page_options.Options), lambda argv, _: page_options.parse(argv)),
    "evaluate's command line": Kind(command_lines(evaluate.Options), lambda argv, _: evaluate.parse(argv)),
    "plot's command line": Kind(command_lines(plot.Options), lambda argv, _: plot.parse(argv)),
    "YAML options": Kind(texts_of_options, give_options),
    "tasks": Kind(mutated_tasks | st.tuples(ANY_ENV, yaml_values), give_tasks),
    "files of tasks": Kind(
        mutated_tasks.map(lambda drawn: (drawn[0], "yaml", as_yaml(drawn[1])))
        | st.tuples(ANY_ENV, st.just("json"), json_values.map(json.dumps))
        | st.tuples(
            ANY_ENV, st.sampled_from(["yaml", "json"]), yaml_soup | spliced(json.dumps(TASKS["navigation-2d"]))
        ),
        give_task_files,
    ),
    "metrics.jsonl": Kind(
        mutated(ROWS).map(as_lines) | spliced(LINES),
        give_metrics,
    ),
    "evaluations": Kind(mutated(EVALUATION).map(json.dumps) | spliced(json.dumps(EVALUATION)), give_evaluation, cost=2),
    "checkpoints": Kind(spliced_bytes(WHOLE) | mutated_metadata, give_checkpoint),
}


def fuzz(kind: Kind, examples: int, derandomize: bool) -> Counter[str]:
    """The outcomes of as many inputs. Raises what should not have happened, of the smallest input on which it does."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")

        @settings(
            max_examples=examples,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=HEALTH_CHECKS,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
        )
        @given(kind.inputs)
        def holds(given_input: Any) -> None:
            outcomes[outcome(kind, given_input, Path(folder))] += 1

        holds()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="in all, spread over the kinds")
    examples = parser.parse_args().examples
    total, tracebacks = Counter(), 0
    shares = sum(1 / kind.cost for kind in KINDS.values())
    print(f"{'kind':<26}{'inputs':>8}{'accepted':>10}{'refused':>9}{'seconds':>9}")
    for name, kind in KINDS.items():
        start = time.perf_counter()
        try:
            outcomes = fuzz(kind, max(1, round(examples / kind.cost / shares)), derandomize=False)
        except Exception:
            traceback.print_exc()
            tracebacks += 1
            continue
        total += outcomes
        counts = f"{outcomes.total():>8}{outcomes['accepted']:>10}{outcomes['refused']:>9}"
        print(f"{name:<26}{counts}{time.perf_counter() - start:>9.1f}", flush=True)
    print(f"{'in all':<26}{total.total():>8}{total['accepted']:>10}{total['refused']:>9}")
    print(f"tracebacks: {tracebacks}")
    return 1 if tracebacks else 0


if __name__ == "__main__":
    sys.exit(main())
