"""FewShotText: pairs of few rows tune a sentence encoder, and a linear model reads what it embeds."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from checkpoints import tiny_bert, with_modules
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.few_shot.few_shot_text import (
    FewShotText,
    balanced_pairs,
    pairs_of_a_class,
    supervised_contrastive,
    unique_pairs,
)
from manyways.models.predictor import Predictor
from manyways.models.saving import load_model
from manyways.randomness import generator


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, sentences: Data) -> str:
    pytest.importorskip("transformers")
    words = " ".join(sentences.take("text")).split()
    folder = tiny_bert(tmp_path_factory.mktemp("checkpoints") / "bert", words)
    return str(with_modules(folder, {"pooling_mode_mean_tokens": True}, "Normalize", length=16))


@pytest.fixture(scope="module")
def few(sentences: Data) -> Data:
    return sentences.with_labels(24)


LABELS = np.array([0, 0, 0, 1, 1, 2])


def test_half_of_the_pairs_are_of_one_class_and_each_row_is_as_often_the_first() -> None:
    pairs = [balanced_pairs(LABELS, 6, step, 0) for step in range(200)]
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    same = LABELS[left] == LABELS[right]
    assert same.mean() == 0.5
    assert np.bincount(left).tolist() == [200] * 6
    alone = left == 5
    assert (right[alone & same] == 5).all(), "a row that is alone in its class has only itself"
    assert (left[same & ~alone] != right[same & ~alone]).all()
    partners = {(int(a), int(b)) for a, b in zip(left, right, strict=True)}
    assert {(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)} <= partners


def test_pairs_of_a_class_are_of_two_rows_where_it_has_two() -> None:
    pairs = [pairs_of_a_class(LABELS, 6, step, 0) for step in range(100)]
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    assert (LABELS[left] == LABELS[right]).all()
    assert np.bincount(left).tolist() == [100] * 6
    assert ((left == right) == (left == 5)).all()


def test_the_contrastive_loss_is_that_of_its_definition() -> None:
    features = torch.randn(6, 4, generator=generator(0), requires_grad=True)
    unit, expected = features / features.norm(dim=1, keepdim=True), []
    for row in range(5):  # the last is alone in its class
        others = [other for other in range(6) if other != row]
        logs = dict(zip(others, (unit[row] @ unit[others].T / 0.1).log_softmax(0), strict=True))
        expected.append(-torch.stack([logs[o] for o in others if LABELS[o] == LABELS[row]]).mean())
    loss = supervised_contrastive(features, torch.from_numpy(LABELS), 0.1)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    loss.backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_a_contrastive_batch_without_two_rows_of_a_class_teaches_nothing() -> None:
    features = torch.randn(3, 4, generator=generator(0))
    assert supervised_contrastive(features, torch.arange(3), 0.1) == 0


def test_unique_pairs_come_once_before_any_comes_again() -> None:
    pairs = [unique_pairs(LABELS, 5, step, 0) for step in range(3)]
    listed = [(int(a), int(b)) for left, right in pairs for a, b in zip(left, right, strict=True)]
    assert sorted(listed) == [(a, b) for a in range(6) for b in range(a + 1, 6)]


def test_a_batch_is_a_function_of_seed_and_step(bert: str, few: Data) -> None:
    method = FewShotText(backbone=bert, loss_type="cosine")
    first, again, other = (method.begin(few, None, seed) for seed in (0, 0, 1))
    one, two, three = (method.draw(each, 3, generator(0, 3)) for each in (first, again, other))
    assert all(torch.equal(one[name], two[name]) for name in ("left", "right", "same"))
    assert torch.equal(one["inputs"]["text"], two["inputs"]["text"])
    assert not torch.equal(one["inputs"]["text"], three["inputs"]["text"])


@pytest.mark.parametrize("loss_type", ["contrastive", "cosine"])
def test_pairs_draw_rows_of_a_class_together(bert: str, few: Data, loss_type: Literal["contrastive", "cosine"]) -> None:
    """Cosine similarities of rows that nothing was learned from: within classes minus between them."""

    def margin(model: object) -> float:
        assert isinstance(model, Predictor)
        features, labels = model.embed(few.test), few.test.take("label")
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
        similar, same = features @ features.T, labels[:, None] == labels[None]
        return float(similar[same].mean() - similar[~same].mean())

    method = FewShotText(backbone=bert, learning_rate=3e-3, loss_type=loss_type, temperature=0.5)
    before, after = method.fit(few, budget="1 steps"), method.fit(few, budget="60 steps")
    assert margin(after) > margin(before) + 0.3
    assert isinstance(after, Predictor)
    assert after.evaluate(few.test)["accuracy"] > 0.6, "three topics"


def test_the_head_is_kept_with_the_model(bert: str, few: Data, tmp_path: Path) -> None:
    model = FewShotText(backbone=bert).fit(few, budget="2 steps")
    again = load_model(model.save(tmp_path / "model"))
    np.testing.assert_allclose(again.probabilities(few.test), model.probabilities(few.test), atol=1e-6)


def test_without_a_budget_each_row_has_its_pairs(few: Data) -> None:
    assert str(FewShotText(iterations=5, batch_size=16).default_budget(few)) == "8 steps"
    assert str(FewShotText(iterations=5, batch_size=16, loss_type="cosine").default_budget(few)) == "15 steps"


def test_it_needs_an_encoder_and_two_classes(bert: str, few: Data) -> None:
    with pytest.raises(NeedsError, match="it starts from a model"):
        FewShotText().fit(few)
    with pytest.raises(NeedsError, match="of two classes at least"):
        FewShotText(backbone=bert).fit(few.hide(np.flatnonzero(few.take("label") != "food")), budget="1 steps")
