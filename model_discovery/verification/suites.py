"""Suites: how they are named, what each needs, and how their items are read.

A suite is one of `SUITES`, whose items are read here; or tasks of lm-eval: ``core``, the name of an installed
task, group or tag, or a folder of YAML tasks.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from model_discovery.blocks.scales import get_scale
from model_discovery.config import Settings
from model_discovery.errors import UserError, nearest, unknown
from model_discovery.verification.babylm_sets import babylm_missing, load_babylm
from model_discovery.verification.blimp_sets import BLIMP_PHENOMENA, BLIMP_SETS
from model_discovery.verification.item_sets import BAD, GOOD, ItemSet, PairSet, read_rows
from model_discovery.verification.probe_sets import load_probes
from model_discovery.verification.suite_data import missing_data, suite_folder, task_entries

if TYPE_CHECKING:
    from model_discovery.verification.encoding import Encoder
    from model_discovery.verification.recipes import Recipe
    from model_discovery.verification.task_suites import TaskSuite

CORE = "core"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Folders = Mapping[str, str | Path]
"""Folders of suites whose data the user named, by suite."""


@dataclass(frozen=True)
class SuiteSource:
    """Where items may come from.

    Attributes
    ----------
    pairs
        The recipe's own pairs; ``None`` where it has none.
    folders
        Of suites, as the user named them.
    data_dir
        Below which data was prepared.
    prepared
        Folder of the recipe's own prepared data.
    context
        Tokens that the model reads at once.
    """

    scale: str
    pairs: Path | None = None
    folders: Folders = field(default_factory=dict)
    data_dir: Path | None = None
    prepared: Path | None = None
    context: int = 0

    def folder(self, suite: str) -> Path | None:
        """Where a suite's data lies: the user's folder, else the prepared one."""
        return _folder(suite, self.folders, self.data_dir)


@dataclass(frozen=True)
class Suite:
    """A suite whose items are read here.

    Attributes
    ----------
    load
        Reads its sets.
    missing
        What a recipe or its folder lacks for it; cheap.
    by_group
        Whether its number is the mean of its groups, not of its sets.
    takes_folder
        Whether its data lies in a folder that can be named.
    """

    load: Callable[[SuiteSource], list[ItemSet]]
    missing: Callable[["Recipe", Path | None], UserError | None]
    by_group: bool = False
    takes_folder: bool = True


def name_suites(
    asked: Iterable[str], blimp_dir: str | Path | None = None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Suites as people write them: their names, and the folders among them.

    >>> name_suites(["minimal-pairs", "blimp=/data/blimp"])
    (('minimal-pairs', 'blimp'), {'blimp': '/data/blimp'})

    Parameters
    ----------
    asked
        ``NAME``, ``NAME=FOLDER``, or a path to YAML tasks, whose name is that of the folder or file.
    blimp_dir
        Short for ``blimp=FOLDER``, without asking for the suite.
    """
    names: list[str] = []
    folders = {} if blimp_dir is None else {"blimp": _absolute(str(blimp_dir))}
    for one in asked:
        name, equals, folder = one.partition("=")
        if not equals and ("/" in one or one.startswith((".", "~")) or one.endswith((".yaml", ".yml"))):
            name, folder = Path(one).expanduser().absolute().resolve().stem, one
        if not _NAME.fullmatch(name):
            raise UserError(f"'{one}' does not name a suite.", hint="write NAME, NAME=FOLDER or ./FOLDER")
        if name in names:
            raise UserError(
                f"The suite '{name}' is asked for twice.", hint="give one another name: NAME=FOLDER"
            )
        if equals and not folder:
            raise UserError(f"'{one}' names no folder.", hint=f"write {name}=FOLDER")
        names.append(name)
        if folder:
            folders[name] = _absolute(folder)
    return tuple(names), folders


def check_suites(
    suites: Iterable[str],
    *,
    recipe: "Recipe",
    folders: Folders | None = None,
    data_dir: str | Path | None = None,
) -> None:
    """Refuse, before anything is trained, suites that are unknown or whose data is not there.

    Parameters
    ----------
    folders
        Of suites, as the user named them.
    data_dir
        Below which data was prepared; the machine's own unless told.

    Raises
    ------
    UserError
        Naming the suite and the nearest one, or what it lacks and how to get it.
    """
    place = Settings().data_dir if data_dir is None else Path(data_dir)
    named = folders or {}
    for name in suites:
        if name in SUITES:
            if name in named and not SUITES[name].takes_folder:
                raise UserError(
                    f"The suite '{name}' is made with the recipe; it has no folder {named[name]}.",
                    hint=f"leave out ={named[name]}",
                )
            if problem := SUITES[name].missing(recipe, _folder(name, named, place)):
                raise problem
        elif name in named:
            _check_own_tasks(name, Path(named[name]), place)
        else:
            _check_tasks(name, place)


def default_suites(recipe: "Recipe", folders: Folders | None = None) -> tuple[str, ...]:
    """What a recipe can be scored on: its own pairs where it makes them, then what has a folder named."""
    own = ("minimal-pairs",) if recipe.kind == "grammar" else ()
    return (*own, *(folders or {}))


def by_group(suite: str) -> bool:
    """Whether a suite's number is the mean of its groups, not of its sets."""
    return suite in SUITES and SUITES[suite].by_group


def load_suites(suites: Iterable[str], source: SuiteSource) -> list[ItemSet]:
    """All sets of the suites that are read here, in their order; those of lm-eval are left out."""
    return [one for name in suites if name in SUITES for one in SUITES[name].load(source)]


