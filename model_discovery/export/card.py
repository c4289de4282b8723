"""The model card: what the architecture is, whence it comes, what is known of it, how to do it again."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.export.checkpoint import Checkpoint
from model_discovery.export.citations import citations, papers, units
from model_discovery.export.story import Story

if TYPE_CHECKING:
    from model_discovery.evolution import Estimate, LeaderboardRow
    from model_discovery.verification import Recipe, VerificationReport
    from model_discovery.verification.report import Measure, Score

_ABSENT = "-"


def write_card(name: str, checkpoint: Checkpoint, *, context: int, story: Story) -> str:
    """The card as Markdown, with the hub's front matter."""
    tree = checkpoint.tree
    sections = [
        _front_matter(tree, story),
        f"# {name}\n\n{_opening(name, checkpoint, story)}",
        f"## Use\n\n{_use()}",
        f"## Architecture\n\n{_architecture(tree)}",
        f"## Equations\n\n{_equations(tree)}",
        f"## Ancestry\n\n{_ancestry(name, story)}",
        f"## Evidence\n\n{_evidence(story)}",
        f"## Training recipe\n\n{_recipe(checkpoint, context, story)}",
        f"## How to reproduce\n\n{_reproduce(story)}",
        f"## How to cite\n\n{citations(tree)}",
        f"## Limits and licence\n\n{_limits(context, story)}",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(tree: UnitTree, story: Story) -> str:
    tags = [
        "model-discovery",
        "discovered-architecture",
        "custom_code",
        *(f"arxiv:{p}" for p in papers(tree)),
    ]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "license: other" if story.own_text else "license: apache-2.0",
        *(["license_name: that-of-the-training-text"] if story.own_text else []),
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
    ]
    return "\n".join(lines)


def _opening(name: str, checkpoint: Checkpoint, story: Story) -> str:
    size = story.report.size if story.report else None
    parameters = f"{size.total:,} parameters ({size.non_embedding:,} without the embedding), " if size else ""
    sizes = f"{checkpoint.n_blocks} blocks of width {checkpoint.width}, vocabulary {checkpoint.vocab_size:,}"
    lines = [f"A language model of {parameters}{sizes}. Its block was written down by `model_discovery`."]
    if story.description is not None and story.description.summary:
        lines.append(story.description.summary)
    if story.report is None:
        lines.append("**The weights are random: this model has not been trained.**")
    return "\n\n".join(lines)


def _use() -> str:
    return textwrap.dedent("""\
        Needs `torch` and `transformers`; `block.py` alone needs only `torch`.

        ```python
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = "."  # this folder, or the repository's name on the hub
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        ids = tokenizer(tokenizer.bos_token, return_tensors="pt")
        print(tokenizer.decode(model.generate(**ids, max_new_tokens=40)[0]))
        ```

        `trust_remote_code=True` runs `modeling_discovered.py` and `block.py`: read them first. In training
        every text began with the token that `tokenizer.bos_token` names; it also ends a text.""")


def _architecture(tree: UnitTree) -> str:
    """The map and the hyper-parameters."""
    rows = [
        f"| `{path or '(block)'}` | {unit.name} | {key} | `{value!r}` |"
        for path, node, unit in tree.walk()
        for key, value in unit.resolve(node.config).items()
    ]
    table = ["| slot | unit | hyper-parameter | value |", "|---|---|---|---|", *rows] if rows else []
    model = (
        "Embedding, then the block at every layer with its own weights, RMSNorm, head tied to the embedding."
    )
    return "\n".join([model, "", "```text", tree.ascii(), "```", *(["", *table] if table else [])])


def _equations(tree: UnitTree) -> str:
    parts = []
    for unit in units(tree):
        text = unit.docstring.strip() or "No words."
        parts.append(f"### {unit.name} ({unit.role.replace('_', ' ')})\n\n```text\n{_fenced(text)}\n```")
    return "\n\n".join(parts)


def _ancestry(name: str, story: Story) -> str:
    if story.human:
        return f"A human design. {story.human}"
    if story.description is None:
        return f"`{name}` was not made in a campaign that is known here."
    return f"```text\n{_fenced(str(story.description))}\n```"


def _evidence(story: Story) -> str:
    if not story.runs:
        return "None: the weights are random."
    parts = [_runs_table(story.runs, story.report)]
    if story.board:
        parts += ["Over all seeds, and against the best human design at the same scale:", _board(story.board)]
    if story.verdict:
        parts.append(story.verdict)
    parts.append(
        "± is one standard error: of evaluation windows or test items in the first table, of these and of "
        "the luck of seeds in the second; gain is in standard errors of the difference."
        if story.board
        else "± is one standard error, of evaluation windows or of test items."
    )
    if story.report is not None:
        parts.append(_provenance(story.report))
    return "\n\n".join(parts)


def _runs_table(runs: "Sequence[VerificationReport]", chosen: "VerificationReport | None") -> str:
    suites = sorted({suite for run in runs for suite in run.scores if "/" not in suite})
    head = ["scale", "seed", "tokens", "nats/token", "bits/byte", *suites, "weights"]
    rows = [
        [
            run.scale,
            str(run.evidence.seed),
            f"{run.evidence.tokens:,}",
            _measure(run.held_out),
            _measure(run.bits_per_byte),
            *(_measure(run.scores.get(suite)) for suite in suites),
            "these" if run == chosen else "",
        ]
        for run in runs
    ]
    return _table(head, rows)


