"""Methods over frozen features start from a pretrained checkpoint, whose features are computed once and kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import tiny_bert, tiny_resnet, tiny_vit, with_modules
from manyways.data.data import Data
from manyways.data.storage import cache_folder
from manyways.errors import ParameterError
from manyways.methods.active.active_learning import ActiveLearning
from manyways.methods.expressions import parse_method
from manyways.methods.features import plain_features, start_features
from manyways.methods.method import Method
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.supervised.nearest_centroid import NearestCentroid
from manyways.methods.supervised.ridge import Ridge
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.predictor import Predictor
from manyways.models.saving import load_model

pytest.importorskip("transformers")
OVER_FEATURES = (
    "linear-probe", "nearest-centroid", "nearest-neighbours", "ridge", "label-propagation", "kmeans", "dc-kmeans",
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, sentences: Data) -> str:
    words = " ".join(sentences.take("text")).split()
    folder = tiny_bert(tmp_path_factory.mktemp("checkpoints") / "bert", words)
    return str(with_modules(folder, {"pooling_mode_mean_tokens": True}, "Normalize", length=16))


def read_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in each batch that a checkpoint reads from now on."""
    from manyways.models.backbones.pretrained import Pretrained

    whole, seen = Pretrained.untrimmed, []

    def untrimmed(self: Pretrained, x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return whole(self, x)

    monkeypatch.setattr(Pretrained, "untrimmed", untrimmed)
    return seen


@pytest.mark.parametrize("name", OVER_FEATURES)
def test_each_method_over_features_learns_from_those_of_the_checkpoint(name: str, bert: str, sentences: Data) -> None:
    few = sentences.with_labels(60)
    method = parse_method(f"{name}(backbone={bert!r})")
    model = method.fit(few)
    features = start_features(few, None, 0, bert).of(few.test)
    assert isinstance(model, Predictor)
    np.testing.assert_array_equal(model.embed(few.test), features)
    assert [parent.title for parent in model.lineage.parents] == [bert]
    assert str(method) == f"{name}(backbone={bert!r})"


def test_a_model_over_a_checkpoint_predicts_the_same_when_it_is_loaded(
    bert: str, sentences: Data, tmp_path: Path
) -> None:
    model = LinearProbe(backbone=bert).fit(sentences)
    assert model.evaluate(sentences.test)["accuracy"] > 0.5, "a random BERT tells topics apart by their words"
    again = load_model(model.save(tmp_path / "model"))
    np.testing.assert_allclose(again.probabilities(sentences.test), model.probabilities(sentences.test), atol=1e-6)


def test_features_are_computed_once_across_methods_and_seeds(
    bert: str, sentences: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = read_rows(monkeypatch)
    LinearProbe(backbone=bert, penalty=1.0).fit(sentences, seed=0).evaluate(sentences.test)
    assert sum(seen) >= len(sentences)
    seen.clear()
    NearestCentroid(backbone=bert).fit(sentences.with_labels(30, 1), seed=1).evaluate(sentences.test)
    assert not seen


def test_a_damaged_row_is_computed_anew(bert: str, sentences: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    features = start_features(sentences, None, 0, bert)
    before = features.of(sentences)
    (kept,) = cache_folder().glob("*.features")
    with kept.open("r+b") as file:
        file.seek(before.itemsize * before.shape[1] * 7)
        file.write(b"\x00\x01\x02\x03")
    seen = read_rows(monkeypatch)
    np.testing.assert_array_equal(features.of(sentences), before)
    assert len(seen) == 1, "one batch, for the one row"
    kept.write_bytes(kept.read_bytes()[:1000])
    np.testing.assert_array_equal(features.of(sentences), before)


def test_features_are_bitwise_functions_of_each_row_alone(bert: str, sentences: Data, tmp_path: Path) -> None:
    whole = plain_features(sentences, None, backbone=bert).alone(sentences)
    some = sentences.without(sentences.ids[::2])
    assert len(list(cache_folder().glob("*.features"))) == 1
    np.testing.assert_array_equal(plain_features(some, None, backbone=bert).alone(some), whole[1::2])
    assert len(list(cache_folder().glob("*.features"))) == 2, "another table has a file of its own"


def test_weights_that_changed_have_other_features(bert: str, sentences: Data) -> None:
    features = start_features(sentences, None, 0, bert)
    before = features.of(sentences)
    with torch.no_grad():
        for weight in features.network.parameters():
            weight.mul_(1.01)
    assert not np.allclose(features.of(sentences), before, atol=1e-4)


def test_a_network_that_is_trained_on_reads_nothing_that_was_kept(
    bert: str, sentences: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = LinearProbe(backbone=bert, penalty=1.0).fit(sentences)
    tuned = parse_method("fine-tune(learning_rate=0.01)").fit(sentences, probe, budget="3 steps")
    before, seen = probe.embed(sentences.test), read_rows(monkeypatch)
    assert not np.allclose(tuned.embed(sentences.test), before, atol=1e-4)
    assert not seen


def test_forgetting_over_a_checkpoint_is_as_near_as_without(bert: str, sentences: Data) -> None:
    gone = np.zeros(len(sentences), bool)
    gone[np.flatnonzero(sentences.part == 0)[:20]] = True
    method = Ridge(backbone=bert)
    left = method.forget(method.fit(sentences), sentences, gone)
    anew = method.fit(sentences.select(~gone))
    np.testing.assert_allclose(left.outputs(sentences.test), anew.outputs(sentences.test), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("make", [tiny_vit, tiny_resnet])
def test_images_are_read_by_vision_checkpoints(make: Callable[[Path], Path], digits: Data, tmp_path: Path) -> None:
    model = LinearProbe(backbone=str(make(tmp_path / "vision")), penalty=1.0).fit(digits.with_labels(200))
    assert model.evaluate(digits.test)["accuracy"] > 0.3, "ten digits, by random features"


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (LinearProbe(), "linear-probe(backbone='a/b')"),
        (LinearProbe(backbone="c/d"), "linear-probe(backbone='c/d')"),
        (SelfTraining(base=Ridge()), "self-training(base=ridge(backbone='a/b'))"),
        (ActiveLearning(), "active-learning(base=supervised(backbone='a/b'))"),
        (parse_method("simclr >> linear-probe"), "simclr(backbone='a/b') >> linear-probe"),
        (parse_method("fine-tune"), "fine-tune(backbone='a/b')"),
        (parse_method("online-sgd"), "online-sgd"),
    ],
)
def test_a_backbone_goes_to_what_starts(method: Method, text: str) -> None:
    assert str(method.with_backbone("a/b")) == text


def test_a_method_of_methods_learns_over_the_checkpoint(bert: str, sentences: Data) -> None:
    model = (
        SelfTraining(base=LinearProbe(penalty=1.0), rounds=2, threshold=0.5)
        .with_backbone(bert)
        .fit(sentences.with_labels(60), budget="2 steps")
    )
    assert model.evaluate(sentences.test)["accuracy"] > 0.5


def test_what_no_checkpoint_reads_is_refused(bert: str, wine: Data, sentences: Data) -> None:
    with pytest.raises(ParameterError, match="reads text, and wine has none"):
        LinearProbe(backbone=bert).fit(wine)
    with pytest.raises(ParameterError, match="must be a pretrained checkpoint"):
        LinearProbe(backbone="resnet").fit(sentences)
    probe = LinearProbe(penalty=1.0).fit(sentences)
    with pytest.raises(ParameterError, match="a model is there to start from already"):
        LinearProbe(backbone=bert).fit(sentences, probe)


def test_a_checkpoint_that_is_trained_learns_at_a_tenth_of_the_rate(bert: str, sentences: Data) -> None:
    method = Supervised(backbone=bert, learning_rate=0.01)
    learner = method.begin(sentences, None, 0)
    rates = {id(p): group.rate for group in method.parameter_groups(learner) for p in group.parameters}
    (encoder,), head = learner.network.parts, learner.network.head
    assert head is not None
    assert [*{rates[id(p)] for p in encoder.parameters()}] == [pytest.approx(0.001)]
    assert {rates[id(p)] for p in head.parameters()} == {0.01}
    assert len(rates) == len(list(learner.parameters()))
    plain = Supervised(learning_rate=0.01)
    assert {group.rate for group in plain.parameter_groups(plain.begin(sentences, None, 0))} == {0.01}