def load_tasks(suites: Iterable[str], source: SuiteSource, encoder: "Encoder") -> "list[TaskSuite]":
    """The suites that are tasks of lm-eval, loaded and tried; lm-eval is only loaded where there are any."""
    chosen = [name for name in suites if name not in SUITES]
    if not chosen:
        return []
    from model_discovery.verification.task_suites import load_task_suite

    data_dir = (source.data_dir or Settings().data_dir).absolute()
    folders = {name: Path(folder) for name, folder in source.folders.items()}
    return [load_task_suite(name, folders.get(name), data_dir, encoder) for name in chosen]


def _folder(suite: str, folders: Folders, data_dir: Path | None) -> Path | None:
    if suite in folders:
        return Path(folders[suite])
    prepared = None if data_dir is None else suite_folder(data_dir, suite)
    return prepared if prepared is not None and prepared.is_dir() else None


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().absolute())


def _check_tasks(name: str, data_dir: Path) -> None:
    """Refuse a name that lm-eval does not know, or whose data is not prepared."""
    try:
        entries = task_entries(name, data_dir)
    except UserError:
        from model_discovery.verification.task_index import installed_tasks

        error = unknown("suite", name, [*SUITES, CORE, *installed_tasks(data_dir)])
        raise UserError(
            error.message, hint=f"a suite is {', '.join(SUITES)}, {CORE}, a task of lm-eval or ./FOLDER"
        ) from None
    _refuse_missing(name, missing_data(entries, data_dir), data_dir)


def _check_own_tasks(name: str, folder: Path, data_dir: Path) -> None:
    from model_discovery.verification.task_index import installed_tasks

    if name == CORE or name in installed_tasks(data_dir):
        raise UserError(
            f"'{name}' is a suite already; {folder} cannot have its name.",
            hint=f"give it another: my_{name}={folder}",
        )
    _refuse_missing(str(folder), missing_data(task_entries(str(folder), data_dir), data_dir), data_dir)


def _refuse_missing(name: str, absent: list[str], data_dir: Path) -> None:
    if absent:
        shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        raise UserError(
            f"The suite '{name}' needs data that is not below {data_dir / 'suites'}: {shown}.",
            hint=f"model-discovery data prepare {name}",
        )


def _load_own(source: SuiteSource) -> list[ItemSet]:
    """The recipe's own sets, without those that say nothing at so small a scale."""
    if source.pairs is None:
        raise _no_own_pairs("this recipe")
    target = get_scale(source.scale).target
    sets: list[ItemSet] = []
    for file in sorted(source.pairs.glob("*.jsonl")):
        rows = [
            row
            for row in read_rows(file, (GOOD, BAD))
            if get_scale(row.get("min_scale", source.scale)).target <= target
        ]
        if rows:
            pairs = tuple((row[GOOD], row[BAD]) for row in rows)
            sets.append(PairSet("minimal-pairs", file.stem, pairs))
    return sets


def _own_missing(recipe: "Recipe", _: Path | None) -> UserError | None:
    return None if recipe.kind == "grammar" else _no_own_pairs(f"the recipe '{recipe.name}'")


def _no_own_pairs(what: str) -> UserError:
    return UserError(
        f"The suite 'minimal-pairs' is made with the recipe 'grammar'; {what} has no pairs.",
        hint="score real text on BLiMP: --suite blimp=FOLDER",
    )


def _load_probes(source: SuiteSource) -> list[ItemSet]:
    assert source.prepared is not None
    return list(load_probes(source.prepared, source.context))


def _load_blimp(source: SuiteSource) -> list[ItemSet]:
    folder = _blimp_folder(source.folder("blimp"))
    sets: list[ItemSet] = []
    for name in BLIMP_SETS:
        rows = read_rows(folder / f"{name}.jsonl", (GOOD, BAD))
        pairs = tuple((row[GOOD], row[BAD]) for row in rows)
        sets.append(PairSet("blimp", name, pairs, BLIMP_PHENOMENA[name]))
    return sets


def _blimp_missing(_: "Recipe", folder: Path | None) -> UserError | None:
    try:
        first = _blimp_folder(folder) / f"{BLIMP_SETS[0]}.jsonl"
        next(read_rows(first, (GOOD, BAD)))
    except UserError as error:
        return error
    return None


def _blimp_folder(folder: Path | None) -> Path:
    """The folder, once it is known to have all sets: a mean over some of them is another number."""
    hint = "name a folder with BLiMP's 67 JSONL files: --blimp-dir FOLDER"
    if folder is None:
        raise UserError(
            "The suite 'blimp' needs its data.", hint=f"model-discovery data prepare blimp; or {hint}"
        )
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} with BLiMP's files.", hint=hint)
    absent = [name for name in BLIMP_SETS if not (folder / f"{name}.jsonl").is_file()]
    if absent:
        like = nearest(f"{absent[0]}.jsonl", (file.name for file in folder.iterdir()))
        raise UserError(
            f"{folder} lacks {len(absent)} of BLiMP's {len(BLIMP_SETS)} sets, {absent[0]}.jsonl first.{like}",
            hint=hint,
        )
    return folder


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "minimal-pairs": Suite(_load_own, _own_missing, takes_folder=False),
        "blimp": Suite(_load_blimp, _blimp_missing),
        "babylm": Suite(
            lambda source: list(load_babylm(source.folder("babylm"))),
            lambda _, folder: babylm_missing(folder),
            by_group=True,
        ),
        "probes": Suite(_load_probes, lambda *_: None, takes_folder=False),
    }
)
"""The suites whose items are read here, by name."""
