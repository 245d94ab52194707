"""SentencePairs: its losses against plain loops, cached gradients, batches without duplicates, and what is saved."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import manyways as mw
from checkpoints import tiny_bert, with_modules
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.methods.metric_learning.sentence_pairs import SentencePairs, cosent_loss, ranking_loss
from manyways.models.sentence_encoder import SentenceEncoder, from_checkpoint
from manyways.randomness import generator, seed_global
from manyways.training.learner import EncodedLearner

Floats = NDArray[np.float64]
SMALL = SentencePairs(batch_size=16, size=0.5)


@pytest.fixture(scope="module")
def pairs() -> Data:
    return SentencePairs.example_data().with_test(0.2)


@pytest.fixture(scope="module")
def scored(pairs: Data) -> Data:
    """The same texts, some partners exchanged, with the number of things that both name as a label."""
    texts = {name: pairs.columns[name].take(np.arange(len(pairs.part))) for name in "ab"}
    texts["b"][::2] = np.roll(texts["b"][::2], 1)
    things = [[set(re.findall(r"[0-9]+", text)) for text in side] for side in texts.values()]
    both = [a & b for a, b in zip(*things, strict=True)]
    columns = [Column(name, "text", side) for name, side in texts.items()]
    label = Column("alike", "number", np.array([len(each) for each in both], float))
    roles = {"input": ["a", "b"], "label": ["alike"]}
    return Data.from_columns([*columns, label], roles, name="scored").with_test(0.2)


def cosines(a: Floats, b: Floats) -> Floats:
    """The cosine of each row of `a` with each of `b`, by loops."""
    return np.array([[x @ y / math.sqrt((x @ x) * (y @ y)) for y in b] for x in a])


def of_ranking(anchors: Floats, candidates: Floats, scale: float = 20.0) -> float:
    """MultipleNegativesRankingLoss of sentence-transformers: cross entropy of scale × cosine, the label the row."""
    scores = scale * cosines(anchors, candidates)
    return float(np.mean([math.log(sum(math.exp(s) for s in row)) - row[at] for at, row in enumerate(scores)]))


def of_cosent(similar: Floats, labels: Floats, scale: float = 20.0) -> float:
    """CoSENTLoss of sentence-transformers: differences of wrong order count, masked ones by −10¹²."""
    scores = scale * similar
    differences = scores[:, None] - scores[None, :]
    mask = (labels[:, None] < labels[None, :]).astype(float)
    terms = np.concatenate([[0.0], (differences - (1 - mask) * 1e12).reshape(-1)])
    return float(np.log(np.exp(terms - terms.max()).sum()) + terms.max())


def unit(rows: Floats) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(rows), dim=1)


@pytest.mark.quick
@pytest.mark.parametrize("negatives", [0, 7])
def test_ranking_is_multiple_negatives_ranking(negatives: int) -> None:
    rng = np.random.default_rng(negatives)
    anchors, candidates = rng.normal(size=(7, 5)), rng.normal(size=(7 + negatives, 5))
    loss = ranking_loss(unit(anchors), unit(candidates), 0.05)
    assert float(loss) == pytest.approx(of_ranking(anchors, candidates))


@pytest.mark.quick
def test_cosent_is_that_of_its_definition_with_ties() -> None:
    rng = np.random.default_rng(0)
    similar, labels = rng.uniform(-1, 1, 12), rng.integers(0, 4, 12).astype(float)
    loss = cosent_loss(torch.from_numpy(similar), torch.from_numpy(labels), 0.05)
    assert float(loss) == pytest.approx(of_cosent(similar, labels))
    assert float(cosent_loss(torch.from_numpy(similar), torch.ones(12), 0.05)) == 0


@pytest.mark.quick
def test_cosent_asks_for_the_order_of_scores_alone() -> None:
    labels = torch.tensor([0.0, 1.0, 5.0])
    right, wrong = torch.tensor([-0.5, 0.1, 0.9]), torch.tensor([0.9, 0.1, -0.5])
    assert cosent_loss(right, labels, 0.05) < 1e-4 < cosent_loss(wrong, labels, 0.05)
    assert cosent_loss(right, labels, 0.05) == cosent_loss(right, 10 * labels**3, 0.05)


def grown(method: SentencePairs, data: Data) -> tuple[Any, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The loss of the first batch, and the gradients that a step would take."""
    learner = method.begin(data, None, 0).train()
    batch = method.draw(learner, 0, generator(0, 0))
    seed_global(5, learner.device)
    parts = method.gradients(learner, batch)
    return parts["loss"], {n: p.grad.clone() for n, p in learner.named_parameters() if p.grad is not None}, batch


