"""SFT: its loss by hand, answers only, and a model that learns to answer."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError, ParameterError
from manyways.methods.language.sft import SFT
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.randomness import generator


def test_the_loss_is_the_mean_over_all_answer_tokens(sums: Data, reader_of_sums: Model) -> None:
    method = SFT(batch_size=5)
    learner = method.begin(sums, reader_of_sums, 0).eval()
    batch = method.draw(learner, 0, generator(0))
    rows = learner.pick(learner.positions, 5, 0)
    nats: list[float] = []
    for row in rows:
        prompt, (answer,) = learner.groups[row].prompt, learner.groups[row].answers
        ids = torch.tensor([[*prompt, *answer.ids]])
        logits = learner.network(input_ids=ids).logits[0].detach().log_softmax(1)
        nats += [-float(logits[at - 1, ids[0, at]]) for at in range(len(prompt), ids.shape[1])]
    assert len(nats) > 10
    assert method.loss(learner, batch)[0].item() == pytest.approx(np.mean(nats), rel=1e-4)


def test_answers_become_more_probable_and_prompts_need_not(sums: Data, reader_of_sums: Model) -> None:
    before = reader_of_sums.evaluate(sums.test)["nats_per_token"]
    model = SFT(learning_rate=1e-3).fit(sums, reader_of_sums, budget=120)
    assert model.evaluate(sums.test)["nats_per_token"] < before - 0.05
    assert isinstance(model, LanguageModel)
    said = model.generate(["12+34=", "5+5="], longest=8)
    assert all(answer.isdigit() for answer in said)


def test_a_conversation_is_learned_by_heart(reader_of_sums: Model) -> None:
    """Two questions whose answers differ; the model says them after a chat template it never saw."""
    talks = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        for question, answer in (("1+1", "22"), ("2+2", "44"))
    ]
    column = Column("messages", "text", np.array([json.dumps(talk) for talk in talks], object))
    data = Data.from_columns([column], {"messages": ["messages"]})
    model = SFT(learning_rate=3e-3, batch_size=2, too_long="cut").fit(data, reader_of_sums, budget=150)
    assert isinstance(model, LanguageModel)
    assert model.reply([{"role": "user", "content": "1+1"}], longest=4).strip() == "22"
    assert model.reply([{"role": "user", "content": "2+2"}], longest=4).strip() == "44"


def test_it_starts_from_one_place(sums: Data, reader_of_sums: Model, tmp_path: Any) -> None:
    with pytest.raises(NeedsError, match="starts from a model"):
        SFT().fit(sums, budget=1)
    folder = reader_of_sums.save(tmp_path / "base")
    model = SFT(checkpoint=str(folder)).fit(sums, budget=2)
    assert "generate" in model.gives
    with pytest.raises(ParameterError, match="checkpoint must be None"):
        SFT(checkpoint=str(folder)).fit(sums, reader_of_sums, budget=2)


def test_the_start_is_left_as_it_was(sums: Data, reader_of_sums: Model) -> None:
    before = {name: tensor.clone() for name, tensor in reader_of_sums.network.state_dict().items()}
    SFT().fit(sums, reader_of_sums, budget=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in reader_of_sums.network.state_dict().items())


def test_a_checkpoint_with_a_missing_shard_is_refused(sums: Data, reader_of_sums: Any, tmp_path: Any) -> None:
    reader_of_sums.network.save_pretrained(tmp_path, max_shard_size="100KB")
    reader_of_sums.tokenizer.save_pretrained(tmp_path)
    sorted(tmp_path.glob("*.safetensors"))[1].unlink()
    with pytest.raises(ModelError, match=r"lacks 1 of \d+ weight files, the first is model-00002-of-"):
        SFT(checkpoint=str(tmp_path)).fit(sums, budget=1)