def _board(board: "Iterable[LeaderboardRow]") -> str:
    rows = list(board)
    suites = sorted({suite for row in rows for suite in row.scores})
    head = ["design", "scale", "seeds", "parameters", "nats/token", "bits/byte", *suites, "gain"]
    return _table(
        head,
        [
            [
                row.design if row.origin != "seed" else f"{row.design} (human)",
                row.scale,
                str(row.seeds),
                _ABSENT if row.parameters is None else f"{row.parameters:,}",
                _measure(row.loss),
                _measure(row.bits_per_byte),
                *(_measure(row.scores.get(suite)) for suite in suites),
                _ABSENT if row.gain is None else f"{row.gain:+.1f}",
            ]
            for row in rows
        ],
    )


def _provenance(report: "VerificationReport") -> str:
    """What the numbers stand on."""
    evidence = report.evidence
    versions = ", ".join(f"{package} {version}" for package, version in sorted(evidence.versions.items()))
    lines = [
        f"- structure `{evidence.structure_hash}`, code `{evidence.code_hash[:16]}`",
        f"- weights `{evidence.weights_hash[:16]}`, scored after they were loaded from disk in a new process",
        f"- data `{evidence.data_checksum[:16]}`, recipe `{evidence.recipe_hash}`, seed {evidence.seed}",
        f"- {evidence.device}, {evidence.precision}; {versions}",
        *(f"- note: {note}" for note in evidence.notes),
    ]
    return "\n".join(lines)


def _recipe(checkpoint: Checkpoint, context: int, story: Story) -> str:
    report, recipe = story.report, story.recipe
    if report is None:
        return "None: the weights are random."
    if recipe is None:
        tokens = f"{report.evidence.tokens:,} tokens in windows of {context}"
        return f"Recipe `{report.evidence.recipe_hash}`, {tokens}."
    scale = report.scale
    rows = [
        ["data", _data(recipe)],
        ["tokenizer", f"{recipe.tokenizer}, {checkpoint.vocab_size:,} entries"],
        ["tokens", f"{report.evidence.tokens:,} in windows of {context}"],
        ["steps", f"{recipe.steps_for(scale):,} of {recipe.batch_size_for(scale) * context:,} tokens"],
        [
            "optimiser",
            f"AdamW, betas {recipe.betas}, weight decay {recipe.weight_decay}, clipping {recipe.clip}",
        ],
        ["learning rate", _rate(recipe, scale)],
        ["precision", report.evidence.precision],
        ["recipe hash", f"`{recipe.hash}`"],
    ]
    return _table(["", ""], rows)


def _data(recipe: "Recipe") -> str:
    if recipe.hub is not None:
        return ", ".join(
            f"{source.name} (weight {source.weight:g}{', local' * bool(source.checksum)})"
            for source in recipe.hub.sources
        )
    if recipe.corpus is not None:
        size, checksum = recipe.corpus.bytes, recipe.corpus.checksum[:16]
        return f"a text of the one who trained it ({size:,} bytes, checksum `{checksum}`)"
    return "text made on the spot by a grammar"


def _rate(recipe: "Recipe", scale: str) -> str:
    peak = recipe.learning_rate_for(scale)
    return f"{peak:g} after {recipe.warmup:.0%} of the steps, then a cosine down to {recipe.final_rate:.0%}"


def _reproduce(story: Story) -> str:
    lines = [
        "`design.json` is the block as a tree of units with their sources. Where `model_discovery` is "
        "installed:"
    ]
    scale = story.report.scale if story.report else "0.1M"
    text = "" if story.recipe is None else _data_option(story.recipe)
    seeds = 1 + max((run.evidence.seed for run in story.runs), default=0)
    commands = [
        "model-discovery check design.json",
        f"model-discovery verify design.json --scale {scale} --seeds {seeds}{text}",
    ]
    lines.append("```bash\n" + "\n".join(commands) + "\n```")
    if story.report is not None:
        lines.append(
            f"The same recipe (`{story.report.evidence.recipe_hash}`) and seed give the same tokens in the "
            "same order."
        )
    if story.origin is not None:
        origin = story.origin
        lines.append(
            f"The campaign that found it, `{origin.campaign}`, ends with lineage `{origin.lineage_hash}`:\n\n"
            f"```bash\n{origin.command}\n```"
        )
    return "\n\n".join(lines)


def _data_option(recipe: "Recipe") -> str:
    if recipe.kind == "grammar":
        return ""
    local = recipe.hub is None or len(recipe.hub.remote) < len(recipe.hub.sources)
    return (
        " --corpus YOUR_TEXT" if recipe.hub is None else f" --recipe {'YOUR_DATA' if local else recipe.name}"
    )


def _limits(context: int, story: Story) -> str:
    lines = [
        f"- Trained on windows of {context} tokens; longer texts are read, and nobody has measured how well."
        if story.report is not None
        else "- Not trained.",
        "- A small model for research on architectures. It knows nothing but its training text, and was "
        "never made safe or helpful.",
        "- Padding on either side changes no answer to a row; it counts in the auxiliary losses of a design "
        "that has them.",
        "- The code is under Apache-2.0. The weights were trained on text that has a licence of its "
        "own, which decides."
        if story.own_text
        else "- Code and weights are under Apache-2.0.",
    ]
    return "\n".join(lines)


def _measure(measure: "Measure | Score | Estimate | None") -> str:
    if measure is None:
        return _ABSENT
    error = "" if measure.stderr is None else f" ± {measure.stderr:.4f}"
    return f"{measure.value:.4f}{error}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _fenced(text: str) -> str:
    """A text that cannot end the fence around it."""
    return text.replace("```", "'''")
