"""An exported folder in the tools that people use: generate, pipeline, Trainer, lm-eval, torch.compile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_models import CONTEXT, VOCABULARY, make_checkpoint, make_model, trees, write_folders

from model_discovery.export import Story, export_folder, read_checkpoint

pytest.importorskip("transformers")
STEPPING, WHOLE = "min_gru", "hyena"
GREEDY: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "max_new_tokens": 10}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, own_hf_modules: Any) -> Iterator[Path]:
    """Folders of three designs; transformers keeps its copies of their code beside them."""
    folder = tmp_path_factory.mktemp("tools")
    with own_hf_modules(folder):
        write_folders(folder, [STEPPING, WHOLE, "moe_transformer"])
        yield folder


def load(folder: Path, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, **options)


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


def ids(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(2, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


# -- generating


@pytest.mark.parametrize("name", [STEPPING, WHOLE])
def test_beam_search_with_states_is_beam_search_without(name: str, root: Path) -> None:
    model = load(root / name / "hf")
    with_states, without = (
        model.generate(ids(2, 7), num_beams=4, num_return_sequences=2, use_cache=use, **GREEDY)
        for use in (True, False)
    )
    assert torch.equal(with_states, without)
    assert len({tuple(row) for row in with_states.tolist()}) == 4


@pytest.mark.parametrize("name", [STEPPING, WHOLE])
def test_sampling_draws_the_same_from_the_same_seed(name: str, root: Path) -> None:
    model = load(root / name / "hf")
    drawn = []
    for seed, use in ((0, True), (0, False), (1, True)):
        torch.manual_seed(seed)
        drawn.append(model.generate(ids(1, 7), **GREEDY | {"do_sample": True}, use_cache=use))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_states_do_not_grow_and_a_continuation_goes_on(root: Path) -> None:
    model = load(root / STEPPING / "hf")
    prompt = ids(2, 40)
    whole = model(prompt, use_cache=True)
    first = model(prompt[:, :5], use_cache=True)
    sizes = [[part.shape for state in out.past_key_values.states for part in state] for out in (first, whole)]
    assert sizes[0] == sizes[1]
    second = model(prompt[:, 5:], past_key_values=first.past_key_values)
    assert second.past_key_values.get_seq_length() == 40
    assert torch.allclose(second.logits, whole.logits[:, 5:], atol=1e-5)
    assert torch.allclose(whole.logits, model(prompt).logits, atol=1e-5)
    begun = model.generate(prompt, return_dict_in_generate=True, **GREEDY)
    told = {"past_key_values": begun.past_key_values, "attention_mask": torch.ones_like(begun.sequences)}
    more = model.generate(begun.sequences, **told, **GREEDY)
    assert torch.equal(more, model.generate(prompt, **GREEDY | {"max_new_tokens": 20}))


def test_pipeline(root: Path) -> None:
    from transformers import pipeline

    folder = root / STEPPING / "hf"
    generator = pipeline("text-generation", model=str(folder), trust_remote_code=True)
    answer = generator(["w3 w4", "w7 w9 w1 w2"], batch_size=2, **GREEDY)
    alone = generator("w3 w4", **GREEDY)
    assert answer[0] == alone
    assert alone[0]["generated_text"].startswith("w3 w4 w")


def test_tokenizer(root: Path) -> None:
    tokenizer = load_tokenizer(root / STEPPING / "hf")
    assert tokenizer("w0 w5 nothing").input_ids == [2, 7, 1]
    assert tokenizer.decode([0, 2, 7], skip_special_tokens=True).strip() == "w0 w5"
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 0, 0)
    assert tokenizer(["w0", "w1 w2"], padding=True).attention_mask == [[0, 1], [1, 1]]
    assert tokenizer.model_max_length == CONTEXT


# -- training


def test_labels_that_do_not_count(root: Path) -> None:
    model, rows = load(root / STEPPING / "hf"), ids(2, 12)
    labels = rows.clone()
    labels[0, 6:] = -100
    short = model(rows[:1, :6], labels=rows[:1, :6]).loss
    full = model(rows[1:], labels=rows[1:]).loss
    expected = (5 * short + 11 * full) / 16
    assert torch.allclose(model(rows, labels=labels).loss, expected, atol=1e-6)
    mask = torch.ones_like(rows)
    mask[0, 6:] = 0
    assert torch.allclose(model(rows, attention_mask=mask, labels=rows).loss, expected, atol=1e-6)
    # Padding on the left: the first real token has no one before it.
    moved = torch.cat([torch.zeros(1, 6, dtype=torch.long), rows[:1, :6]], dim=1)
    left = model(
        torch.cat([moved, rows[1:]]), attention_mask=mask.flip(1), labels=torch.cat([moved, rows[1:]])
    )
    assert torch.allclose(left.loss, expected, atol=1e-6)


@pytest.mark.parametrize("name", [STEPPING, "moe_transformer"])
def test_trainer_learns_and_saves(name: str, root: Path, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    model = load(root / name / "hf")
    rows = [{"input_ids": row, "labels": row, "attention_mask": torch.ones_like(row)} for row in ids(4, 24)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=6,
        learning_rate=3e-3,
        lr_scheduler_type="constant",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        activation_checkpointing=True,
        logging_steps=1,
        save_strategy="no",
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=rows, processing_class=load_tokenizer(root / name / "hf")
    )
    with torch.no_grad():
        batch = torch.stack([row["input_ids"] for row in rows])
        before = float(model(batch, labels=batch).loss)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    # The Trainer divides by all labels, the first of each row included, which nothing predicts.
    assert losses[0] == pytest.approx(before * 23 / 24, rel=1e-3)
    assert losses[-1] < losses[0] - 0.1
    trainer.save_model(str(tmp_path / "saved"))
    again = load(tmp_path / "saved")
    assert torch.equal(again(batch).logits, model.eval()(batch).logits)
    assert load_tokenizer(tmp_path / "saved")("w0").input_ids == [2]


def test_gradient_checkpointing_gives_the_same_gradients(root: Path) -> None:
    model, rows = load(root / "moe_transformer" / "hf").train(), ids(2, 20)
    gradients = []
    for wanted in (False, True):
        if wanted:
            model.activation_checkpointing_enable()
        model.zero_grad()
        model(rows, labels=rows).loss.backward()
        gradients.append([part.grad.clone() for part in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


# -- the rest


def test_lm_eval(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--model hf`` gives the sums of log-likelihoods that the model itself gives."""
    from datasets import Dataset
    from lm_eval import evaluator
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    folder = root / STEPPING / "hf"
    model = HFLM(pretrained=str(folder), trust_remote_code=True, batch_size=3, device="cpu")
    pairs = [("w3 w4 w5", "w5 w4 w3 w9"), ("w1 w1", "w1 w2 w3"), ("w8 w7 w6", "w7 w8")]
    task = ConfigurableTask(
        config={
            "task": "local",
            "dataset_path": "memory",
            "custom_dataset": lambda **_: {
                "train": Dataset.from_list([{"good": good, "bad": bad} for good, bad in pairs])
            },
            "test_split": "train",
            "output_type": "multiple_choice",
            "doc_to_text": "",
            "doc_to_target": 0,
            "doc_to_choice": lambda doc: [doc["good"], doc["bad"]],
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    )
    results = evaluator.evaluate(lm=model, task_dict={"local": task}, limit=None, bootstrap_iters=0)
    tokenizer, own = load_tokenizer(folder), load(folder)

    @torch.no_grad()
    def score(text: str) -> float:
        row = torch.tensor([[0, *tokenizer(text).input_ids]])
        odds = own(row).logits.log_softmax(-1)
        return float(odds[0, :-1].gather(1, row[0, 1:, None]).sum())

    expected = sum(score(good) > score(bad) for good, bad in pairs) / len(pairs)
    assert results["results"]["local"]["acc,none"] == pytest.approx(expected)
    found = [float(part[0][0]) for sample in results["samples"]["local"] for part in sample["resps"]]
    assert found == pytest.approx([score(text) for pair in pairs for text in pair], abs=1e-4)


def test_two_designs_in_folders_of_one_name(root: Path, tmp_path: Path) -> None:
    """Each keeps its own code, also after both were saved again."""
    kinds = []
    for name in (STEPPING, WHOLE):
        folder = tmp_path / name / "model"
        checkpoint = make_checkpoint(tmp_path / name / "checkpoint", make_model(trees()[name]))
        export_folder(folder, name=name, checkpoint=read_checkpoint(checkpoint), context=8, story=Story())
        model = load(folder)
        model.save_pretrained(tmp_path / name / "again" / "model")
        again = load(tmp_path / name / "again" / "model")
        assert torch.equal(model(ids(1, 9)).logits, again(ids(1, 9)).logits)
        kinds.append({type(unit).__name__ for unit in again.modules()})
    assert "MinGRU" in kinds[0] and "MinGRU" not in kinds[1]


def test_compiles_whole(root: Path) -> None:
    model, rows = load(root / STEPPING / "hf"), ids(2, 20)
    mask = torch.ones_like(rows)
    mask[1, :3] = 0
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert torch.allclose(
            compiled(rows, attention_mask=mask).logits, model(rows, attention_mask=mask).logits
        )


def test_other_ways_to_ask(root: Path) -> None:
    model, rows = load(root / STEPPING / "hf"), ids(2, 9)
    whole = model(rows, output_hidden_states=True)
    assert len(whole.hidden_states) == 1 + model.config.num_hidden_layers
    assert torch.equal(model(rows, logits_to_keep=2).logits, whole.logits[:, -2:])
    assert torch.equal(model(inputs_embeds=model.get_input_embeddings()(rows)).logits, whole.logits)
    assert torch.equal(model(rows, return_dict=False)[0], whole.logits)
    assert model.num_parameters() == sum(part.numel() for part in model.parameters())
    model.resize_token_embeddings(VOCABULARY + 3)
    assert model(rows).logits.shape == (2, 9, VOCABULARY + 3)


def test_random_weights_from_the_configuration(root: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(root / STEPPING / "hf", trust_remote_code=True)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    assert 0.015 < float(model.embedding.weight.detach().std()) < 0.025
    assert model(ids(1, 5), labels=ids(1, 5)).loss < 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"position_ids": torch.zeros(1, 4)}, "leave position_ids out"),
        ({"attention_mask": torch.ones(1, 1, 4, 4)}, r"\(batch, length\)"),
        ({"past_key_values": ("old",)}, "leave it out"),
    ],
)
def test_what_it_cannot_do_is_said(arguments: dict[str, Any], words: str, root: Path) -> None:
    with pytest.raises(ValueError, match=words):
        load(root / STEPPING / "hf")(ids(1, 4), **arguments)
