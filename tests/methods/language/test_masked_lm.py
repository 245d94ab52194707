"""MaskedLM: it learns to fill in, and its features help what comes after."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError
from manyways.methods.language.masked_lm import MaskedLM
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.language.masking import Hidden, fill_in_loss, padded


def repeated(rows: int) -> Data:
    """Each text says one of four words twice, so that a hidden one can be read off the other; the label is the word."""
    rng = np.random.default_rng(0)
    words = np.array(["alpha", "bravo", "delta", "gamma"])
    label = rng.integers(0, 4, rows)
    noise = rng.integers(100, 999, rows)
    texts = [f"{words[at]} {number} {words[at]} and so on" for at, number in zip(label, noise, strict=True)]
    columns = [Column("note", "text", np.array(texts, object)), Column("label", "category", words[label])]
    return Data.from_columns(columns, {"input": ["note"], "label": ["label"]}).with_test(0.2)


def test_it_learns_to_fill_in() -> None:
    data = repeated(300)
    few, many = (
        MaskedLM(vocabulary=320, context=24, size=0.25, batch_size=16).fit(data, budget=steps) for steps in (2, 150)
    )
    assert few.gives == {"fill", "embed"}
    assert many.evaluate(data.test)["nats_per_token"] < few.evaluate(data.test)["nats_per_token"] - 1.5
    assert many.evaluate(data.test) == many.evaluate(data.test)


def test_its_features_go_on_in_other_methods() -> None:
    """`masked_lm >> linear_probe` reads the column that was read before, and the features tell the words apart."""
    data = repeated(300).with_labels(40, draw="stratified")
    chain = MaskedLM(vocabulary=320, context=24, size=0.25, batch_size=16) >> LinearProbe()
    model = chain.fit(data, budget=200)
    assert model.evaluate(data.test)["accuracy"] > 0.9


def test_its_folder_loads_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    data = repeated(60)
    model = MaskedLM(vocabulary=320, context=24, size=0.2).fit(data, budget=2)
    model.save(tmp_path / "model")
    network: Any = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    assert mw.load(tmp_path / "model").evaluate(data.test) == model.evaluate(data.test)


def bert(folder: Path, kind: str) -> str:
    """A small BERT with its own kind of tokenizer, which has no end token: [CLS] text [SEP]."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alpha", "bravo", "delta", "gamma", "and", "so", "on"]
    table = {word: at for at, word in enumerate([*words, *map(str, range(1000))])}
    tokenizer = Tokenizer(models.WordLevel(table, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip
    fast.save_pretrained(folder)
    config = transformers.CONFIG_MAPPING[kind](
        vocab_size=len(fast), hidden_size=32, embedding_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=40, pad_token_id=0, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    auto: Any = transformers.AutoModelForMaskedLM
    auto.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_it_goes_on_from_a_checkpoint_without_an_end_token(kind: str, tmp_path: Path) -> None:
    """Texts stand in the frame of its tokenizer, and what is predicted is what transformers predicts."""
    import transformers

    data = repeated(120)
    method = MaskedLM(checkpoint=bert(tmp_path / "start", kind), learning_rate=3e-3, batch_size=16, precision="float32")
    learner = method.begin(data, None, 0)
    assert {tuple(row[[0, -1]]) for row in (learner.rows[at] for at in range(9))} == {(2, 3)}
    few, many = method.fit(data, budget=2), method.fit(data, budget=120)
    assert many.evaluate(data.test)["nats_per_token"] < few.evaluate(data.test)["nats_per_token"] - 1
    many.save(tmp_path / "model")
    network: Any = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    hidden = method.draw(learner, 0, torch.Generator().manual_seed(0))["hidden"]
    with torch.no_grad():
        logits = network(input_ids=hidden.ids, attention_mask=hidden.seen).logits.flatten(0, 1)[hidden.places]
        expected = torch.nn.functional.cross_entropy(logits, hidden.targets, reduction="none")
        torch.testing.assert_close(
            fill_in_loss(many.network, hidden, many.tokenizer), expected, rtol=1e-4, atol=1e-4  # type: ignore[attr-defined]
        )  # fmt: skip


def test_special_tokens_are_never_hidden(tmp_path: Path) -> None:
    data = repeated(60)
    method = MaskedLM(checkpoint=bert(tmp_path / "start", "bert"), share=0.9)
    learner = method.begin(data, None, 0)
    hidden: Hidden = method.draw(learner, 0, torch.Generator().manual_seed(0))["hidden"]
    assert not set(hidden.targets.tolist()) & {0, 1, 2, 3, 4}
    assert bool((hidden.ids[:, 0] == 2).all())
    assert int((hidden.ids == 3).sum()) == len(hidden.ids)


def test_a_long_text_keeps_its_last_token() -> None:
    rows = [np.array([2, 7, 8, 9, 5, 6, 3], np.int32), np.array([2, 7, 3], np.int32)]
    tokenizer = Mock(pad_token_id=0)
    assert padded(rows, 5, tokenizer).tolist() == [[2, 7, 8, 9, 3], [2, 7, 3, 0, 0]]


def test_text_that_is_all_empty_is_refused() -> None:
    data = Data.from_columns([Column("text", "text", np.array(["", ""], object))], {"text": ["text"]})
    with pytest.raises(DataError, match="no text to learn from: all 2 training rows are empty"):
        MaskedLM(tokenizer="words").fit(data, budget=1)


def test_positions_of_padding_are_no_context(tmp_path: Path) -> None:
    """RoBERTa's first position is the one behind that of padding, so that two of forty are never used."""
    from manyways.models.language_model import from_checkpoint

    assert from_checkpoint(bert(tmp_path / "roberta", "roberta"), "masked").context == 39
    assert from_checkpoint(bert(tmp_path / "bert", "bert"), "masked").context == 40
