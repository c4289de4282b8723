"""What a person sees while work runs: a line for each thing done, a bar for each thing under way."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_WIDE = 180  # columns where output goes to a file or a pipe: tables are not folded there


def make_console(*, quiet: bool = False, stderr: bool = False) -> "Console":
    """The console for everything that people read: as wide as the terminal, wide where there is none."""
    from rich.console import Console

    console = Console(quiet=quiet, highlight=False, stderr=stderr)
    if not (console.is_terminal or console.is_jupyter):
        console = Console(quiet=quiet, highlight=False, stderr=stderr, width=_WIDE)
    return console


def program() -> str:
    """How the command line is called here: by its name where the shell finds it, else by its path."""
    script = Path(sys.executable).parent / "model-discovery"
    if shutil.which("model-discovery") or not script.exists():
        return "model-discovery"
    return os.path.relpath(script)


class Display:
    """Lines and bars on a terminal or in a notebook; lines alone into a file; nothing when off.

    Parameters
    ----------
    enabled
        ``False`` prints nothing at all.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = make_console(quiet=not enabled)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
        )
        live = self.console.is_terminal or self.console.is_jupyter
        self._bars = Progress(
            *columns,
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not (enabled and live),
        )
        self._tasks: dict[str, TaskID] = {}
        self._bars.start()

    def line(self, text: str) -> None:
        """Say that something happened."""
        self._bars.console.print(text, soft_wrap=True)

    def plain(self, text: str) -> None:
        """Say words in which brackets are no markup."""
        self._bars.console.print(text, soft_wrap=True, markup=False)

    def job(self, label: str, fields: Mapping[str, Any]) -> None:
        """Move the bar of a job: ``tokens`` out ``of`` all, what it is ``doing``, its latest ``loss``."""
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=None, note="")
        note = str(fields.get("doing", ""))
        if fields.get("loss") is not None:
            note = f"{note} loss {fields['loss']:.3f}".strip()
        self._bars.update(
            self._tasks[label], total=fields.get("of"), completed=fields.get("tokens", 0), note=note
        )

    def end(self, label: str) -> None:
        """Take the bar of a job away."""
        if label in self._tasks:
            self._bars.remove_task(self._tasks.pop(label))

    def close(self) -> None:
        """Give the terminal back."""
        self._bars.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
