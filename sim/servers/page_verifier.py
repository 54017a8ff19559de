"""The page of a package, run without a browser: its own script, in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bwv_device.errors import MissingPartError
from bwv_device.verification import page

HERE = Path(__file__).parent


class PageAnswer(NamedTuple):
    """What the page would say."""

    answer: str
    complaints: list[str]
    exceptions: list[str]


class PageVerifier:
    """One process for many packages."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise MissingPartError("Node is not installed.", "Install nodejs.")
        script, built = HERE / "judge_packages.mjs", Path(str(page.__file__)).with_name(page.NAME)
        self._process = subprocess.Popen(  # noqa: S603
            [node, script, built], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def judge(self, folder: Path, root: Path) -> PageAnswer:
        """Raises `RuntimeError` where the page broke off."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(folder), str(root)]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the page broke off")
        said = json.loads(line)
        return PageAnswer(said["answer"], said["false"], said["exceptions"])