def without_dropout(method: SentencePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: torch.nn.Dropout, x: torch.Tensor) -> torch.Tensor:
        return x

    monkeypatch.setattr(torch.nn.Dropout, "forward", forward)


@pytest.mark.quick
@pytest.mark.parametrize("data", ["pairs", "scored"])
def test_cached_gradients_are_those_of_the_whole_batch(
    data: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GradCache: pieces of 5 of 32 texts, to the last bits the same gradient; matryoshka beside."""
    rows: Data = request.getfixturevalue(data)
    method = replace(SMALL, matryoshka=(8,))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        without_dropout(method, monkeypatch)
        torch.manual_seed(1)
        loss, whole, _ = grown(method, rows)
        torch.manual_seed(1)
        again, pieces, _ = grown(replace(method, mini_batch_size=5), rows)
    assert float(again) == pytest.approx(float(loss), rel=1e-5)
    assert whole.keys() == pieces.keys()
    for name, slope in whole.items():
        torch.testing.assert_close(pieces[name], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.quick
def test_cached_gradients_see_each_piece_through_one_dropout(pairs: Data) -> None:
    """The features whose gradient is cached are bitwise those that it is passed on to."""
    method = replace(SMALL, mini_batch_size=5)
    learner = method.begin(pairs, None, 0).train()
    seen: list[torch.Tensor] = []
    plain = learner.features

    def features(texts: torch.Tensor) -> torch.Tensor:
        seen.append(plain(texts))
        return seen[-1]

    learner.features = features  # type: ignore[method-assign]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method.gradients(learner, method.draw(learner, 0, generator(0, 0)))
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert len(first) == 7
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], plain(torch.zeros_like(first[0]).long()))


@pytest.mark.quick
def test_matryoshka_sums_the_losses_of_the_first_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(8, 6))
    loss = replace(SMALL, matryoshka=(2, 4))._loss_of(torch.from_numpy(features), {"pairs": 4})
    expected = sum(of_ranking(features[:4, :size], features[4:, :size]) for size in (2, 4, 6))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.quick
def test_a_batch_holds_no_text_twice_by_default(pairs: Data) -> None:
    def repeated(method: SentencePairs) -> int:
        learner = method.begin(pairs, None, 0)
        batches = [method.draw(learner, step, generator(0, step))["texts"] for step in range(20)]
        return sum(len(texts) - len(texts.unique(dim=0)) for texts in batches)

    assert repeated(SMALL) == 0
    assert repeated(replace(SMALL, sampler="epochs")) > 0


def test_partners_are_found_and_scores_are_followed(pairs: Data, scored: Data) -> None:
    """Held-out partners by an encoder from scratch, far above what one that is not trained finds; so with scores."""
    for data, metric, gain in ((pairs, "recall_at_10", 0.3), (scored, "spearman", 0.2)):
        method = replace(SMALL, learning_rate=2e-3, size=1.0)
        trained = method.fit(data, budget="100 steps")
        untrained = replace(method, learning_rate=1e-12, weight_decay=0.0).fit(data, budget=1)
        assert trained.evaluate(data.test)[metric] > untrained.evaluate(data.test)[metric] + gain


def test_hard_negatives_are_candidates_of_every_anchor(pairs: Data) -> None:
    names, everything = ["c", "a", "b"], np.arange(len(pairs.part))
    sides = [np.roll(pairs.columns["b"].take(everything), 3), *(pairs.columns[n].take(everything) for n in "ab")]
    columns = [Column(name, "text", side) for name, side in zip(names, sides, strict=True)]
    triples = Data.from_columns(columns, {"input": names}, name="triples")
    with pytest.raises(NeedsError, match=r"two texts of each row, and there are 3 \(c, a, b\)"):
        SMALL.fit(triples, budget=1)
    method = replace(SMALL, negative="c")
    learner = method.begin(triples, None, 0)
    batch = method.draw(learner, 0, generator(0, 0))
    assert learner.columns == ("a", "b", "c")
    assert len(batch["texts"]) == 3 * batch["pairs"]
    vectors = np.random.default_rng(0).normal(size=(len(batch["texts"]), 4))
    count = batch["pairs"]
    expected = of_ranking(vectors[:count], vectors[count:])
    assert float(method.contrast(unit(vectors), batch)) == pytest.approx(expected)
    assert method.fit(triples, budget=1).columns == ("a", "b", "c")


@pytest.mark.quick
def test_bad_pairs_are_refused_with_what_to_type(pairs: Data, scored: Data) -> None:
    def reason(data: Data, method: SentencePairs = SMALL) -> str:
        return method.lacks(data) or ""

    assert 'Name two columns: input=("…", "…")' in reason(pairs.with_inputs(["a"]))
    assert "Read the rows that do alone" in reason(scored, replace(SMALL, loss_type="ranking"))
    assert "no column has the role label" in reason(pairs, replace(SMALL, loss_type="cosent"))
    assert "is no input of pairs" in reason(pairs, replace(SMALL, negative="c"))
    with_class = replace(scored, columns={**scored.columns, "alike": replace(scored.columns["alike"], kind="category")})
    assert "of the kind category" in reason(with_class)
    values = np.ones(len(scored.part))
    constant = replace(scored, columns={**scored.columns, "alike": Column("alike", "number", values)})
    assert "all the same" in reason(constant)
    with pytest.raises(ParameterError, match="matryoshka must be at most"):
        replace(SMALL, matryoshka=(4096,)).begin(pairs, None, 0)
    with pytest.raises(ParameterError, match="one network"):
        SentencePairs(backbone="a=text-transformer").begin(pairs, None, 0)
    same = replace(pairs, columns={**pairs.columns, "b": Column("b", "text", np.full(len(pairs.part), "x", object))})
    with pytest.raises(DataError, match="the same text in 'b'"):
        SMALL.begin(same, None, 0)


def test_hidden_scores_are_not_learned_from(scored: Data) -> None:
    few = scored.with_labels(30)
    learner = SMALL.begin(few, None, 0)
    assert len(learner.pool) == 30
    assert learner.scores is not None
    assert int(learner.scores.isnan().sum()) == len(few.training) - 30
    assert len(SMALL.fit(few, budget=1).lineage.rows) == 30


def test_identities_are_the_same_wherever_a_text_stands(pairs: Data) -> None:
    learner = SMALL.begin(pairs, None, 0)
    numbers = EncodedLearner.identities(learner)
    texts = np.stack([learner.training_data.take(name) for name in "ab"], axis=1)
    assert len(np.unique(numbers)) == len(set(texts.ravel().tolist()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pairs: Data) -> Path:
    pytest.importorskip("transformers")
    words = " ".join([*pairs.take("a"), *pairs.take("b")]).split()
    place = tiny_bert(tmp_path_factory.mktemp("checkpoints") / "bert", words)
    return with_modules(
        place, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "Normalize", length=24
    )


def test_one_of_a_checkpoint_is_saved_as_a_folder_of_sentence_transformers(
    folder: Path, pairs: Data, tmp_path: Path
) -> None:
    model = SentencePairs(backbone=str(folder), batch_size=8, matryoshka=(8,)).fit(pairs, budget=3)
    assert isinstance(model, SentenceEncoder)
    place = model.save(tmp_path / "model")
    modules = json.loads((place / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Normalize"]
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Normalize"]
    pooling = json.loads((place / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_cls_token"] is pooling["pooling_mode_mean_tokens"] is True
    assert pooling["word_embedding_dimension"] == 16
    assert json.loads((place / "sentence_bert_config.json").read_text())["max_seq_length"] == 24
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {path.name for path in place.iterdir()}
    loaded = mw.load(place)
    assert isinstance(loaded, SentenceEncoder)
    assert np.array_equal(loaded.embed(pairs.test), model.embed(pairs.test))
    assert loaded.matryoshka == (8,)
    # As a checkpoint: alone, and under another method.
    (tmp_path / "plain").mkdir()
    for path in place.rglob("*"):
        if path.is_file() and path.name not in ("model.json", "rows.safetensors"):
            target = tmp_path / "plain" / path.relative_to(place)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    foreign = mw.load(tmp_path / "plain")
    np.testing.assert_allclose(foreign.embed(pairs.test), model.embed(pairs.test), atol=1e-6)
    again = SentencePairs(backbone=str(place), batch_size=8).fit(pairs, budget=1)
    assert again.lineage.parents[0].method["name"] == "sentence-pairs"


def test_a_damaged_folder_is_refused(folder: Path, pairs: Data, tmp_path: Path) -> None:
    place = from_checkpoint(str(folder)).save(tmp_path / "model")
    (place / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="has changed since the model was saved"):
        mw.load(place)
    (place / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelError, match="is missing"):
        mw.load(place)


def test_real_scores_are_followed_from_the_first_steps(
    real_data: Callable[[str], Path], real_model: Callable[[str], Path]
) -> None:
    """The frozen encoder's figure on some of STS-B's test pairs."""
    data = mw.read(real_data("stsb"), input=("column_0", "column_1"), label="column_2")
    some = data.test.select(np.arange(0, len(data.test), 20))
    assert mw.load(real_model("all-MiniLM-L6-v2")).evaluate(some)["spearman"] == pytest.approx(0.82, abs=0.03)
