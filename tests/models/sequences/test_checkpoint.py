"""Sequence-to-sequence checkpoints: encoder, decoder and output layer are used, and it writes as transformers does."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from checkpoints import tiny_seq2seq
from manyways.errors import ModelError
from manyways.models.sequences.checkpoint import CheckpointDecoder, load_decoder

NUMBERS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five"}
KINDS = ("marian", "t5", "bart")


def pairs(count: int) -> mw.Data:
    rng = np.random.default_rng(0)
    rows = [rng.choice(list(NUMBERS), size=rng.integers(3, 6)).tolist() for _ in range(count)]
    return mw.read(
        {"de": [" ".join(row) for row in rows], "en": [" ".join(NUMBERS[word] for word in row) for row in rows]},
        label="en",
    )


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [*NUMBERS, *NUMBERS.values()]
    return tiny_seq2seq(tmp_path_factory.mktemp(request.param) / "model", words, request.param, spread=0.9)


@pytest.fixture(scope="module")
def untrained(checkpoint: Path) -> Any:
    """A model of the checkpoint's weights as they are: a learning rate next to nothing."""
    method = mw.FineTune(backbone=str(checkpoint), learning_rate=1e-9, weight_decay=0.0, average=0.0, batch_size=4)
    return method.fit(pairs(24), budget="1 step", seed=0)


def generated(checkpoint: Path, texts: list[str], longest: int, **options: Any) -> list[list[int]]:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    written = []
    for text in texts:
        ids = torch.tensor([tokenizer(text).input_ids])
        never = [[0]] if model.config.decoder_start_token_id == 0 else None
        (row,) = model.generate(ids, max_new_tokens=longest, do_sample=False, bad_words_ids=never, **options).tolist()
        row = row[1:]
        written.append(row[: row.index(1)] if 1 in row else row)
    return written


def test_it_writes_as_transformers_does(checkpoint: Path, untrained: Any) -> None:
    data = pairs(6)
    texts, target = data.take("de").tolist(), untrained.target
    ours = [each.code.tolist() for each in untrained.predictions(data)]
    assert ours == generated(checkpoint, texts, target.longest, num_beams=1)
    if untrained.target.first:
        assert {row[0] for row in ours} == set(target.first)
    wide = [each.code.tolist() for each in untrained.searching(3).predictions(data)]
    alone = [untrained.searching(3).predictions(data.select(np.array([row])))[0].code.tolist() for row in range(6)]
    assert wide == alone


@torch.no_grad()
def test_steps_with_a_cache_give_the_logits_of_all_positions_at_once(untrained: Any) -> None:
    data = pairs(3)
    writing = untrained.network(untrained.inputs.encode(data).batch(np.arange(3)))
    decoder, memory, mask = writing.writer.decoder, writing.memory, writing.mask
    ids = torch.randint(2, decoder.vocabulary, (6, 5), generator=torch.Generator().manual_seed(0))
    state = decoder.begin(memory, mask, 2)
    steps = [decoder.step(ids[:, place].view(3, 2), state).flatten(0, 1) for place in range(3)]
    state.keep_rows(torch.tensor([2, 0]))
    state.keep_sequences(torch.tensor([1, 0, 2, 3]))
    order = [5, 4, 0, 1]
    later = [decoder.step(ids[order, place].view(2, 2), state).flatten(0, 1) for place in range(3, 5)]
    whole = decoder.logits_after(ids, memory.repeat_interleave(2, 0), mask.repeat_interleave(2, 0))
    torch.testing.assert_close(torch.stack(steps, 1), whole[:, :3], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.stack(later, 1), whole[order, 3:], rtol=1e-4, atol=1e-4)


def test_its_loss_is_that_of_transformers(checkpoint: Path, untrained: Any) -> None:
    import transformers

    data = pairs(3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    read, written = (tokenizer(data.take(name).tolist(), padding=True, return_tensors="pt") for name in ("de", "en"))
    labels = written.input_ids.masked_fill(written.attention_mask == 0, -100)
    with torch.no_grad():
        theirs = model(input_ids=read.input_ids, attention_mask=read.attention_mask, labels=labels).loss
        inputs = untrained.inputs.encode(data).batch(np.arange(3))
        target = untrained.target
        ours = target.loss(untrained.network(inputs), torch.from_numpy(target.encode(data)))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_embeddings_are_shared_and_the_model_loads_without_the_folder(
    checkpoint: Path, untrained: Any, tmp_path: Path
) -> None:
    def shared(network: Any) -> bool:
        decoder = network.head.decoder
        assert isinstance(decoder, CheckpointDecoder)
        return network.parts[0].body.get_input_embeddings().weight is decoder.body.lm_head.weight

    assert shared(untrained.network)
    data = pairs(6)
    expected = untrained.predict(data).tolist()
    untrained.save(tmp_path / "saved")
    moved = checkpoint.with_name("moved")
    shutil.move(checkpoint, moved)
    try:
        loaded: Any = mw.load(tmp_path / "saved")
        assert loaded.predict(data).tolist() == expected
        assert shared(loaded.network)
        more: Any = mw.FineTune(batch_size=4).fit(data, loaded, budget="2 steps", seed=0)
        assert len(more.predict(data)) == 6
    finally:
        shutil.move(moved, checkpoint)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind: str, tmp_path: Path) -> None:
    fresh = tiny_seq2seq(tmp_path / "fresh", [*NUMBERS, *NUMBERS.values()], kind)
    data = pairs(40)
    method = mw.FineTune(backbone=str(fresh), learning_rate=0.1, batch_size=16, average=0.0, layer_decay=1.0)
    made: Any = method.fit(data, budget="120 steps", seed=0)
    assert made.evaluate(data)["token_f1"] > 0.35  # by chance: a fifth
    groups = method.parameter_groups(method.begin(data, None, 0))
    assert max(group.rate for group in groups) == pytest.approx(0.01), "a tenth, as its weights are pretrained"


def test_a_checkpoint_without_its_decoder_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    weights = load_file(broken / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if ".layers.1." not in name and ".block.1." not in name}
    save_file(kept, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="lacks"):
        load_decoder(str(broken))


def test_one_that_does_not_say_how_a_text_begins_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    import json

    silent = tmp_path / "silent"
    shutil.copytree(checkpoint, silent)
    for name in ("config.json", "generation_config.json"):
        if (silent / name).exists():
            facts = json.loads((silent / name).read_text())
            facts["decoder_start_token_id"] = None
            (silent / name).write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="decoder_start_token_id"):
        mw.FineTune(backbone=str(silent)).fit(pairs(12), budget="1 step", seed=0)


def test_adapters_learn_beside_frozen_weights_and_are_merged(tmp_path: Path) -> None:
    fresh = tiny_seq2seq(tmp_path / "fresh", [*NUMBERS, *NUMBERS.values()], "marian")
    method = mw.FineTune(backbone=str(fresh), lora=2, batch_size=8)
    learner = method.begin(pairs(24), None, 0)
    trained = {name for name, parameter in learner.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora" in name for name in trained)
    assert any("head.decoder" in name for name in trained)
    made: Any = method.fit(pairs(24), budget="2 steps", seed=0)
    written = made.predict(pairs(6)).tolist()
    assert mw.load(made.save(tmp_path / "saved")).predict(pairs(6)).tolist() == written
    assert not any("lora" in name for name, _ in made.network.named_parameters())
