"""Data made ahead of a campaign: token streams of recipes, items of suites."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from model_discovery.errors import UserError, unknown
from model_discovery.system.folders import folder_or_error
from model_discovery.system.progress import make_console, program

if TYPE_CHECKING:
    from rich.progress import TaskID

    from model_discovery.verification import DataManifest, Recipe
    from model_discovery.verification.held_out import Progress

PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class PrepareOptions:
    """What ``data prepare`` may be told beside a name."""

    scales: Sequence[str] = ()
    corpus: str | None = None
    tokens: int | None = None
    tokenizer: str | None = None
    config: str | None = None
    split: str | None = None
    text_field: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Available:
    """A data set by name: what it is, and the folders where it lies prepared."""

    name: str
    what: str
    folders: tuple[str, ...]


def prepare_data(name: str, options: PrepareOptions) -> Iterator[str]:
    """Prepare a recipe's token streams or a suite's items; says, a line each, what was made."""
    from model_discovery.config import Settings
    from model_discovery.verification.recipes import RECIPE_NAMES

    data_dir = folder_or_error(Settings().data_dir).resolve()
    if name not in RECIPE_NAMES and _is_suite(name, data_dir):
        from model_discovery.verification.suite_data import prepare_suite

        yield from prepare_suite(name, data_dir, options.source)
        return
    recipe, scales = _recipe(name, options)
    for scale in scales:
        yield from _say(name, scale, _prepare(recipe, scale, data_dir))
    if any((options.tokens, options.tokenizer, options.config, options.split, options.text_field)):
        yield from _keep(recipe, name, data_dir)


def list_data() -> list[Available]:
    """Everything that can be prepared by name."""
    from model_discovery.config import Settings
    from model_discovery.verification.recipes import RECIPE_NAMES, get_recipe
    from model_discovery.verification.suite_data import SUITE_DATA, suite_folder

    data_dir = Settings().data_dir.resolve()
    found = []
    for name in RECIPE_NAMES:
        made = tuple(str(file.parent) for file in sorted(data_dir.glob(f"{name}-*/manifest.json")))
        made = tuple(folder for folder in made if Path(folder).name.count("-") == name.count("-") + 1)
        recipe = None if name == "text" else get_recipe(name)
        found.append(Available(name, _what(recipe), made))
    for name, what in SUITE_DATA.items():
        folder = suite_folder(data_dir, {"babylm-eval": "babylm", "core": "hub"}.get(name, name))
        found.append(
            Available(name, f"suite: {what}; needs network", (str(folder),) if folder.exists() else ())
        )
    return found


def print_data(found: Sequence[Available]) -> None:
    """A line for each data set."""
    console = make_console()
    for one in found:
        where = ", ".join(one.folders) if one.folders else "not prepared"
        console.print(f"{one.name:12} {one.what} [{where}]", markup=False, soft_wrap=True)
    console.print(f"prepare one: {program()} data prepare NAME", markup=False)


def _what(recipe: "Recipe | None") -> str:
    if recipe is None:
        return "recipe: your own text, at any time: --corpus FOLDER"
    if recipe.hub is None:
        return "recipe: made on the spot, no network"
    sizes = "; ".join(f"{source.name} ({source.size})" for source in recipe.hub.sources)
    part = ", only what a scale trains on is read" if recipe.hub.unique_tokens == "scale" else ""
    return f"recipe: {sizes}{part}; needs network"


def _is_suite(name: str, data_dir: Path) -> bool:
    """Whether a suite's data has that name, or is told by task files of a path; a YAML file that lists
    ``sources`` is a recipe.
    """
    from model_discovery.verification.recipe_files import is_recipe
    from model_discovery.verification.sources import HUB_ID
    from model_discovery.verification.suite_data import is_suite_data

    path = Path(name).expanduser()
    if is_recipe(path) or (HUB_ID.fullmatch(name.partition(":")[0]) and not path.exists()):
        return False
    return is_suite_data(name, data_dir)


def _recipe(name: str, options: PrepareOptions) -> "tuple[Recipe, list[str]]":
    from model_discovery.blocks import get_scale
    from model_discovery.config import Settings
    from model_discovery.verification.recipes import RECIPE_NAMES, get_recipe
    from model_discovery.verification.suite_data import SUITE_DATA

    if options.source is not None:
        raise UserError("--source belongs to a suite's data.", hint=f"known: {', '.join(SUITE_DATA)}")
    if name == "text" and options.corpus is None:
        raise UserError("The text recipe needs your text.", hint="add --corpus FOLDER_OR_FILE")
    if options.corpus is not None and options.tokenizer is not None:
        raise UserError(
            "A --corpus has a tokenizer trained on it.",
            hint="to choose one, name the folder as a data set: data prepare FOLDER --tokenizer NAME",
        )
    if name not in RECIPE_NAMES and not any(mark in name for mark in "/.~") and not Path(name).exists():
        from model_discovery.verification.task_index import installed_tasks

        names = [*RECIPE_NAMES, *SUITE_DATA]
        raise UserError(
            unknown("data set", name, [*names, *installed_tasks(Settings().data_dir.resolve())]).message,
            hint=f"known: {', '.join(names)}, a task of lm-eval, owner/name, ./FOLDER",
        )
    scales = [get_scale(scale).name for scale in options.scales]

    def get(tokens: dict[str, int]) -> "Recipe":
        return get_recipe(
            name,
            corpus=options.corpus,
            tokens=tokens,
            tokenizer=options.tokenizer,
            config=options.config,
            split=options.split,
            text_field=options.text_field,
        )

    recipe = get({})
    scales = scales or [scale for scale in ("0.1M", "0.4M") if scale in recipe.tokens] or ["14M"]
    return (get(dict.fromkeys(scales, options.tokens)) if options.tokens else recipe), scales


def _prepare(recipe: "Recipe", scale: str, data_dir: Path) -> "DataManifest":
    from model_discovery.verification import prepare

    with _Watch() as watch:
        try:
            return prepare(recipe, scale, data_dir, watch)
        except KeyboardInterrupt:
            if recipe.hub is not None:
                watch.say("interrupted; what is done is kept, and the same command goes on from there")
            raise


def _say(name: str, scale: str, manifest: "DataManifest") -> Iterator[str]:
    yield (
        f"{name} for {scale}: {manifest.train_tokens:,} training and {manifest.held_out_tokens:,} "
        f"held-out tokens, vocabulary {manifest.vocab_size:,}, in {manifest.folder}"
    )
    if len(manifest.sources) > 1:
        for source in manifest.sources:
            yield (
                f"  {source.name}: {source.tokens:,} tokens of {source.documents:,} documents, "
                f"{source.share:.1%} of the text (asked: {source.weight:.1%})"
            )
    for note in manifest.notes:
        yield f"  {note}"


def _keep(recipe: "Recipe", name: str, data_dir: Path) -> Iterator[str]:
    """Say how to train on data that options made different from what its name alone means."""
    from model_discovery.verification.recipe_files import recipe_text

    if recipe.hub is None:
        tokens = " ".join(f"--set tokens.{scale}={count}" for scale, count in recipe.tokens.items())
        yield f'to train on it: {program()} discover "…" {tokens}'
        return
    folder = folder_or_error(data_dir / "recipes")
    file = (
        folder
        / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', Path(name).stem if recipe.hub.remote else recipe.name)}.yaml"
    )
    file.write_text(recipe_text(recipe), encoding="utf-8")
    yield f"to train on it: --recipe {file}"


class _Watch:
    """Shows how a preparation goes: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = make_console(stderr=True)
        self._live = self._console.is_terminal or self._console.is_jupyter
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
        )
        self._bars = Progress(*columns, console=self._console, transient=True, disable=not self._live)
        self._task: TaskID | None = None
        self._doing = ""
        self._began = self._said = 0.0
        self._first = 0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.doing != self._doing:
            self._doing, self._began, self._first = progress.doing, now, progress.tokens
            self._said = now
        note = self._note(progress, now - self._began)
        if self._task is None:
            self._task = self._bars.add_task("", total=None, note="")
        self._bars.update(
            self._task, description=progress.doing, total=progress.of, completed=progress.tokens, note=note
        )
        if not self._live and now - self._said >= PLAIN_SECONDS:
            self.say(f"{progress.doing}: {note}")
            self._said = now

    def say(self, text: str) -> None:
        """A line of its own."""
        self._bars.console.print(text, markup=False, soft_wrap=True)

    def _note(self, progress: "Progress", seconds: float) -> str:
        note = f"{progress.documents:,} documents, {progress.tokens:,} tokens"
        rate = (progress.tokens - self._first) / seconds if seconds > 0 else 0.0
        if rate <= 0:
            return note
        note += f", {rate:,.0f} a second"
        if progress.of is not None:
            note += f", {_duration((progress.of - progress.tokens) / rate)} left"
        return note

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
