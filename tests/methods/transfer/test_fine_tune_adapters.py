"""FineTune through adapters: a pretrained backbone moves by matrices of low rank only, and is plain in the end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.transfer.fine_tune import FineTune
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.predictor import Predictor
from manyways.training.learner import RowLearner

transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")

RANK = 3


@pytest.fixture(scope="module")
def reader(sentences: Data) -> Any:
    """A masked language model that has read the sentences."""
    return mw.MaskedLM(context=64, vocabulary=300, batch_size=16).fit(sentences, budget=40)


@pytest.fixture(scope="module")
def adapted(sentences: Data, reader: Any) -> Predictor:
    made = FineTune(lora=RANK, learning_rate=5e-3, layer_decay=1.0).fit(sentences, reader, budget=60)
    assert isinstance(made, Predictor)
    return made


def bodies(start: Predictor, end: Predictor) -> list[tuple[str, Tensor, Tensor]]:
    before, after = (model.network.backbones.state_dict() for model in (start, end))
    assert before.keys() == after.keys()
    return [(name, before[name], after[name]) for name in before]


def test_linear_layers_move_by_low_rank_and_nothing_else_moves(
    adapted: Predictor, reader: Any, sentences: Data
) -> None:
    moved = 0
    for name, before, after in bodies(reader.as_predictor(sentences), adapted):
        if torch.equal(before, after):
            continue
        assert name.endswith(".weight")
        assert "LayerNorm" not in name
        assert "embeddings" not in name
        assert torch.linalg.matrix_rank((after - before).double(), rtol=1e-4) <= RANK
        moved += 1
    assert moved == 3 * 6, "six linear layers in each of three blocks"


def test_it_learns(adapted: Predictor, sentences: Data) -> None:
    assert adapted.evaluate(sentences.test)["accuracy"] > 0.8


def test_what_is_saved_is_a_plain_predictor(adapted: Predictor, sentences: Data, tmp_path: Path) -> None:
    folder = adapted.save(tmp_path / "model")
    assert not [name for name in adapted.network.state_dict() if "lora" in name or "base_layer" in name]
    assert np.array_equal(mw.load(folder).outputs(sentences.test), adapted.outputs(sentences.test))


def test_only_adapters_and_the_head_are_optimised_and_kept(sentences: Data, reader: Any) -> None:
    method = FineTune(lora=RANK, layer_decay=0.5)
    learner = method.begin(sentences, reader, 0)
    names = {id(p): name for name, p in learner.named_parameters()}
    given = [names[id(p)] for group in method.parameter_groups(learner) for p in group.parameters]
    assert all("lora_" in name or ".head." in name for name in given)
    assert any(".head." in name for name in given)
    assert len(given) == len(set(given)) == sum(p.requires_grad for p in learner.parameters())
    rates = {group.rate / method.learning_rate for group in method.parameter_groups(learner)}
    assert rates == {1.0, 0.5, 0.25, 0.125}, "the head, and the adapters of three blocks"
    frozen = {name for name, p in learner.named_parameters() if not p.requires_grad}
    assert frozen
    assert not frozen & learner.state_dict().keys()


def test_the_state_is_put_back_without_what_is_frozen(sentences: Data, reader: Any) -> None:
    first, second = (FineTune(lora=RANK).begin(sentences, reader, 0) for _ in range(2))
    assert isinstance(second, RowLearner)
    with torch.no_grad():
        for parameter in second.parameters():
            if parameter.requires_grad:
                parameter.add_(1)
    second.load_state_dict(first.state_dict())
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_checkpoint_of_any_kind_is_adapted(kind: str, sentences: Data, reader: Any, tmp_path: Path) -> None:
    if kind == "text":
        data, folder = sentences, reader.save(tmp_path / "text")
    else:
        data, folder = mw.read("digits", image_size=16).with_labels(40, draw="stratified"), tmp_path / "vit"
        config = transformers.ViTConfig(
            image_size=16, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24,
        )  # fmt: skip
        transformers.ViTModel(config).save_pretrained(folder)
        settings = '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 16, "width": 16}}'
        (folder / "preprocessor_config.json").write_text(settings)
    model = FineTune(backbone=str(folder), lora=2, batch_size=8).fit(data, budget=2)
    (part,) = model.network.backbones
    assert isinstance(part, Pretrained)
    assert not [name for name, p in part.named_parameters() if "lora" in name]
    assert model.predict(data.test.select(np.arange(min(3, len(data.test))))).shape[0] <= 3


def test_backbones_that_are_not_pretrained_have_no_adapters(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    start = mw.SimCLR(batch_size=16).fit(few, budget=1)
    with pytest.raises(ParameterError, match=r"FineTune.lora adapts pretrained backbones .* here is none; got 4"):
        FineTune(lora=4).fit(few, start)
