"""Which items of suites stand in a recipe's training text, for people and programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_discovery.errors import UserError
from model_discovery.system.folders import folder_or_error
from model_discovery.system.progress import Display, make_console


def find_contamination(
    recipe: str,
    *,
    scale: str,
    suites: Sequence[str],
    corpus: str | None = None,
    blimp_dir: str | None = None,
    progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Items of the suites, and how many of them the training text has, by suite.

    Without ``suites``, those that the recipe brings or that have a folder named. The recipe's data is
    prepared where it is not.
    """
    from model_discovery.blocks import get_scale
    from model_discovery.config import Settings
    from model_discovery.verification import check_suites, default_suites, get_recipe, name_suites, prepare
    from model_discovery.verification.contamination import check_contamination, item_texts, task_texts
    from model_discovery.verification.evaluator import text_coder
    from model_discovery.verification.suites import SuiteSource, load_suites, load_tasks

    chosen, found = get_recipe(recipe, corpus=corpus), get_scale(scale).name
    data_dir = folder_or_error(Settings().data_dir).resolve()
    names, folders = name_suites(suites, blimp_dir)
    names = names or default_suites(chosen, folders)
    if not names:
        raise UserError(
            f"The recipe '{recipe}' has no suite of its own.", hint="name one: --suite blimp=FOLDER"
        )
    check_suites(names, recipe=chosen, folders=folders, data_dir=data_dir)
    data = prepare(chosen, found, data_dir)
    source = SuiteSource(found, data.pairs, folders, data_dir)
    encoder = text_coder(data.tokenizer, chosen.context, data.separator_id).encoder
    texts = item_texts(load_suites(names, source)) | task_texts(load_tasks(names, source, encoder))
    with Display(enabled=progress) as display:
        results = check_contamination(
            data, texts, lambda done, whole: display.job("reading", {"tokens": done, "of": whole})
        )
    return {
        suite: {**results[suite].model_dump(mode="json"), "share": results[suite].share} for suite in names
    }


def print_contamination(found: Mapping[str, Mapping[str, Any]]) -> None:
    """A line for each suite, the sets it concerns, and a few examples."""
    console = make_console()
    for suite, one in found.items():
        share = f"{one['found']:,} of {one['items']:,} items ({one['share']:.2%})"
        console.print(f"{suite}: {share} stand in the training text", markup=False)
        for name, count in sorted(one["by_set"].items(), key=lambda pair: -pair[1]):
            console.print(f"  {name}: {count:,}", markup=False)
        for example in one["examples"]:
            console.print(f"  “{example}”", markup=False, soft_wrap=True)
