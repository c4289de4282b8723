"""`BuildSystem`: from one sentence to a finished campaign."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from model_discovery.config import CampaignConfig, Settings, load_config, parse_config
from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.errors import UserError
from model_discovery.system import models, spending
from model_discovery.system.folders import folder_or_error
from model_discovery.system.progress import Display

if TYPE_CHECKING:
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.engine import LocalEngine
    from model_discovery.evolution import CampaignEvent, Ending
    from model_discovery.system.result import DiscoveryResult
    from model_discovery.verification import Recipe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class BuildSystem:
    """Discovers language-model blocks: ``BuildSystem()("discover me a new model")``.

    Everything is checked when the object is made, before anything is trained.

    Parameters
    ----------
    preset
        ``demo`` (minutes on a CPU), ``laptop``, ``gpu``, ``paper`` or ``baselines``.
    db
        The design tree: a SQLite file or a database URL.
    seed
        Seed of every random draw; the same seed gives the same lineage.
    recipe, corpus
        ``grammar``; or ``text`` with a folder or file of your own text.
    suites, blimp_dir
        What is scored: ``minimal-pairs``, ``blimp``, ``babylm``, ``core``, tasks of lm-eval by name, a folder
        of YAML tasks; ``NAME=FOLDER`` says where a suite's data lies, ``blimp_dir`` where BLiMP's does.
    selector, designs, runs
        Who chooses; how many designs; verification runs by scale.
    designer, designers
        ``genetic`` (unless told) or ``agentic``; or several with their shares, ``{"agentic": 0.7, …}``.
    model, api_base, agent_spec, flow
        For LLM designers: a model as litellm names it (alone it asks for ``agentic``), the address of an
        OpenAI-compatible server, a folder of agent specs, ``units`` or ``direct``. See docs/agents.md.
    max_dollars, max_llm_tokens
        What the whole campaign may spend on models.
    workers
        Worker processes; as many as fit unless told.
    track
        Where runs are shown besides: ``wandb`` or ``tensorboard``; ``none`` unless told.
    overrides
        Any other key as ``"path=value"``.
    progress
        Lines and bars while it runs, on a terminal and in a notebook.

    Raises
    ------
    UserError
        What is wrong, where, and what to do.
    """

    def __init__(
        self,
        preset: str = "demo",
        *,
        db: str | Path = "model_discovery.db",
        seed: int | None = None,
        recipe: str | None = None,
        corpus: str | Path | None = None,
        suites: Iterable[str] | None = None,
        blimp_dir: str | Path | None = None,
        selector: str | None = None,
        designs: int | None = None,
        runs: Mapping[str, int] | None = None,
        designer: str | None = None,
        designers: Mapping[str, float] | None = None,
        model: str | None = None,
        api_base: str | None = None,
        agent_spec: str | Path | None = None,
        flow: str | None = None,
        max_dollars: float | None = None,
        max_llm_tokens: int | None = None,
        workers: int | None = None,
        track: str | None = None,
        overrides: Iterable[str] = (),
        progress: bool = True,
    ) -> None:
        from model_discovery.verification import name_suites

        names, folders = name_suites(suites or (), blimp_dir)
        agents = models.agents_from(
            model=model, api_base=api_base, agent_spec=agent_spec, flow=flow,
            max_dollars=max_dollars, max_llm_tokens=max_llm_tokens,
        )  # fmt: skip
        config = load_config(
            preset,
            overrides,
            seed=seed,
            recipe=recipe or ("text" if corpus else None),
            corpus=None if corpus is None else str(Path(corpus).expanduser().absolute()),
            suites=None if suites is None else names,
            suite_dirs=folders or None,
            selector=selector,
            designers=models.chosen_designers(designer, designers, model),
            agents=agents or None,
            track=track,
        )
        self.track = track
        self.config = _with_budget(config, designs, runs)
        self.db = str(db)
        self.workers = workers
        self.progress = progress
        self.settings = Settings()
        self.recipe = _checked_recipe(self.config)
        if suites is None:
            self.config = _with_suites(self.config, self.recipe)
        _check(self.config, self.recipe, self.settings.data_dir)
        models.refuse_unused(self.config, agents)
        self.config = models.settle_models(self.config)

    def __call__(self, instruction: str, *, name: str | None = None) -> "DiscoveryResult":
        """Run a campaign to its end, or until Ctrl-C.

        Parameters
        ----------
        instruction
            What to look for, in one sentence. The genetic designer does not read it; LLM designers do.
        name
            Of the campaign; the preset and a counter unless told.
        """
        from model_discovery import __version__
        from model_discovery.blocks.seed_designs import seed_designs
        from model_discovery.evolution import begin_campaign, check_campaign

        seeds = seed_designs()
        check_campaign(instruction, self.config, seeds)
        if name is not None and not _NAME.fullmatch(name):
            hint = "letters, digits, '_', '.' and '-', 64 at most"
            raise UserError(f"'{name}' cannot name a campaign.", hint=hint)
        models.reach_servers(self.config)
        ckpt_dir = self._folders()[1]
        with _open(self.db, create=True) as tree:
            campaign = begin_campaign(
                tree,
                _campaign_name(
                    tree, name, self.config.preset, ckpt_dir if models.asks_models(self.config) else None
                ),
                instruction=instruction.strip(),
                config=self.config,
                seeds=seeds,
                versions={"model_discovery": __version__},
            )
            return self._run(tree, campaign, self.config, self.recipe)

    def resume(self, name: str, *, api_base: str | None = None) -> "DiscoveryResult":
        """Go on with a campaign that was stopped or killed, under the configuration it was begun with.

        Parameters
        ----------
        api_base
            Where the server of its models is from now on, if it has moved.
        """
        from model_discovery.blocks.seed_designs import seed_designs
        from model_discovery.evolution import current_config, resume_campaign

        with _open(self.db, create=False) as tree:
            config = current_config(tree, tree.campaign(name))
            if api_base is not None:
                config = models.move_server(config, api_base)
            recipe = _checked_recipe(config)
            models.check_models(config)
            models.reach_servers(config, begun=True)
            with tree.campaign_lock(name):
                campaign = resume_campaign(tree, name, seed_designs(), api_base=api_base)
            return self._run(tree, campaign, config, recipe)

    def replay(self, name: str, *, as_name: str | None = None) -> "DiscoveryResult":
        """Run a campaign again, what language models answered taken from its journals: no model, no network.

        Parameters
        ----------
        as_name
            Of the new campaign; the old name, ``-replay`` and a counter unless told.
        """
        from model_discovery import __version__
        from model_discovery.blocks.seed_designs import seed_designs
        from model_discovery.evolution import begin_campaign

        recorded = self._folders()[1] / name
        with _open(self.db, create=False) as tree:
            row = tree.campaign(name)
            config = parse_config(row.config).with_agents(replay=str(recorded))
            campaign = begin_campaign(
                tree,
                _campaign_name(tree, as_name, f"{name}-replay"),
                instruction=row.instruction,
                config=config,
                seeds=seed_designs(),
                versions={"model_discovery": __version__},
            )
            return self._run(tree, campaign, config, _checked_recipe(config))

    def plan(self) -> str:
        """What a campaign would spend, without beginning one."""
        config = self.config
        engine = self._engine(config, self.recipe)
        tokens = {scale: self.recipe.tokens_for(scale) for scale in config.scales}
        lines = [
            f"preset {config.preset}, seed {config.seed}, recipe {self.recipe.name} ({self.recipe.hash}), "
            f"selector {config.selector}",
            f"{len(config.seed_designs)} human baselines, up to {config.budget.designs} designs",
            *(
                f"{scale}: up to {count} runs of {tokens[scale]:,} tokens, {count * tokens[scale]:,} in all"
                for scale, count in config.budget.runs.items()
            ),
            f"suites: {', '.join(config.suites) or 'none'}",
            *self._plan_of_models(),
            engine.reason,
        ]
        engine.close()
        return "\n".join(lines)

    def _plan_of_models(self) -> list[str]:
        if not models.asks_models(self.config):
            return ["no key, no money"]
        agents = self.config.agents
        shares = ", ".join(f"{name} {share:g}" for name, share in self.config.designers.items() if share > 0)
        return [
            f"designers: {shares}; language models: {models.asked_in_words(self.config)}",
            f"they may spend: {models.spending_in_words(agents)}",
        ]

    def _run(
        self, tree: "DesignTree", campaign: "CampaignRow", config: CampaignConfig, recipe: "Recipe"
    ) -> "DiscoveryResult":
        from model_discovery.engine import list_cards
        from model_discovery.evolution import Controller, RequestMaker, stop_on_signals
        from model_discovery.evolution.stopping import StopFlag
        from model_discovery.system.narration import Narrator
        from model_discovery.system.result import gather
        from model_discovery.system.tracking import CampaignTracking, tracking
        from model_discovery.verification import check_fits, prepare

        for scale in config.scales:
            check_fits(recipe, scale, card=next(iter(list_cards()), None))
        data_dir, ckpt_dir = self._folders()
        engine = self._engine(config, recipe)
        track, place = self.track or config.track, self.settings.track_dir
        with (
            Display(enabled=self.progress) as display,
            tracking(track, place, display.plain) as tracker,
        ):
            spent = partial(spending.of_campaign, campaign.name)
            narrator = Narrator(display, campaign.name, self._options, spent)
            narrator.begin(campaign.instruction, config, recipe.name, engine.reason)
            for scale in config.scales:
                manifest = prepare(recipe, scale, data_dir)
                narrator.prepared(scale, manifest.train_tokens, manifest.vocab_size)
            tracked = CampaignTracking(tracker, tree, campaign) if tracker else None

            def hear(event: "CampaignEvent") -> None:
                narrator.event(event)
                if tracked is not None:
                    tracked.event(event)

            controller = Controller(
                tree,
                campaign,
                engine,
                RequestMaker(tree, campaign.instruction, recipe, data_dir),
                folder=ckpt_dir,
                on_event=hear,
                stop=StopFlag(),
            )
            ending: Ending | None = None
            try:
                with stop_on_signals(controller.stop):
                    ending = controller.run()
            finally:
                engine.close(kill=ending is None or ending.waiting > 0)
        return gather(tree, campaign, ending, options=self._options)

    def _engine(self, config: CampaignConfig, recipe: "Recipe") -> "LocalEngine":
        """As many workers as have room to train at the largest scale, and some for sessions that wait."""
        from model_discovery.engine import LocalEngine
        from model_discovery.verification import largest_need

        need = largest_need(recipe, config.scales)
        workers = self.workers or config.workers
        asks = any(config.designers.get(name) for name in LLM_DESIGNERS)
        waiting = max(1, config.in_flight // 2) if asks else 0  # the most designs the policy has on their way
        return LocalEngine(workers, worker_bytes=need.process, card_bytes=need.card, waiting=waiting)

    def _folders(self) -> tuple[Path, Path]:
        """Where data and run folders go; made now, so that a mistake is found before work begins."""
        data_dir, ckpt_dir = self.settings.data_dir, self.settings.ckpt_dir
        return folder_or_error(data_dir).resolve(), folder_or_error(ckpt_dir).resolve()

    @property
    def _options(self) -> str:
        """The words that address this tree on the command line."""
        return "" if self.db == "model_discovery.db" else f" --db {self.db}"


def _with_budget(
    config: CampaignConfig, designs: int | None, runs: Mapping[str, int] | None
) -> CampaignConfig:
    """Budgets given as arguments, scales put in the order of size."""
    from model_discovery.blocks import get_scale

    values = config.model_dump(mode="json")
    if designs is not None:
        values["budget"]["designs"] = designs
    if runs is not None:
        values["budget"]["runs"] = dict(runs)
        seeds = values["ladder"]["seeds"]
        values["ladder"]["seeds"] = {scale: count for scale, count in seeds.items() if scale in runs}
    counts = values["budget"]["runs"]
    order = sorted(counts, key=lambda scale: get_scale(scale).target)
    values["budget"]["runs"] = {scale: counts[scale] for scale in order}
    return parse_config(values)


def _with_suites(config: CampaignConfig, recipe: "Recipe") -> CampaignConfig:
    """The preset's suites where the recipe has them, else those it can be scored on."""
    from model_discovery.verification import default_suites

    if recipe.kind == "grammar" and not config.suite_dirs:
        return config
    return config.model_copy(update={"suites": default_suites(recipe, config.suite_dirs)})


