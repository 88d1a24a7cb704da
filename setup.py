"""A wheel brings what `r1repro notebooks FOLDER` copies; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class WithWorkingCopy(build_py):
    def run(self):
        super().run()
        if self.editable_mode:  # a checkout has them itself
            return
        for part in (HERE / "conf" / "working_copy.txt").read_text(encoding="utf-8").split():
            target = Path(self.build_lib, "r1repro", "packed", part)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (HERE / part).is_dir():
                shutil.copytree(HERE / part, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(HERE / part, target)


setup(cmdclass={"build_py": WithWorkingCopy})
