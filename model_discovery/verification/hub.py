"""Opening data sets with ``datasets``, streaming, and saying clearly why one cannot be opened.

Local folders in the hub's layouts (parquet shards, JSONL, compressed or not, text, a ``README.md`` with
``configs:``) go the same way as data sets of the hub.
"""

import contextlib
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_discovery.errors import UserError, nearest, unknown
from model_discovery.verification.sources import Source

if TYPE_CHECKING:
    from datasets import IterableDataset

TIMEOUT = 10.0  # seconds until the hub counts as out of reach
STRANDS = 8  # a fixed number: the order of documents must not depend on the machine
LINES_JOIN = 1_024
MEANWHILE = "works here: the recipe 'grammar', or your own text: --corpus FOLDER"


@dataclass(frozen=True)
class Opened:
    """A source whose rows can be read: ``parts`` are read in turn, so that no file comes first as a whole."""

    source: Source
    revision: str | None
    join: int
    parts: tuple["IterableDataset", ...]


def open_source(source: Source, *, need: str = "", revision: str | None = None) -> Opened:
    """Open one source for reading.

    Parameters
    ----------
    source
        The data set.
    need
        What is needed it for and how big it is, for the message without a network.
    revision
        Commit to read, where a preparation that was interrupted goes on.

    Raises
    ------
    UserError
        No network, unknown or gated data set, unknown config, split or column, no rows, text that is no
        string.
    """
    import datasets

    _hush()
    if not source.checksum and revision is None:
        revision = hub_revision(source, need)
    with reading(source):
        builder = _builder(source, revision)
        splits = [str(name) for name in builder.config.data_files or builder.info.splits or ()]
        if source.split not in splits:
            raise unknown(f"split of {source.name}", source.split, splits)
        rows: datasets.IterableDataset = builder.as_streaming_dataset(split=source.split)
        _check_column(source, rows)
        rows = rows.select_columns([source.text_field]).with_format("arrow")
        count = min(STRANDS, max(1, rows.num_shards))
        parts = tuple(rows.shard(count, index) for index in range(count)) if count > 1 else (rows,)
    join = source.join if source.join is not None else LINES_JOIN * (builder.name.startswith("text"))
    return Opened(source, revision, join, parts)


@contextlib.contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn what ``datasets`` raises while a source is read into errors that name it."""
    import httpx2
    from datasets.exceptions import DatasetsError

    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            f"The data set {source.name} has text that is not UTF-8 (byte {error.start} of a file or row).",
            hint="convert its files to UTF-8",
        ) from error
    except StopIteration as error:  # how `datasets` meets a JSONL file of no rows
        raise _empty(source) from error
    except ImportError as error:
        raise UserError(f"The data set {source.name} cannot be read: {_first_line(error)}") from error
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        RuntimeError,
        DatasetsError,
        httpx2.HTTPError,
        zlib.error,
    ) as error:
        if isinstance(error, OSError | httpx2.HTTPError) and not source.checksum:
            raise UserError(
                f"Reading {source.name} from the hub failed: {_first_line(error)}",
                hint="run it again: what is done already is kept",
            ) from error
        cause = error.__cause__ or error
        if "BatchSize must be greater than 0" in str(cause):  # how `datasets` meets a parquet file of no rows
            raise _empty(source) from error
        raise UserError(
            f"The data set {source.name} cannot be read: {_first_line(cause)}",
            hint="damaged files, or a layout that `datasets` does not know",
        ) from error


def _builder(source: Source, revision: str | None) -> Any:
    import datasets

    try:
        where, files = _place(source)
        return datasets.load_dataset_builder(
            where, source.config, revision=revision, data_files=files, token=None
        )
    except datasets.exceptions.DatasetNotFoundError as error:
        if "gated" in str(error):
            raise _gated(source) from error
        raise UserError(f"There is no data set {source.dataset}: {_first_line(error)}") from error
    except (FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        raise UserError(
            f"The data set {source.name} has no files that `datasets` can read.",
            hint="known: parquet, JSONL, CSV and text files; any other text: --corpus FOLDER",
        ) from error
    except ValueError as error:
        configs = datasets.get_dataset_config_names(source.dataset, revision=revision)
        if source.config is None and len(configs) > 1:
            raise UserError(
                f"{source.name} has several configs.", hint=f"name one: {', '.join(sorted(configs))}"
            ) from error
        if source.config is not None and source.config not in configs:
            raise unknown(f"config of {source.dataset}", source.config, configs) from error
        raise


def _place(source: Source) -> tuple[str, dict[str, list[str]] | None]:
    """A single file is its folder with one file chosen."""
    path = Path(source.dataset)
    if source.checksum and path.is_file():
        return str(path.parent), {source.split: [path.name]}
    return source.dataset, None


def _check_column(source: Source, rows: "IterableDataset") -> None:
    """Look at the first row, as not all layouts tell their columns."""
    first = next(iter(rows), None)
    if first is None:
        raise _empty(source)
    if source.text_field not in first:
        columns = [str(column) for column in first]
        raise UserError(
            f"{source.name} has no column '{source.text_field}'.{nearest(source.text_field, columns)}",
            hint=f"its columns: {', '.join(columns)}; choose with --text-field, or text_field in the recipe",
        )
    check_text(source, first[source.text_field])


def check_text(source: Source, value: object) -> str:
    """The text of a row; a missing one counts as empty. Anything but a string is refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise UserError(
        f"The column '{source.text_field}' of {source.name} holds {type(value).__name__}, not text: "
        f"{str(value)[:60]!r}.",
        hint="choose a column of strings with --text-field, or text_field in the recipe",
    )


def hub_revision(source: Source, need: str = "") -> str:
    """The commit of a data set of the hub, by one request without retries: it fails within seconds."""
    import httpx2  # what huggingface_hub itself speaks through; its errors pass unchanged
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    api = HfApi()
    try:
        info = api.dataset_info(source.dataset, revision=source.revision, timeout=TIMEOUT)
        if info.gated:
            api.auth_check(source.dataset, repo_type="dataset")
    except GatedRepoError as error:
        raise _gated(source) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{source.dataset} has no revision '{source.revision}'.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"There is no data set {source.dataset} on the hub, or it is private.",
            hint="check the name; a private one needs HF_TOKEN in the environment",
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"The hub refused {source.dataset}: {_first_line(error)}") from error
    except (httpx2.HTTPError, OSError) as error:
        why = "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else _first_line(error)
        wanted = need or f"the data set {source.dataset}"
        raise UserError(
            f"No network: {wanted} comes from huggingface.co, which is out of reach ({why}); "
            f"there is no folder {source.dataset} here either.",
            hint=f"prepare it where there is network and copy the folder; {MEANWHILE}",
        ) from error
    return str(info.sha)


def _gated(source: Source) -> UserError:
    return UserError(
        f"{source.dataset} is gated: its owner has to let you in.",
        hint=f"ask at https://huggingface.co/datasets/{source.dataset}, then set HF_TOKEN in the environment",
    )


def _empty(source: Source) -> UserError:
    return UserError(
        f"The data set {source.name} is empty, or has a file without rows.",
        hint="choose another split, or another data set",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _hush() -> None:
    import datasets

    datasets.disable_progress_bars()
    for name in ("datasets", "huggingface_hub", "fsspec"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised, too
