"""The part of the build that pyproject.toml cannot say: data that stands beside the package goes into the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = {"configs": ("*.yaml", "*.json"), "checkpoints": ("*.safetensors",)}  # found by maml_rl/options/shipped.py


class BuildWithData(build_py):
    """Also copies presets, tasks and trained policies to maml_rl/shipped/."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the package stands in the checkout, beside these folders
            return
        for folder, patterns in SHIPPED.items():
            for source in sorted(path for pattern in patterns for path in (ROOT / folder).rglob(pattern)):
                target = Path(self.build_lib, "maml_rl", "shipped", source.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithData})