def _checked_recipe(config: CampaignConfig) -> "Recipe":
    from model_discovery.verification import get_recipe

    recipe = get_recipe(config.recipe, corpus=config.corpus, tokens=config.tokens)
    for scale in config.scales:
        recipe.tokens_for(scale)
    return recipe


def _check(config: CampaignConfig, recipe: "Recipe", data_dir: Path) -> None:
    """Everything that can be refused before work begins, instruction aside."""
    from model_discovery.blocks.seed_designs import seed_designs
    from model_discovery.evolution import check_campaign
    from model_discovery.verification import check_suites

    check_suites(config.suites, recipe=recipe, folders=config.suite_dirs, data_dir=data_dir)
    check_campaign("-", config, seed_designs())


def _campaign_name(tree: "DesignTree", name: str | None, preset: str, ckpt_dir: Path | None = None) -> str:
    """The name, or the preset's with the first free number.

    ``ckpt_dir`` is looked at too where sessions with models leave what they would go on from: a campaign of
    another tree must not be taken for this one.
    """
    taken = {row.name for row in tree.campaigns()}
    if name is None:
        return next(
            found
            for number in count(1)
            if (found := f"{preset}-{number}") not in taken and not _has_sessions(ckpt_dir, found)
        )
    if name in taken:
        raise UserError(f"There is a campaign '{name}' already.", hint=f"go on with --resume {name}")
    if ckpt_dir is not None and _has_sessions(ckpt_dir, name):
        raise UserError(
            f"{ckpt_dir / name} holds sessions of a campaign '{name}' that is not in this tree.",
            hint="choose another --name, or move that folder away",
        )
    return name


def _has_sessions(ckpt_dir: Path | None, name: str) -> bool:
    return ckpt_dir is not None and any((ckpt_dir / name).glob("design-*/session.jsonl"))


def _open(db: str, *, create: bool) -> "DesignTree":
    from model_discovery.design_tree import DesignTree
    from model_discovery.system import views

    if not create and not views.exists(db):
        raise UserError(f"There is no design tree {db}.", hint="name it with --db")
    return DesignTree(db, create=create)
