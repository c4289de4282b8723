"""BabyLM's evaluation data (arXiv:2301.11796): BLiMP without rare words, and five sets that supplement it.

Each year's archive unpacks to other folders, so the two that count are looked for below the one given:

- 2023: ``filter-data/{blimp,supplement}_filtered``, BLiMP as 12 files (one a phenomenon), ``.json``
- 2024: ``evaluation_data/{blimp,supplement}_filtered``, BLiMP as 67 files, ``.jsonl``; so also
- 2025: ``evaluation_data/full_eval/…``; and a part of each as ``…/fast_eval/{blimp,supplement}_fast``

All are JSON lines with ``sentence_good`` and ``sentence_bad``. Where there are both, the full data is read.
"""

from collections.abc import Iterator
from pathlib import Path

from model_discovery.errors import UserError, nearest
from model_discovery.verification.blimp_sets import BLIMP_PHENOMENA, BLIMP_SETS
from model_discovery.verification.item_sets import BAD, GOOD, PairSet, read_rows

SUITE = "babylm"
SUPPLEMENT_SETS = (
    "hypernym",
    "qa_congruence_easy",
    "qa_congruence_tricky",
    "subject_aux_inversion",
    "turn_taking",
)
PHENOMENON_SETS = tuple(
    sorted({name.replace("filler_gap_dependency", "filler_gap") for name in BLIMP_PHENOMENA.values()})
)
"""BLiMP's sets as the archive of 2023 has them."""

_FOLDERS = (("blimp_filtered", "supplement_filtered"), ("blimp_fast", "supplement_fast"))
_DEPTH = 4
_HINT = (
    "unpack the challenge's evaluation data and name the folder with blimp_filtered and supplement_filtered"
)


def load_babylm(folder: Path | None) -> list[PairSet]:
    """All sets below ``folder``, in the groups ``blimp`` and ``supplement``.

    Raises
    ------
    UserError
        No folder with both parts (what was found is named), several such folders, a part without some of its
        sets, or a row without a sentence, with file and line.
    """
    sets = []
    for (group, name), file in _files(folder).items():
        pairs = tuple((row[GOOD], row[BAD]) for row in read_rows(file, (GOOD, BAD)))
        sets.append(PairSet(SUITE, name, pairs, group))
    return sets


def babylm_missing(folder: Path | None) -> UserError | None:
    """What `load_babylm` would lack, from the names of the files and the first row of the first."""
    try:
        first = next(iter(_files(folder).values()))
        next(read_rows(first, (GOOD, BAD)))
    except UserError as error:
        return error
    return None


def _files(folder: Path | None) -> dict[tuple[str, str], Path]:
    """The file of every ``(group, set)``; all or none: a mean over some sets is another number."""
    if folder is None:
        raise UserError("The suite 'babylm' needs its data.", hint=_HINT)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} with BabyLM's evaluation data.", hint=_HINT)
    blimp, supplement = _find(folder)
    of_2023 = _file(blimp, PHENOMENON_SETS[0]) is not None
    found = _part("blimp", blimp, PHENOMENON_SETS if of_2023 else BLIMP_SETS)
    return found | _part("supplement", supplement, SUPPLEMENT_SETS)


def _part(group: str, place: Path, names: tuple[str, ...]) -> dict[tuple[str, str], Path]:
    found = {(group, name): file for name in names if (file := _file(place, name)) is not None}
    absent = [name for name in names if (group, name) not in found]
    if absent:
        like = nearest(absent[0], (file.stem for file in place.iterdir()))
        raise UserError(
            f"{place} lacks {len(absent)} of its {len(names)} sets, {absent[0]}.jsonl first.{like}",
            hint=_HINT,
        )
    return found


def _find(folder: Path) -> tuple[Path, Path]:
    """The folders of the two parts, which lie side by side."""
    below = list(_folders(folder, _DEPTH))
    for names in _FOLDERS:
        both = [place for place in below if all((place / name).is_dir() for name in names)]
        if len(both) == 1:
            return both[0] / names[0], both[0] / names[1]
        if both:
            raise UserError(
                f"{folder} holds BabyLM's data {len(both)} times: {', '.join(map(str, both))}.",
                hint="name one of them",
            )
    inside = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(inside[:8]) + (", …" if len(inside) > 8 else "")
    raise UserError(
        f"No blimp_filtered beside supplement_filtered in or below {folder}; it has {shown or 'nothing'}.",
        hint=_HINT,
    )


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith((".", "__")):
                yield from _folders(path, depth - 1)


def _file(folder: Path, name: str) -> Path | None:
    return next((file for end in (".jsonl", ".json") if (file := folder / f"{name}{end}").is_file()), None)
