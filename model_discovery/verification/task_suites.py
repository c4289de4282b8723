"""lm-eval's YAML tasks, its own and those in a folder of yours: loaded and checked, then run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from model_discovery.errors import UserError, nearest
from model_discovery.verification.core_tasks import CORE_TASKS
from model_discovery.verification.encoding import Encoder
from model_discovery.verification.served_lm import (
    ServedLM,
    evaluate,
    quiet,
)  # before datasets: it sets offline mode
from model_discovery.verification.suite_data import FILE_READERS, DataId, stored
from model_discovery.verification.task_index import Index, TaskEntry, index_folder, installed_tasks

from datasets import load_from_disk  # isort: skip
from lm_eval.api.registry import METRIC_REGISTRY  # isort: skip
from lm_eval.api.task import Task  # isort: skip
from lm_eval.tasks import TaskManager  # isort: skip
from lm_eval.tasks._index import Entry, Kind  # isort: skip
from lm_eval.tasks._yaml_loader import load_yaml  # isort: skip

CHECKED_ITEMS = 200
FEWSHOT_SEED = 1234  # lm-eval's own


@dataclass(frozen=True)
class TaskSuite:
    """The tasks of one suite, loaded.

    Attributes
    ----------
    suite
        Its name.
    entries
        What lm-eval loaded for each task, group or tag in it: ``{"tasks": …, "groups": …}`` by name.
    tokens
        About how many tokens the model will read for it.
    """

    suite: str
    entries: Mapping[str, Mapping[str, Any]]
    tokens: int


@dataclass(frozen=True)
class TaskFigures:
    """One metric of one task.

    Attributes
    ----------
    entry, task, metric
        Where it stands in its suite.
    higher
        Whether more is better.
    main
        Whether it is the metric its task is known by.
    """

    entry: str
    task: str
    metric: str
    value: float
    stderr: float | None
    n: int
    chance: float | None
    version: str
    higher: bool
    main: bool


@dataclass(frozen=True)
class SuiteFigures:
    """What a suite gave: figures, lm-eval's own ``(value, stderr)`` of groups, checksum, remarks."""

    figures: tuple[TaskFigures, ...]
    groups: Mapping[str, tuple[float, float | None]]
    checksum: str
    notes: tuple[str, ...]


def load_task_suite(suite: str, folder: Path | None, data_dir: Path, encoder: Encoder) -> TaskSuite:
    """Load a suite's tasks from prepared data, and try some of the items of each.

    Parameters
    ----------
    suite
        ``core``, a name of lm-eval, or the name given to ``folder``.
    folder
        Of YAML tasks, or one such file.
    data_dir
        Below which the data was prepared.
    encoder
        How texts become tokens: an item without any is found here.

    Raises
    ------
    UserError
        Naming the task, its file and what is wrong.
    """
    if folder is None:
        entries = _stock(suite, data_dir)
    else:
        own = index_folder(folder, strict=True)
        below = {part for entry in own.values() if entry.file for part in entry.parts}
        tops = [name for name, entry in own.items() if entry.file and name not in below]
        entries = _load(tops, {**installed_tasks(data_dir), **own}, data_dir)
    loaded = [task for entry in entries.values() for task in entry["tasks"].values()]
    return TaskSuite(suite, entries, sum(_try_items(task, encoder) for task in loaded))


@lru_cache(maxsize=8)
def _stock(suite: str, data_dir: Path) -> dict[str, Mapping[str, Any]]:
    """Tasks of the installed lm-eval, which do not change while a worker lives."""
    return _load(CORE_TASKS if suite == "core" else (suite,), installed_tasks(data_dir), data_dir)


def _load(names: Sequence[str], index: Index, data_dir: Path) -> dict[str, Mapping[str, Any]]:
    manager = TaskManager(include_defaults=False)
    for name in names:
        for entry in _closure(name, index):
            manager.task_index[entry.name] = _lm_eval_entry(entry, data_dir)
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        try:
            with quiet():
                found[name] = manager.load([name])
        except UserError:
            raise
        except Exception as error:  # templates and functions of YAML files may raise anything
            raise _unusable(index[name], error) from error
    return found


def _closure(name: str, index: Index) -> list[TaskEntry]:
    """A name with all groups, tags and tasks that it leads to."""
    found: dict[str, TaskEntry] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in index and current not in found:
            found[current] = index[current]
            waiting += index[current].parts
    return list(found.values())


