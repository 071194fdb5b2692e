"""What README and docs show must work as it stands there. `make docs-check` runs their commands."""

import re
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from maml_rl.envs import KeyedGenerator
from maml_rl.models.policies import MlpPolicy
from tests.maml_rl.given_problem import GivenProblem

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(page: str) -> list[str]:
    """The Python on a page."""
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in blocks]


def run(code: str) -> SimpleNamespace:
    names: dict = {"__name__": "example"}
    exec(compile(code, "example", "exec"), names)
    return SimpleNamespace(**names)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_python_example_runs(monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    [example] = examples("README.md")
    assert len(example.splitlines()) <= 15
    run(example)
    before, after = map(float, capsys.readouterr().out.split(" -> "))
    assert after > before + 5


def test_the_family_of_the_development_page_runs() -> None:
    family = run(examples("docs/development.md")[0]).family
    assert family.describe(family.sample_tasks(1, KeyedGenerator(0))[0]).startswith("patience 0.")


def test_the_algorithm_of_the_development_page_learns(draw_samples) -> None:
    names = run(examples("docs/development.md")[1])
    policy = MlpPolicy(3, 2, (5,), "tanh")
    problem = GivenProblem(policy, [draw_samples(policy, seed=k) for k in range(2)])
    algorithm = names.MamlSgd(names.MamlSgdOptions())
    state = {"theta": algorithm.init(policy, KeyedGenerator(1))["theta"].double()}
    after, metrics = algorithm.update(state, problem)
    assert metrics.keys() == {"loss"}
    assert not (after["theta"] == state["theta"]).all()
    assert algorithm.step_sizes(state, 0, 2) == [0.1, 0.05]
    assert len(list(algorithm.adapt(state, problem, 1))) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_and_commands_exist(page: Path) -> None:
    text = page.read_text()
    for module in set(re.findall(r"python -m ((?:maml_rl|benchmarks)\.\w+)", text)):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for path in set(re.findall(r"`((?:maml_rl|envs|tests|configs)/[\w/.-]+\.\w+)`", text)):
        assert (ROOT / path).exists(), path
