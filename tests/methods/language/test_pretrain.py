"""Pretrain: its loss by hand, what its model says, and where it can be taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ManywaysError
from manyways.methods.language.pretrain import Pretrain, next_token_loss
from manyways.models.language.nats import windows
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.randomness import generator


def test_the_loss_is_that_of_transformers(reader_of_sums: Model) -> None:
    network: Any = reader_of_sums.network
    ids = torch.randint(4, 15, (3, 12), generator=generator(0))
    expected = network(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(next_token_loss(network, ids), expected)


@pytest.mark.quick
def test_windows_cover_the_stream_about_once_an_epoch(sums: Data) -> None:
    method = Pretrain(tokenizer="characters", context=16, size=0.2, batch_size=8)
    learner = method.begin(sums, None, 0)
    stream = np.asarray(learner.stream)
    batch = method.draw(learner, 3, generator(0, 3))["ids"].numpy()
    assert batch.shape == (8, 17)
    text = "".join(map(chr, stream))
    assert all("".join(map(chr, row)) in text for row in batch)
    again = method.draw(learner, 3, generator(0, 3))["ids"].numpy()
    np.testing.assert_array_equal(batch, again)
    drawn = np.concatenate([learner.pick(learner.windows, 8, step) for step in range(len(learner.windows) // 8)])
    assert len(np.unique(drawn)) == len(drawn)


def test_reading_makes_text_more_probable(texts: Data, reader_of_sums: Model) -> None:
    """Digits at random would cost 2.3 nats; sums end where their length says, and begin with any digits."""
    untrained = Pretrain(tokenizer="characters", context=32, size=0.35, batch_size=16).fit(texts, budget=1)
    before, after = untrained.evaluate(texts.test), reader_of_sums.evaluate(texts.test)
    assert before["nats_per_character"] > 2.2
    assert after["nats_per_character"] < 1.9
    assert after["perplexity"] == pytest.approx(np.exp(after["nats_per_token"]))


def test_evaluation_counts_every_token_once(texts: Data, reader_of_sums: Model) -> None:
    """The mean over the windows is that of the tokens, by a pass over each window alone."""
    assert isinstance(reader_of_sums, LanguageModel)
    stream = np.asarray(reader_of_sums.reader().texts(texts.test).values[:], np.int64)
    total, count = 0.0, 0
    network: Any = reader_of_sums.network
    with torch.no_grad():
        for start in range(0, len(stream) - 1, reader_of_sums.context):
            ids = torch.from_numpy(stream[start : start + reader_of_sums.context + 1])[None]
            logits = network(input_ids=ids[:, :-1]).logits[0].log_softmax(1)
            total -= float(logits.gather(1, ids[0, 1:, None]).sum())
            count += ids.shape[1] - 1
    assert count == len(stream) - 1
    assert reader_of_sums.evaluate(texts.test)["nats_per_token"] == pytest.approx(total / count, rel=1e-5)
    assert sum(ids.shape[1] * len(ids) - len(ids) for ids in windows(stream, 32, 256)) == count


def test_its_folder_loads_in_transformers(reader_of_sums: Model, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reader_of_sums.save(tmp_path / "model")
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = tokenizer("12+34=", return_tensors="pt")["input_ids"]
    theirs = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
    said = tokenizer.decode(theirs[0, ids.shape[1] :], skip_special_tokens=True)
    assert isinstance(reader_of_sums, LanguageModel)
    assert reader_of_sums.generate("12+34=", longest=6) == [said]
    assert mw.load(tmp_path / "model").evaluate("arithmetic") == reader_of_sums.evaluate("arithmetic")


def test_domain_adaptation_goes_on_from_a_model(sums: Data, reader_of_sums: Model) -> None:
    """Sums written backwards: a model of sums learns them from fewer steps than a new one."""
    from manyways.data.columns import Column

    texts = [text[::-1] for text in sums.take("text")]
    column = Column("text", "text", np.array(texts, object))
    other = Data.from_columns([column], {"text": ["text"]}).with_test(0.1)
    settings: dict[str, Any] = {"tokenizer": "characters", "context": 32, "size": 0.35, "batch_size": 16}
    started = Pretrain(**settings).fit(other, reader_of_sums, budget=40).evaluate(other.test)["nats_per_token"]
    fresh = Pretrain(**settings).fit(other, budget=40).evaluate(other.test)["nats_per_token"]
    assert started < fresh - 0.05


@pytest.mark.parametrize("kind", ["bytes", "words", "characters"])
def test_every_tokenizer_can_be_read_with(sums: Data, kind: Any) -> None:
    model = Pretrain(tokenizer=kind, vocabulary=300, context=16, size=0.2, batch_size=4).fit(sums, budget=3)
    assert isinstance(model, LanguageModel)
    assert isinstance(model.generate("1+1=", longest=4)[0], str)


def test_a_text_of_one_token_is_refused() -> None:
    from manyways.data.columns import Column

    data = Data.from_columns([Column("text", "text", np.array(["\n"], object))], {"text": ["text"]})
    with pytest.raises(ManywaysError, match="1 tokens to read"):
        Pretrain(tokenizer="characters").fit(data, budget=1)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_shakespeare_by_characters(real_data: Any) -> None:
    """At most 1.75 nats per character within 10 minutes on two cores; the last tenth is held out."""
    data = mw.read(real_data("tiny-shakespeare") / "input.txt").with_last_as_test(0.1)
    model = Pretrain(tokenizer="characters").fit(data, budget="580s")
    assert isinstance(model, LanguageModel)
    print(model.generate("ROMEO:\n", longest=300, temperature=0.8, seed=1)[0])
    assert model.evaluate(data.test)["nats_per_character"] <= 1.75
