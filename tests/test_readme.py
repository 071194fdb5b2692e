"""What the README shows must work as it stands there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)  # the second: tests/maml_rl/test_own_tasks.py


def test_the_python_example_runs(monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    example = EXAMPLES[0]
    assert len(example.splitlines()) <= 15
    exec(compile(example, "README.md", "exec"), {})
    before, after = map(float, capsys.readouterr().out.split(" -> "))
    assert after > before + 5


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (maml_rl\.\w+)", README))))
def test_commands_exist(module: str) -> None:
    assert (ROOT / (module.replace(".", "/") + ".py")).exists()
