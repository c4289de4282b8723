"""Names of lm-eval tasks, groups and tags, read from their YAML files; lm-eval itself is not loaded.

lm-eval's own index takes twelve seconds. This one reads the same files in two, once, and is kept beside the
prepared data.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from model_discovery.errors import UserError

_Cfg = dict[str, Any]


@dataclass(frozen=True)
class TaskEntry:
    """A task, or a group or tag of tasks.

    Attributes
    ----------
    file
        Its YAML; empty for a tag.
    parts
        What a group or tag consists of, by name; empty for a task.
    data
        ``(dataset_path, dataset_name, dataset_kwargs as JSON)``; ``None`` where the task makes its own data.
    python
        Written as a Python class, which only its author's runner can start.
    """

    name: str
    file: str
    parts: tuple[str, ...] = ()
    data: tuple[str, str, str] | None = None
    python: bool = False


Index = Mapping[str, TaskEntry]


@cache
def installed_tasks(data_dir: Path | None = None) -> Index:
    """Everything that the installed lm-eval knows by name; kept below ``data_dir`` where one is given."""
    folder = _tasks_folder()
    kept = None if data_dir is None else data_dir / "suites" / f"lm-eval-{version('lm-eval')}.json"
    if kept is not None and kept.is_file():
        try:
            rows = json.loads(kept.read_text(encoding="utf-8"))
            if rows["folder"] == str(folder):
                return {row["name"]: _entry(row) for row in rows["tasks"]}
        except (ValueError, KeyError, TypeError):  # cut off or of another form: made again
            pass
    index = _scanned(folder)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".new")
        rows = {"folder": str(folder), "tasks": [asdict(entry) for entry in index.values()]}
        aside.write_text(json.dumps(rows), encoding="utf-8")
        aside.replace(kept)
    return index


@cache
def _scanned(folder: Path) -> Index:
    return index_folder(folder)


def index_folder(folder: Path, *, strict: bool = False) -> dict[str, TaskEntry]:
    """All tasks, groups and tags of a folder's YAML files, or of one file.

    With ``strict``, what cannot be read is a `UserError`; otherwise it is skipped, as lm-eval does it.
    """
    index: dict[str, TaskEntry] = {}
    tags: dict[str, list[str]] = {}
    seen: dict[Path, _Cfg] = {}
    for file in _yaml_files(folder):
        try:
            cfg = _merged(file, seen)
        except UserError:
            if strict:
                raise
            continue
        entry = _entry_of(cfg, file)
        if entry is None or entry.name in index:
            continue
        index[entry.name] = entry
        if not entry.parts:
            for tag in _names(cfg.get("tag")):
                tags.setdefault(tag, []).append(entry.name)
    for tag, members in tags.items():
        index.setdefault(tag, TaskEntry(tag, "", parts=tuple(sorted(members))))
    return index


def leaves(name: str, index: Index) -> Iterator[TaskEntry]:
    """The tasks that a name stands for, each once, groups and tags resolved."""
    seen: dict[str, None] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop(0)
        if current in seen or current not in index:
            continue
        seen[current] = None
        if index[current].parts:
            waiting = [*index[current].parts, *waiting]
        else:
            yield index[current]


def _tasks_folder() -> Path:
    spec = find_spec("lm_eval")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "tasks"


def _yaml_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    return sorted(folder.rglob("*.yaml"), key=lambda file: file.as_posix())


def _merged(file: Path, seen: dict[Path, _Cfg]) -> _Cfg:
    """A YAML file with what it includes below it; functions and classes stay names."""
    file = Path(os.path.normpath(file))  # not resolved: that asks the disk for every part of the path
    if file in seen:
        return seen[file]
    seen[file] = {}  # a circle of includes ends here
    try:
        cfg = yaml.load(file.read_text(encoding="utf-8"), Loader=_loader())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {file}: {error}.") from error
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise UserError(f"{file}, line {line}: {getattr(error, 'problem', error)}.") from error
    if not isinstance(cfg, dict):
        raise UserError(f"{file} is not a task: it has no keys.")
    merged: _Cfg = {}
    for name in _names(cfg.pop("include", None)):
        merged |= _merged(file.parent / name, seen)
    seen[file] = merged | cfg
    return seen[file]


@cache
def _loader() -> type[yaml.SafeLoader]:
    """A loader that reads ``!function utils.f`` as its text; five times as fast where libyaml is there."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    def text(loader: Any, _: str, node: Any) -> Any:
        return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None

    Loader.add_multi_constructor("!", text)
    return Loader


def _entry_of(cfg: _Cfg, file: Path) -> TaskEntry | None:
    if isinstance(name := cfg.get("group"), str):
        return TaskEntry(name, str(file), parts=tuple(_members(cfg.get("task"))))
    if not isinstance(name := cfg.get("task"), str):
        return None
    data = None
    if isinstance(cfg.get("dataset_path"), str) and not cfg.get("custom_dataset"):
        kwargs = {k: v for k, v in (cfg.get("dataset_kwargs") or {}).items() if k != "trust_remote_code"}
        data = cfg["dataset_path"], str(cfg.get("dataset_name") or ""), json.dumps(kwargs) if kwargs else ""
    return TaskEntry(name, str(file), data=data, python="class" in cfg)


def _members(listed: Any) -> Iterator[str]:
    """Names in a group's ``task`` list; a group written out inside gives its own."""
    for member in listed if isinstance(listed, list) else _names(listed):
        if isinstance(member, str):
            yield member
        elif isinstance(member, dict) and isinstance(member.get("task"), list):
            yield from _members(member["task"])
        elif isinstance(member, dict):
            yield str(member.get("task") or member.get("group"))


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _entry(row: Mapping[str, Any]) -> TaskEntry:
    data = row["data"]
    return TaskEntry(
        row["name"], row["file"], tuple(row["parts"]), None if data is None else tuple(data), row["python"]
    )
