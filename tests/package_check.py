"""The package as others install it: sdist and wheel, built from the tracked files, and used outside of the checkout.

python -m tests.package_check
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZE = "--num-tasks 2 --episodes-per-task 2 --horizon 10 --iterations 2 --num-threads 2"
COMMANDS = [
    f"-m maml_rl.train --env navigation-2d {SIZE} --run-dir runs/a",
    f"-m maml_rl.train --env halfcheetah-vel --preset promp {SIZE} --run-dir runs/b",
    "-m maml_rl.train --resume runs/a --iterations 3",
    f"-m maml_rl.train --config configs/maml-paper/halfcheetah-dir.yaml {SIZE} --run-dir runs/c",
    "-m maml_rl.train --list-envs",
    "-m maml_rl.train --help",
    "-m maml_rl.evaluate runs/a halfcheetah-dir --help",
    "-m maml_rl.evaluate navigation-2d --tasks 3 --episodes 2 --output evaluation.json --video evaluation.mp4",
    "-m maml_rl.evaluate halfcheetah-dir --fixed-tasks maml-paper --episodes 2 --gradient-steps 1",
    "-m maml_rl.plot runs/a evaluation.json --output curves.png",
    "-m maml_rl.report runs/a --tasks 3 --episodes 2 --gradient-steps 1 --output report.html",
]
SCRIPT = """
import gymnasium, maml_rl, pathlib
from maml_rl.supervised.omniglot import FILE, omniglot
assert "site-packages" in maml_rl.__file__, maml_rl.__file__
for name in ("ant-dir", "ant-vel", "halfcheetah-dir", "halfcheetah-vel", "navigation-2d"):
    assert maml_rl.load(name).iteration > 0
assert omniglot().describe(omniglot().sample_tasks("test", 1, maml_rl.envs.KeyedGenerator(1))[0])
assert "Brenden Lake" in (FILE.parent / "LICENSE").read_text()
env = gymnasium.make("maml_rl/AntGoal-v0")
env.reset(seed=1)
env.step(env.action_space.sample())
try:
    import envs
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("the package takes the name `envs`, which others use too")
"""


def run(*command: object, cwd: Path) -> None:
    """Run a command, without what this process's environment says of Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    print("+", *command, flush=True)
    subprocess.run(list(map(str, command)), cwd=cwd, env=kept, check=True, stdout=subprocess.DEVNULL)


def copy_of_tracked_files(folder: Path) -> None:
    """A build leaves build/ and egg-info where it runs: not in the checkout."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)


def main() -> None:
    """Raises CalledProcessError if a command fails."""
    with tempfile.TemporaryDirectory(prefix="maml_rl-package-") as temporary:
        folder = Path(temporary)
        source, elsewhere = folder / "source", folder / "elsewhere"
        elsewhere.mkdir()
        copy_of_tracked_files(source)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", cwd=source)  # the wheel from the sdist
        [wheel] = (folder / "dist").glob("*.whl")
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        quiet = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
        run(python, "-m", "pip", "install", *quiet, wheel, cwd=elsewhere)
        run(python, "-c", SCRIPT, cwd=elsewhere)
        run(python.with_name("maml-rl"), "--version", cwd=elsewhere)
        run(python.with_name("maml-rl"), "plot", "--help", cwd=elsewhere)
        for command in COMMANDS:
            run(python, *command.split(), cwd=elsewhere)
    print("the package trains, evaluates and plots outside of the checkout")


if __name__ == "__main__":
    main()