def _lm_eval_entry(entry: TaskEntry, data_dir: Path) -> Entry:
    """An entry of lm-eval's index whose task reads its data from where it was prepared."""
    if entry.parts and not entry.file:
        return Entry(entry.name, Kind.TAG, None, tags=set(entry.parts))
    if entry.parts:
        return Entry(entry.name, Kind.GROUP, Path(entry.file))
    if entry.python:
        raise UserError(
            f"The task '{entry.name}' is a Python class that fetches its own data; only YAML tasks are run."
        )
    try:
        cfg = dict(load_yaml(entry.file))
    except Exception as error:  # it runs the Python files beside the YAML
        raise _unusable(entry, error) from error
    for metric in cfg.get("metric_list") or ():
        name = metric.get("metric")
        if isinstance(name, str) and name not in METRIC_REGISTRY and not cfg.get("process_results"):
            raise UserError(
                f"The task '{entry.name}' ({entry.file}) has an unknown metric '{name}'."
                + nearest(name, METRIC_REGISTRY)
            )
    if entry.data is not None:
        cfg |= _local_data(entry.data, cfg, Path(entry.file).parent, data_dir)
    return Entry(entry.name, Kind.TASK, None, cfg=cfg)


def _local_data(data: DataId, cfg: Mapping[str, Any], beside: Path, data_dir: Path) -> dict[str, Any]:
    """Settings that replace the task's data set: prepared data, or files beside its YAML."""
    path = data[0]
    if (place := stored(data_dir, data)).is_dir():
        return {"custom_dataset": lambda **_: load_from_disk(str(place))}
    kwargs = dict(cfg.get("dataset_kwargs") or {})
    kwargs["cache_dir"] = str(data_dir / "suites" / "cache")
    if path in FILE_READERS and "data_files" in kwargs:
        kwargs["data_files"] = _beside(kwargs["data_files"], beside)
    changed: dict[str, Any] = {"dataset_kwargs": kwargs}
    if (beside / path).is_dir():
        changed["dataset_path"] = str(beside / path)
    return changed


def _beside(files: Any, folder: Path) -> Any:
    """Relative paths that exist in ``folder``, made absolute."""
    if isinstance(files, Mapping):
        return {split: _beside(part, folder) for split, part in files.items()}
    if isinstance(files, list):
        return [_beside(part, folder) for part in files]
    return str((folder / files).resolve()) if (folder / str(files)).exists() else files


