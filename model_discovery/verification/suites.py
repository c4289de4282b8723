"""Suites of minimal pairs: which there are, what each needs, and how its sets are read.

A pair is a good and a bad sentence; a model is right when it finds the good one more likely.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from model_discovery.blocks.scales import get_scale
from model_discovery.errors import UserError, nearest, unknown
from model_discovery.verification.blimp_sets import BLIMP_PHENOMENA, BLIMP_SETS
from model_discovery.verification.item_sets import BAD, GOOD, PairSet, read_rows

if TYPE_CHECKING:
    from model_discovery.verification.recipes import Recipe


@dataclass(frozen=True)
class SuiteSource:
    """Where sets may come from: the recipe's own pairs (``None`` where it has none), BLiMP's folder."""

    scale: str
    pairs: Path | None = None
    blimp: Path | None = None


@dataclass(frozen=True)
class Suite:
    """A suite: ``load`` reads its sets, ``missing`` says what a recipe or a command line lacks for it."""

    name: str
    load: Callable[[SuiteSource], list[PairSet]]
    missing: Callable[["Recipe", Path | None], UserError | None]


def check_suites(suites: Iterable[str], *, recipe: "Recipe", blimp_dir: str | Path | None = None) -> None:
    """Refuse, before anything is trained, suites that are unknown or whose sets cannot be read.

    Raises
    ------
    UserError
        Naming the suite and the nearest one, or what it lacks.
    """
    folder = None if blimp_dir is None else Path(blimp_dir)
    for name in suites:
        if name not in SUITES:
            raise unknown("suite", name, SUITES)
        if problem := SUITES[name].missing(recipe, folder):
            raise problem


def default_suites(recipe: "Recipe", blimp_dir: str | Path | None = None) -> tuple[str, ...]:
    """What a recipe can be scored on: its own pairs where it makes them, BLiMP where its folder is named."""
    own = ("minimal-pairs",) if recipe.kind == "grammar" else ()
    return (*own, "blimp") if blimp_dir is not None else own


def load_suites(suites: Iterable[str], source: SuiteSource) -> list[PairSet]:
    """All sets of the suites, in their order."""
    sets: list[PairSet] = []
    for name in suites:
        if name not in SUITES:
            raise unknown("suite", name, SUITES)
        sets += SUITES[name].load(source)
    return sets


def _load_own(source: SuiteSource) -> list[PairSet]:
    """The recipe's own sets, without those that say nothing at so small a scale."""
    if source.pairs is None:
        raise _no_own_pairs("this recipe")
    target = get_scale(source.scale).target
    sets = []
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
        hint="score real text on BLiMP: --suite blimp --blimp-dir FOLDER",
    )


def _load_blimp(source: SuiteSource) -> list[PairSet]:
    folder = _blimp_folder(source.blimp)
    sets = []
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
        raise UserError("The suite 'blimp' needs its data.", hint=hint)
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
        "minimal-pairs": Suite("minimal-pairs", _load_own, _own_missing),
        "blimp": Suite("blimp", _load_blimp, _blimp_missing),
    }
)
"""All suites by name."""
