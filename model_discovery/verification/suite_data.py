"""The data of suites, fetched ahead: scoring itself never uses the network.

Everything lies below ``DATA_DIR/suites``: ``blimp/`` and ``babylm/`` as JSONL, and what lm-eval's tasks read
below ``hub/``, one folder for a data set and its configuration, as `datasets` stores it.
"""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from model_discovery.errors import EXIT_FAILED, UserError, unknown
from model_discovery.verification.babylm_sets import load_babylm
from model_discovery.verification.blimp_sets import BLIMP_SETS
from model_discovery.verification.core_tasks import CORE_TASKS
from model_discovery.verification.hub import hub_revision, reading
from model_discovery.verification.item_sets import BAD, GOOD
from model_discovery.verification.sources import Source
from model_discovery.verification.task_index import TaskEntry, index_folder, installed_tasks, leaves

if TYPE_CHECKING:
    from datasets import DatasetDict

DataId = tuple[str, str, str]
"""``(dataset_path, dataset_name, dataset_kwargs as JSON)`` of a task."""

YAML = (".yaml", ".yml")
FILE_READERS = ("json", "csv", "parquet", "text", "arrow")
"""Readers of `datasets` for files of one's own."""

BLIMP_HUB = "nyu-mll/blimp"
_BABYLM_PAGES = "https://osf.io/ad7qg/ (2023, 2024) or https://osf.io/ryjfm/ (2025)"

SUITE_DATA: Mapping[str, str] = MappingProxyType(
    {
        "blimp": f"67 sets of 1,000 minimal pairs from {BLIMP_HUB}, about 25 MB",
        "babylm-eval": f"evaluation data of the BabyLM challenge from {_BABYLM_PAGES}, about 30 MB",
        "core": f"{len(CORE_TASKS)} benchmarks of the reference list from the hub, about 1 GB",
    }
)
"""Suites whose data can be prepared, with what that is. Any lm-eval task, group or tag can be, too."""


def suite_folder(data_dir: Path, name: str) -> Path:
    """Where the data of ``blimp`` or ``babylm`` lies once it is prepared."""
    return data_dir / "suites" / name


def stored(data_dir: Path, data: DataId) -> Path:
    """Where a data set of the hub lies once it is prepared."""
    path, name, kwargs = data
    folder = name or "default"
    if kwargs:
        folder += "-" + hashlib.sha256(kwargs.encode()).hexdigest()[:8]
    return data_dir / "suites" / "hub" / path.replace("/", "__") / folder


def is_stored(data_dir: Path, data: DataId) -> bool:
    """Whether a data set of the hub is there, whole."""
    return (stored(data_dir, data) / "dataset_dict.json").is_file()


def is_suite_data(name: str, data_dir: Path | None = None) -> bool:
    """Whether `prepare_suite` knows a name: one of `SUITE_DATA`, a path to YAML, or anything lm-eval has."""
    if name in SUITE_DATA:
        return True
    if (path := Path(name).expanduser()).exists():
        return path.suffix in YAML or bool(index_folder(path))
    return name in installed_tasks(data_dir)


def prepare_suite(name: str, data_dir: Path, source: str | None = None) -> Iterator[str]:
    """Fetch what a suite needs, a line of progress for each part; what is there already is kept.

    Parameters
    ----------
    name
        One of `SUITE_DATA`, or an lm-eval task, group or tag.
    data_dir
        The data goes below ``data_dir/suites``.
    source
        A folder to take it from instead of the hub: data sets in the hub's own layout, as
        ``SOURCE/OWNER/NAME``; for ``babylm-eval`` the unpacked folder or the ZIP file.

    Raises
    ------
    UserError
        An unknown name; parts that could not be had, after all others were fetched.
    """
    if name == "blimp":
        yield from _prepare_blimp(data_dir, source)
    elif name == "babylm-eval":
        yield from _prepare_babylm(data_dir, source)
    else:
        yield from _prepare_tasks(name, data_dir, source)


def task_entries(name: str, data_dir: Path | None) -> list[TaskEntry]:
    """The tasks that ``core``, a name of lm-eval, or a path to YAML tasks stands for."""
    if "/" in name or Path(name).suffix in YAML:
        return _own_entries(Path(name).expanduser(), data_dir)
    index = installed_tasks(data_dir)
    if name != "core" and name not in index:
        raise unknown("task", name, [*SUITE_DATA, *index])
    tasks = CORE_TASKS if name == "core" else (name,)
    return list({leaf.name: leaf for task in tasks for leaf in leaves(task, index)}.values())


def _own_entries(folder: Path, data_dir: Path | None) -> list[TaskEntry]:
    """Tasks of the user's YAML files; groups there may name tasks of lm-eval, too."""
    if not folder.exists():
        raise UserError(f"There is no folder or file {folder} with tasks.")
    own = index_folder(folder, strict=True)
    if not own:
        raise UserError(f"{folder} has no YAML file with a key 'task'.", hint="see docs/suites.md")
    index = {**installed_tasks(data_dir), **own} if any(entry.parts for entry in own.values()) else own
    return list({leaf.name: leaf for name in own for leaf in leaves(name, index)}.values())


def is_own_data(entry: TaskEntry) -> bool:
    """Whether a task reads files that lie beside its YAML, or at a path of this machine."""
    if entry.data is None:
        return True
    path, _, kwargs = entry.data
    beside = Path(entry.file).parent
    files = json.loads(kwargs).get("data_files") if kwargs else None
    return (beside / path).is_dir() or (path in FILE_READERS and files is not None and "://" not in kwargs)