def _try_items(task: Task, encoder: Encoder) -> int:
    """Build some items of a task, spread over all of it; about how many tokens the whole task is.

    Raises
    ------
    UserError
        An item without choices, without tokens to score, or that its template cannot read.
    """
    task.set_fewshot_seed(seed=FEWSHOT_SEED)
    if task.config.num_fewshot is None:
        task.set_config(key="num_fewshot", value=0)
    count = len(task.eval_docs)
    if not count:
        raise UserError(f"The task '{task.task_name}' has no items.")
    tried = min(count, CHECKED_ITEMS)
    some = [index * count // tried for index in range(tried)]
    try:
        with quiet():
            task.build_all_requests(samples=some)
    except Exception as error:  # templates and functions of YAML files may raise anything
        raise UserError(
            f"An item of the task '{task.task_name}' cannot be made: {type(error).__name__}: {error}."
        ) from error
    choices = dict.fromkeys(range(len(some)), 0)
    tokens = 0
    for instance in task.instances:
        choices[instance.doc_id] += 1
        tokens += _tokens(instance.request_type, instance.args, encoder, task.task_name)
    needed = 2 if task.OUTPUT_TYPE == "multiple_choice" else 1
    for number, found in choices.items():
        if found < needed:
            raise UserError(f"Item {some[number] + 1} of the task '{task.task_name}' has {found} choices.")
    return tokens * count // len(some)


def _tokens(kind: str, args: tuple[Any, ...], encoder: Encoder, task: str) -> int:
    if kind == "loglikelihood":
        context, continuation = encoder.pair(*args)
        if not continuation:
            raise UserError(f"An item of the task '{task}' has no tokens to score: {args[1]!r}.")
        return min(len(context) + len(continuation), encoder.max_length)
    if kind == "generate_until":
        new = int(args[1].get("max_gen_toks", 256))
        return min(len(encoder.encode(args[0])) + new, encoder.max_length) * min(new, encoder.max_length)
    return len(encoder.encode(args[0]))


def run_task_suite(lm: ServedLM, suite: TaskSuite) -> SuiteFigures:
    """Run a suite, one task, group or tag after the other, which bounds the memory."""
    figures: list[TaskFigures] = []
    groups: dict[str, tuple[float, float | None]] = {}
    notes: list[str] = []
    digest = hashlib.sha256()
    for name, entry in suite.entries.items():
        for task in entry["tasks"].values():
            task.set_fewshot_seed(seed=FEWSHOT_SEED)  # the same examples, whatever was run before
        before = (lm.seen.requests, lm.seen.cut)
        results = evaluate(lm, entry)
        for task in entry["tasks"].values():
            _add_items(digest, task)
            figures += _task_figures(name, task, results)
        groups |= _group_figures(entry, results)
        requests, cut = lm.seen.requests - before[0], lm.seen.cut - before[1]
        if cut:
            notes.append(
                f"{name}: {cut:,} of {requests:,} requests were longer than the {lm.encoder.max_length} "
                "tokens that the model reads, and lost their beginning"
            )
        for task in entry["tasks"].values():
            task._instances = None  # millions of strings otherwise stay in a worker
    return SuiteFigures(tuple(figures), groups, digest.hexdigest()[:16], tuple(notes))


def _add_items(digest: "hashlib._Hash", task: Task) -> None:
    """What the model was asked, and the documents that say what is right."""
    digest.update(task.task_name.encode())
    for instance in task.instances:
        digest.update(repr(instance.args).encode())
        if instance.idx == 0:
            digest.update(json.dumps(instance.doc, sort_keys=True, default=str).encode())


def _task_figures(entry: str, task: Task, results: Mapping[str, Any]) -> list[TaskFigures]:
    name = task.task_name
    row: Mapping[str, Any] = results["results"][name]
    higher: Mapping[str, bool] = results["higher_is_better"][name]
    found = [tuple(key.split(",", 1)) for key in row if "," in key and "_stderr," not in key]
    several = len({filtered for _, filtered in found}) > 1
    main = _main_metric([metric for metric, _ in found], higher)
    figures: list[TaskFigures] = []
    for metric, filtered in found:
        error = row.get(f"{metric}_stderr,{filtered}")
        is_main = metric == main and not any(one.main for one in figures)
        figures.append(
            TaskFigures(
                entry=entry,
                task=name,
                metric=f"{metric}@{filtered}" if several and not is_main else metric,
                value=float(row[f"{metric},{filtered}"]),
                stderr=float(error) if isinstance(error, int | float) else None,
                n=int(row["sample_len"]),
                chance=_chance(task, metric),
                version=str(results["versions"].get(name, "")),
                higher=bool(higher.get(metric, True)),
                main=is_main,
            )
        )
    return sorted(figures, key=lambda figure: not figure.main)


def _main_metric(metrics: Sequence[str], higher: Mapping[str, bool]) -> str | None:
    """``acc_norm`` where a task has it, else its first metric of which more is better, else none."""
    good = [metric for metric in metrics if higher.get(metric, True)]
    return "acc_norm" if "acc_norm" in good else next(iter(good), None)


def _chance(task: Task, metric: str) -> float | None:
    """What guessing reaches; ``None`` where it is not known or means nothing."""
    if task.OUTPUT_TYPE == "multiple_choice" and metric in (
        "acc",
        "acc_norm",
        "acc_bytes",
        "acc_mutual_info",
    ):
        return _choice_chance(task, "acc_mutual_info" in task.aggregation())
    if metric == "mcc":
        return 0.0
    right_or_wrong = metric in ("acc", "exact_match")
    return 0.0 if right_or_wrong and task.OUTPUT_TYPE in ("generate_until", "loglikelihood") else None


def _choice_chance(task: Task, twice: bool) -> float:
    """Mean over items of right choices among all; with mutual information each choice is asked twice."""
    choices: dict[int, int] = {}
    right: dict[int, int] = {}
    for instance in task.instances:
        choices[instance.doc_id] = choices.get(instance.doc_id, 0) + 1
        if instance.idx == 0:
            gold = task.doc_to_target(instance.doc)
            right[instance.doc_id] = len(gold) if isinstance(gold, list) else 1
    shares = [right[item] / (count / (2 if twice else 1)) for item, count in choices.items()]
    return sum(shares) / len(shares)


def _group_figures(
    entry: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, tuple[float, float | None]]:
    """What lm-eval itself makes of a group, by its first metric."""
    figures = {}
    for name in entry.get("groups") or {}:
        row: Mapping[str, Any] = results.get("groups", {}).get(name, {})
        metrics = [key for key in row if "," in key and "_stderr," not in key]
        if metrics:
            metric, _, filtered = metrics[0].partition(",")
            error = row.get(f"{metric}_stderr,{filtered}")
            figures[name] = float(row[metrics[0]]), float(error) if isinstance(error, int | float) else None
    return figures


def _unusable(entry: TaskEntry, error: Exception) -> UserError:
    what = str(error).strip().splitlines() or [""]
    return UserError(
        f"The task '{entry.name}' ({entry.file or 'a tag'}) cannot be used: {type(error).__name__}: {what[0]}"
    )
