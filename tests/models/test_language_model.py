"""LanguageModel: what it says, what it is scored by, and that it is a folder of transformers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import DataError, ModelError
from manyways.models.language_model import LanguageModel, from_checkpoint

TINY = {"tokenizer": "characters", "context": 32, "size": 0.2, "batch_size": 8}


@pytest.fixture(scope="module")
def arithmetic() -> Data:
    data = mw.read("arithmetic")
    return data.select(np.arange(200)).with_test(0.2)


@pytest.fixture(scope="module")
def causal(arithmetic: Data) -> LanguageModel:
    made = mw.Pretrain(**TINY).fit(arithmetic, budget=30)
    assert isinstance(made, LanguageModel)
    return made


@pytest.fixture(scope="module")
def masked(arithmetic: Data) -> LanguageModel:
    made = mw.MaskedLM(**TINY).fit(arithmetic, budget=10)
    assert isinstance(made, LanguageModel)
    return made


def test_a_long_prompt_keeps_its_end_and_half_the_context(causal: LanguageModel) -> None:
    """However long an answer may be, at least half the context is the prompt's."""
    prompt = "1+2=3 5+7=12 " * 5
    assert causal.generate(prompt, longest=128) == causal.generate(prompt[-16:], longest=128)
    assert len(causal.generate(prompt, longest=4)[0]) <= 4
    assert causal.generate(prompt, longest=4) == causal.generate(prompt[-28:], longest=4)


def test_a_conversation_is_answered_where_it_ends(causal: LanguageModel) -> None:
    """Whether its last turn is still to be answered, or was answered already; as prompts and as messages."""
    turn, answer = {"role": "user", "content": "12+34="}, {"role": "assistant", "content": "46"}
    expected = causal.reply([turn])
    for data in (
        mw.read({"messages": [[turn]]}),
        mw.read({"messages": [[turn, answer]]}),
        mw.read({"prompt": [[turn]]}, prompt="prompt"),
    ):
        assert causal.predict(data).tolist() == [expected]
    with pytest.raises(DataError, match="content of turn 0 of the conversation is null"):
        causal.reply([{"role": "user", "content": None}])
    with pytest.raises(DataError, match=r"row 0 of .* asks nothing: it has turns of the assistant alone"):
        causal.predict(mw.read({"messages": [[answer]]}))


@pytest.mark.parametrize("kind", [mw.DPO, mw.KTO, mw.RewardModel])
def test_pairs_of_messages_are_learned_as_pairs_of_texts_are(causal: LanguageModel, kind: Any) -> None:
    """The answers are what the assistant says in each, to the same question."""
    question = [{"role": "user", "content": "1+2="}]
    good, bad = [{"role": "assistant", "content": "3"}], [{"role": "assistant", "content": "9"}]
    data = mw.read({"prompt": [question] * 4, "chosen": [good] * 4, "rejected": [bad] * 4})
    model = kind(batch_size=4, learning_rate=1e-2, too_long="cut").fit(data, causal, budget=20)
    assert model.evaluate(data)["preference_accuracy"] == 1
    assert model.evaluate(data)["margin"] > causal.evaluate(data)["margin"]


def test_the_most_probable_token_is_that_of_transformers(causal: LanguageModel) -> None:
    ids = causal.tokenizer("12+34=", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        theirs = causal.network.generate(ids, do_sample=False, max_new_tokens=12)
    said = causal.tokenizer.decode(theirs[0, ids.shape[1] :], skip_special_tokens=True)
    assert causal.generate("12+34=", longest=12) == [said]


def test_rows_are_answered_by_their_prompts(causal: LanguageModel, arithmetic: Data) -> None:
    some = arithmetic.test.select(np.arange(3))
    said = causal.predict(some)
    assert said.tolist() == causal.generate(some.take("prompt").tolist())
    with pytest.raises(DataError, match='has no prompts to answer. Name their column: prompt="…"'):
        causal.predict(mw.read({"text": ["one", "two"]}))


def test_a_conversation_is_answered_at_its_last_turn(causal: LanguageModel) -> None:
    talk = [
        {"role": "user", "content": "1+1="},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2+2="},
        {"role": "assistant", "content": "4"},
    ]
    data = mw.read({"messages": [talk]})
    text = causal.tokenizer.apply_chat_template(talk[:3], tokenize=False, add_generation_prompt=True)
    assert causal.predict(data).tolist() == causal.generate(text)
    assert causal.reply(talk[:3]) == causal.generate(text)[0]


def test_what_fills_in_cannot_write(masked: LanguageModel, arithmetic: Data) -> None:
    for ask in (lambda: masked.generate("1"), lambda: masked.predict(arithmetic)):
        with pytest.raises(ModelError, match="gives embed, fill: it cannot (generate|predict)"):
            ask()


def test_scores_of_answers_are_those_of_transformers(causal: LanguageModel, arithmetic: Data) -> None:
    test = arithmetic.test
    nats, tokens = 0.0, 0
    for prompt, answer in zip(test.take("prompt"), test.take("completion"), strict=True):
        asked = causal.tokenizer(prompt)["input_ids"]
        said = [*causal.tokenizer(answer)["input_ids"], causal.tokenizer.eos_token_id]
        ids = torch.tensor([[*asked, *said]])
        with torch.inference_mode():
            logits = causal.network(ids).logits[0, len(asked) - 1 : -1]
        nats += float(cross_entropy(logits, torch.tensor(said), reduction="sum"))
        tokens += len(said)
    scores = causal.evaluate(test)
    assert scores["nats_per_token"] == pytest.approx(nats / tokens, rel=1e-4)
    assert scores["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert 0 <= scores["preference_accuracy"] <= 1


def test_features_are_of_the_text_that_was_read_or_of_that_of_the_data(
    causal: LanguageModel, arithmetic: Data, tmp_path: Path
) -> None:
    """A checkpoint has read no column: it embeds the text that the data has."""
    seen = causal.embed(arithmetic.test)
    assert seen.shape == (40, causal.network.config.hidden_size)
    stranger = from_checkpoint(str(causal.save(tmp_path / "model")))
    assert stranger.columns == ()
    assert np.array_equal(stranger.embed(arithmetic.test), seen)
    with pytest.raises(ModelError, match="has read no column of text"):
        stranger.embed(mw.read({"prompt": ["a", "b"]}))


def test_features_of_a_checkpoint_are_a_start_for_labels(causal: LanguageModel, tmp_path: Path) -> None:
    stranger = from_checkpoint(str(causal.save(tmp_path / "model")))
    words = [f"{at}+{at}={2 * at}" if at % 2 else f"{2 * at}={at}+{at}" for at in range(80)]
    data = mw.read({"text": words, "label": [at % 2 for at in range(80)]}, kinds={"text": "text"})
    model = mw.FineTune(batch_size=16).fit(data, stranger, budget=60)
    assert model.evaluate(data)["accuracy"] > 0.9


def test_padding_is_no_feature(causal: LanguageModel) -> None:
    data = mw.read({"text": ["12+3=15", "7+8=15 and 1+2=3 and more"]}, text="text")
    alone = np.concatenate([causal.embed(data.select(np.array([row]))) for row in range(2)])
    assert np.allclose(causal.embed(data), alone, atol=1e-5)