def _prepare_tasks(name: str, data_dir: Path, source: str | None) -> Iterator[str]:
    wanted: dict[DataId, list[str]] = {}
    for entry in task_entries(name, data_dir):
        if entry.data is not None and not is_own_data(entry):
            wanted.setdefault(entry.data, []).append(entry.name)
    if not all(is_stored(data_dir, data) for data in wanted):
        _check_reach(f"the data of '{name}'", source)
    failed: list[str] = []
    for number, (data, tasks) in enumerate(wanted.items(), 1):
        what = f"[{number}/{len(wanted)}] {', '.join(tasks[:3])}{', …' * (len(tasks) > 3)}: {_title(data)}"
        if is_stored(data_dir, data):
            yield f"{what}, there already"
            continue
        try:
            rows = _store(data_dir, data, source)
        except UserError as error:
            failed.append(f"{_title(data)} ({error.message})")
            yield f"{what}, not had: {error.message}"
        else:
            yield f"{what}, {rows:,} rows"
    if failed:
        raise UserError(
            f"{len(failed)} of {len(wanted)} data sets of '{name}' could not be had: {'; '.join(failed)}.",
            hint="the others are kept; run the same again, or give --source FOLDER",
            exit_code=EXIT_FAILED,
        )


def _store(data_dir: Path, data: DataId, source: str | None) -> int:
    """Fetch one data set, put it in place whole, and say how many rows it has."""
    path, name, kwargs = data
    with _aside(stored(data_dir, data)) as place:
        found = _load(path, name, json.loads(kwargs) if kwargs else {}, source, place.parent)
        found.save_to_disk(str(place))
        return sum(len(split) for split in found.values())


def _load(
    path: str, name: str, kwargs: Mapping[str, object], source: str | None, scratch: Path
) -> "DatasetDict":
    """A data set from the hub, or from a folder in the hub's layout; ``UserError`` where it cannot be had."""
    import datasets

    place = path
    if source is not None:
        place = str(Path(source).expanduser() / path)
        if not Path(place).is_dir():
            raise UserError(f"There is no folder {place}.")
    datasets.disable_progress_bars()
    with reading(Source(dataset=place, config=name or None, checksum="local" if source else "")):
        return datasets.load_dataset(place, name or None, cache_dir=str(scratch / "cache"), **kwargs)


def _check_reach(what: str, source: str | None) -> None:
    """Refuse within seconds where the hub is needed and out of reach."""
    if source is None:
        hub_revision(Source(dataset=BLIMP_HUB), need=what)


def _prepare_blimp(data_dir: Path, source: str | None) -> Iterator[str]:
    folder = suite_folder(data_dir, "blimp")
    if folder.is_dir():
        yield f"blimp: there already, in {folder}"
        return
    _check_reach(f"BLiMP ({SUITE_DATA['blimp']})", source)
    with _aside(folder) as place:
        place.mkdir()
        for number, name in enumerate(BLIMP_SETS, 1):
            rows = _load(BLIMP_HUB, name, {}, source, place.parent)["train"]
            lines = (json.dumps({GOOD: row[GOOD], BAD: row[BAD]}) + "\n" for row in rows)
            (place / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
            if number % 10 == 0:
                yield f"blimp: {number} of {len(BLIMP_SETS)} sets"
    yield f"blimp: {len(BLIMP_SETS)} sets in {folder}"


def _prepare_babylm(data_dir: Path, source: str | None) -> Iterator[str]:
    folder = suite_folder(data_dir, "babylm")
    if folder.is_dir():
        yield f"babylm-eval: there already, in {folder}"
        return
    if source is None:
        raise UserError(
            "BabyLM's evaluation data cannot be fetched by a program.",
            hint=f"download evaluation_data from {_BABYLM_PAGES}, then add --source FOLDER_OR_ZIP; "
            "or name the folder when scoring: --suite babylm=FOLDER",
        )
    given = Path(source).expanduser()
    with _aside(folder) as place:
        unpacked = given
        if given.is_file():
            unpacked = place.parent / "unpacked"
            _unzip(given, unpacked)
        sets = load_babylm(unpacked)
        for one in sets:
            file = place / f"{one.group}_filtered" / f"{one.name}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps({GOOD: good, BAD: bad}) + "\n" for good, bad in one.pairs)
            file.write_text("".join(lines), encoding="utf-8")
    yield f"babylm-eval: {len(sets)} sets, {sum(map(len, sets)):,} pairs in {folder}"


def _unzip(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    except (zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: a password
        raise UserError(
            f"{file} cannot be unpacked: {error}.", hint="unpack it yourself and give the folder"
        ) from error


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A path beside ``folder`` to fill; it becomes ``folder`` at the end, nothing stays after an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        place = Path(scratch) / "data"
        yield place
        shutil.rmtree(folder, ignore_errors=True)
        place.rename(folder)


def missing_data(entries: Iterable[TaskEntry], data_dir: Path) -> list[str]:
    """Data sets of tasks that are not prepared, by title, each once."""
    wanted = [one.data for one in entries if one.data is not None and not is_own_data(one)]
    return list(dict.fromkeys(_title(data) for data in wanted if not is_stored(data_dir, data)))


def _title(data: DataId) -> str:
    path, name, _ = data
    return f"{path} ({name})" if name else path
