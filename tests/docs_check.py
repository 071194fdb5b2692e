"""Run every command of README and docs, each at a tiny size. By `make docs-check`.

A command is a line that begins with four spaces and one of the words below, or `python -m ...` in backquotes. Training
and evaluation get flags behind their own that make them small; the last flag counts. RUN stands for a run that was
trained here, other words in capitals for a value.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.maml_rl.coloured_pictures import coloured

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "checkpoints" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_DATA = "supervised.md"  # the page whose RUN was trained on a data set
WORDS = {"ENV": "navigation-2d", "NAME": "navigation-2d", "SEED": "1", "LR": "0.1", "N": "2", "RUNS": "RUN"}
COMMANDS = ("python -m ", "torchrun ", "make ", "pip ", "apt ")
TINY = "--iterations 2 --num-tasks 2 --episodes-per-task 2 --horizon 20 --hidden-sizes 8 --device cpu"
TINY_DATA = "--iterations 2 --num-tasks 2 --device cpu"
# Commands that this machine cannot run, and why.
LEFT_OUT = {
    r"^(pip|apt) ": "installs",
    r"configs/metaworld": "needs a virtual environment of its own: make test-metaworld",
    r"--physics warp": "MuJoCo Warp compiles for 40 s: tests/maml_rl/test_warp.py runs it",
    r"my_module.*--video ": "draws with pygame: tests/maml_rl/test_own_videos.py films",
    r"--nnodes|srun|\$": "needs several machines",
}


def commands(page: Path) -> list[str]:
    """The commands on a page, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    lines = (line[4:].removeprefix("$ ").strip() for line in text.splitlines() if line.startswith("    "))
    inline = re.findall(r"`(python -m [^`]+)`", text)
    return [" ".join(line.split("#")[0].split()) for line in [*lines, *inline] if line.startswith(COMMANDS)]


def tiny(parts: Sequence[str]) -> list[str]:
    """The options that make a training small."""
    if "--data" not in parts:
        return TINY.split()
    of_layers = {"sinusoid", "mlp"} & set(parts)
    return [*TINY_DATA.split(), *(["--hidden-sizes", "8"] if of_layers else ["--filters", "4"])]


def small(command: str, folder: Path) -> list[str]:
    """The command as it is run in the folder, whose files its patterns name."""
    if command.startswith("make "):
        return [*shlex.split(command), "--dry-run"]
    command = re.sub(r"^torchrun ", "python -m torch.distributed.run --standalone ", command)
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    parts = shlex.split(command)
    if "maml_rl.train" in parts and not {"--help", "--list-envs", "--list-data", "--list-algorithms"} & set(parts):
        if "--resume" in parts:
            parts += ["--iterations", "3"]
        else:
            parts += tiny(parts)
            parts += [] if "--run-dir" in parts else ["--run-dir", tempfile.mkdtemp(dir=folder)]
    if "maml_rl.compare" in parts and "--kept" not in parts:
        sizes = tiny(parts)
        if "--data" not in parts:
            sizes = [*sizes[2:], "--env-steps", "200"]  # in place of iterations
        parts += [*sizes, "--tasks", "2", "--seeds", "1"]
    if {"maml_rl.evaluate", "maml_rl.report"} & set(parts):
        of_data = any(re.match("DATA_RUN|(runs/)?(sinusoid|omniglot|proto)", part) for part in parts)
        parts += ["--tasks", "2", "--gradient-steps", "1", *([] if of_data else ["--episodes", "2"])]
    if any(part.startswith(("benchmarks.", "tests.robustness.")) for part in parts):
        parts += ["--max-seconds", "0"] if "benchmarks.time_to_score" in parts else ["--help"]
    return [str(each) for part in parts for each in (sorted(folder.glob(part)) if "*" in part else [part])]


def prepare(folder: Path) -> None:
    """What the commands find: the shipped files, the classes of docs/own-tasks.md, and runs."""
    for name in (
        "benchmarks",
        "tests",
        "configs",
        "checkpoints",
        "docs",
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
    ):
        (folder / name).symlink_to(ROOT / name)
    own = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs" / "own-tasks.md").read_text(), re.DOTALL)
    assert own
    for name, code in own:
        (folder / name).write_text(code)


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        train = [sys.executable, "-m", "maml_rl.train", *TINY.split()]
        runs = dict.fromkeys(["RUN", "runs/maml-1", "runs/promp-1"], "navigation-2d")
        runs |= {"runs/halfcheetah-vel-1": "halfcheetah-vel", "OWN": "my_module:MyTasks"}
        for run, env in runs.items():
            subprocess.run([*train, "--env", env, "--run-dir", run], cwd=folder, check=True, capture_output=True)
        train = [sys.executable, "-m", "maml_rl.train", *TINY_DATA.split(), "--filters", "4", "--metrics-every", "1"]
        runs = dict.fromkeys(["DATA_RUN", "runs/omniglot-1"], "maml")
        compared = ("maml", "reptile", "prototypical", "matching", "memory", "statistician")
        runs |= {f"runs/{algorithm}": algorithm for algorithm in compared}
        for run, algorithm in runs.items():
            flags = ["--data", "omniglot", "--algorithm", algorithm, "--run-dir", run]
            subprocess.run([*train, *flags], cwd=folder, check=True, capture_output=True)
        coloured(folder / "path" / "to" / "images", classes=40, pictures=10)
        for page in PAGES:
            of_page = WORDS | ({"RUN": "DATA_RUN"} if page.name == OF_DATA else {})
            for command in dict.fromkeys(commands(page)):
                reason = next((reason for pattern, reason in LEFT_OUT.items() if re.search(pattern, command)), None)
                if reason:
                    print(f"left out  {page.name}: {command}  ({reason})")
                    continue
                given = " ".join(of_page.get(word, word) for word in command.split())
                given = given.replace("RUN", "OWN") if "my_module" in given else given
                given = given.replace("NAME.safetensors", "navigation-2d.safetensors")
                parts = small(given, folder)
                done = subprocess.run(parts, cwd=folder, capture_output=True, text=True, check=False)
                print(f"{'ok' if done.returncode == 0 else 'FAILED':8}  {page.name}: {command}", flush=True)
                if done.returncode:
                    failed += 1
                    print("\n".join(f"    {line}" for line in done.stderr.splitlines()[-5:]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
