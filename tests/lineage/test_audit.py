"""Audit: attacks that tell the rows of an overfitted model, and find nothing once they are forgotten exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from manyways.data.data import Data
from manyways.data.read import read
from manyways.errors import DataError, ModelError, NeedsError
from manyways.lineage.audit.membership_inference import STATEMENT, AuditResult, RowScores, _rmia, audit, row_scores
from manyways.lineage.audit.reference_models import train_references
from manyways.lineage.audit.roc import auc, roc, true_positive_rate
from manyways.methods.language.sft import SFT
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.nearest_neighbours import NearestNeighbours
from manyways.methods.supervised.ridge import Ridge
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.unlearning.sharded import Sharded
from manyways.models.predictor import Predictor
from manyways.models.saving import load_model


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    """Digits in no order: 200 to learn from, 300 that are never seen, and 1,200 for reference."""
    data = read("digits")
    mixed = data.select(np.random.default_rng(0).permutation(len(data)))
    return mixed.select(np.arange(200)), mixed.select(np.arange(200, 500)), mixed.select(np.arange(500, 1700))


def _quarter(rows: Data) -> np.ndarray:  # type: ignore[type-arg]
    return np.arange(len(rows)) % 4 == 0


# --- statistics -----------------------------------------------------------------------------------


def test_area_is_that_of_scikit_learn_and_its_interval_that_of_resampling() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.normal(0.7, 1.3, 80).round(1), rng.normal(0, 1, 200).round(1)
    found = auc(members, others)
    truth = np.concatenate([np.ones(80), np.zeros(200)])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))
    again = [auc(rng.choice(members, 80), rng.choice(others, 200)).value for _ in range(2000)]
    low, high = np.quantile(again, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_intervals_hold_what_they_promise() -> None:
    """Of 95% intervals about 95 in 100 hold the truth: the area under two normal curves one deviation apart."""
    rng = np.random.default_rng(1)
    truth, held = 0.7602499389065233, 0
    for _ in range(400):
        found = auc(rng.normal(1, 1, 60), rng.normal(0, 1, 60))
        held += found.low <= truth <= found.high
    assert 0.92 < held / 400 < 0.98


def test_scores_that_tell_all_apart_are_not_certain() -> None:
    found = auc(np.ones(40), np.zeros(100))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.9 < found.low < 0.95


def test_hits_are_counted_above_what_one_in_a_hundred_others_reach() -> None:
    others = np.arange(200.0)
    found = true_positive_rate(np.array([198.5, 196.5, 500.0, 3.0]), others, 0.01)
    assert found.value == 0.5, "two of the others may be above the threshold: 198 and 199"
    interval = binomtest(2, 4).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    none, every = true_positive_rate(np.zeros(9), others, 0.01), true_positive_rate(np.full(9, 1e3), others, 0.01)
    assert (none.value, none.low, every.value, every.high) == (0, 0, 1, 1)


def test_roc_runs_from_nothing_to_everything() -> None:
    false, true = roc(np.array([3.0, 2.0]), np.array([2.5, 1.0]))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_ratios_order_rows_as_the_published_score_does() -> None:
    """RMIA counts the reference rows whose ratio is smaller by a factor γ; that grows with the ratio itself."""
    rng = np.random.default_rng(2)
    own, outside = np.log(rng.random(50)), [np.log(rng.random(50)) for _ in range(4)]
    ratio = _rmia(RowScores(own, own), [RowScores(each, each) for each in outside])
    mean = np.exp(outside).mean(0)
    np.testing.assert_allclose(np.exp(ratio), np.exp(own) / (0.5 * (1.3 * mean + 0.7)))
    others = rng.lognormal(size=500)
    published = (np.exp(ratio)[:, None] / others >= 2).mean(1)
    assert (np.diff(published[np.argsort(ratio)]) >= 0).all()


def test_what_a_model_says_is_its_log_probability_and_its_log_odds(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, _ = parts
    model = Supervised(augment=False, size=0.5).fit(rows, budget=20)
    found = row_scores(model, unseen)
    right = model.probabilities(unseen)[np.arange(len(unseen)), unseen.take("label")].astype(np.float64)
    np.testing.assert_allclose(np.exp(found.likelihood), right, atol=1e-6)
    some = (right > 1e-3) & (right < 0.999)
    np.testing.assert_allclose(found.confidence[some], np.log(right / (1 - right))[some], atol=1e-3)
    assert np.isfinite(found.confidence).all()


# --- attacks --------------------------------------------------------------------------------------


def test_neighbours_tell_their_own_rows_until_they_forget_them(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    method, gone = NearestNeighbours(neighbours=3, weights="distance"), _quarter(rows)
    before = method.fit(rows)
    after = method.forget(before, rows, gone)
    others = train_references(before, reference, 8)
    found = [audit(model, rows.select(gone), unseen, reference, references=others) for model in (before, after)]
    assert [result.listed for result in found] == [50, 0]
    for name in ("loss", "lira", "rmia"):
        was, now = (result.attack(name) for result in found)
        assert was.auc.low > 0.55
        assert now.auc.low < 0.5 < now.auc.high


def test_an_overfitted_network_is_found_out(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    rows = rows.select(np.arange(100))
    method, gone = Supervised(augment=False, size=0.5), _quarter(rows)
    model, without = method.fit(rows, budget=100), method.fit(rows.select(~gone), budget=100)
    others = train_references(model, reference.select(np.arange(200)), 4)
    before, after = (audit(each, rows.select(gone), unseen, reference, references=others) for each in (model, without))
    assert before.attack("lira").auc.low > 0.55
    assert after.attack("lira").auc.low < 0.5 < after.attack("lira").auc.high


def test_references_are_one_population_on_halves_of_the_rows(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    model = Supervised(augment=False, size=0.5).fit(rows, budget=60)
    others = train_references(model, reference.hide(np.arange(200)), 3, seed=4)
    halves = [{row.tobytes() for row in each.lineage.rows} for each in others]
    assert all(400 < len(half) < 600 for half in halves)
    assert len(halves[0] & halves[1]) < 300
    hidden = {row.tobytes() for row in reference.ids[:200]}
    assert not hidden & set.union(*halves)
    assert all(isinstance(each, Predictor) and each.evaluate(unseen)["accuracy"] > 0.75 for each in others)
    again = train_references(model, reference.hide(np.arange(200)), 3, seed=4)
    assert np.array_equal(again[1].outputs(unseen), others[1].outputs(unseen))
    assert not np.array_equal(others[0].outputs(unseen), others[1].outputs(unseen))


def test_other_models_are_compared_with_those_of_their_own_method(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    model = Sharded(method=Ridge(), shards=3).fit(rows)
    result = audit(model, rows.select(_quarter(rows)), unseen, reference, references=3)
    assert result.references == 3
    assert result.title == "sharded(method=ridge, shards=3)"
    start = SimCLR(batch_size=32).fit(reference, budget=2)
    tuned = FineTune().fit(rows, start, budget=3)
    with pytest.raises(NeedsError, match="started from a model, and so must those that it is compared with: start="):
        audit(tuned, rows.select(_quarter(rows)), unseen, reference, references=2)
    assert audit(tuned, rows.select(_quarter(rows)), unseen, reference, references=2, start=start).references == 2


def test_numbers_and_no_references(parts: tuple[Data, Data, Data]) -> None:
    data = read("diabetes")
    rows, unseen = data.select(np.arange(100)), data.select(np.arange(100, 300))
    result = audit(NearestNeighbours(neighbours=1).fit(rows), rows, unseen)
    assert [attack.name for attack in result.attacks] == ["loss"]
    assert result.attack("loss").auc.value > 0.95


def test_a_language_model_tells_what_it_was_told(real_data: Callable[[str], Path]) -> None:
    prompts = [
        f"{name} {family} has a" for name in ("Tom", "Lily", "Ben", "Mia") for family in ("Green", "Hill", "Rose")
    ]
    said_ = [f" {pet}." for pet in np.random.default_rng(0).choice(["cat", "dog", "bird", "fish", "frog"], 12)]
    data = read({"prompt": prompts, "completion": said_})
    rows, unseen = data.select(np.arange(12) % 2 == 0), data.select(np.arange(12) % 2 == 1)
    start = load_model(real_data("tinystories-656K"))
    model = SFT(learning_rate=2e-3, batch_size=6).fit(rows, start, budget=25)
    before, after = (audit(each, rows, unseen).attack("loss").auc for each in (start, model))
    assert after.value > before.value
    assert after.low > 0.5


# --- results --------------------------------------------------------------------------------------


def test_results_are_written_and_read_and_say_that_they_prove_nothing(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    result = audit(Ridge().fit(rows), rows.select(_quarter(rows)), unseen, reference, references=2, seed=3)
    written = json.loads(json.dumps(result.to_json()))
    assert AuditResult.from_json(written) == result
    assert written["statement"] == STATEMENT
    assert STATEMENT.startswith("Evidence, not proof")
    points = result.attack("rmia").roc
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert len(points) <= 202


def test_rows_that_overlap_are_refused(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, reference = parts
    model = Ridge().fit(rows)
    with pytest.raises(DataError, match="200 of the forgotten rows are among the unseen rows, too"):
        audit(model, rows, rows)
    with pytest.raises(DataError, match="300 of the unseen rows are among the reference rows, too"):
        audit(model, rows, unseen, unseen)
    with pytest.raises(DataError, match="200 of the 200 unseen rows shaped ridge"):
        audit(model, reference.select(np.arange(9)), rows)
    with pytest.raises(DataError, match="two are the least; got 1"):
        audit(model, rows.select(np.arange(1)), unseen)
    with pytest.raises(DataError, match="Reference models must not have seen the rows they are asked of; ridge has"):
        audit(Ridge().fit(reference), rows, unseen, references=[model])


def test_models_that_say_nothing_of_labels_are_refused(parts: tuple[Data, Data, Data]) -> None:
    rows, unseen, _ = parts
    with pytest.raises(ModelError, match="says nothing of labels or texts that an audit could compare"):
        audit(SimCLR(batch_size=32).fit(rows, budget=1), rows, unseen)


@pytest.mark.slow
def test_exact_forgetting_leaves_nothing_to_find_in_garments(real_data: Callable[[str], Path]) -> None:
    """400 rows learned by heart: LiRA finds them, and no more in the model whose shard was trained without them."""
    data = read(real_data("fashion-mnist"))
    mixed = data.select(np.random.default_rng(0).permutation(np.flatnonzero(data.part == 0)))
    rows, unseen = mixed.select(np.arange(400)), mixed.select(np.arange(400, 1400))
    reference, gone = mixed.select(np.arange(1400, 2200)), _quarter(rows)
    method = Sharded(method=Supervised(augment=False, size=0.5), shards=2)
    before = method.fit(rows, budget=400)
    after, without = method.forget(before, rows, gone), method.fit(rows.select(~gone), budget=400)
    others = train_references(before.members[0], reference.select(np.arange(400)), 8)  # type: ignore[attr-defined]
    found = [audit(each, rows.select(gone), unseen, reference, references=others) for each in (before, after, without)]
    assert found[0].attack("lira").auc.low > 0.7
    for name in ("loss", "lira", "rmia"):
        assert found[1].attack(name) == found[2].attack(name), "bitwise the same model"
        assert found[1].attack(name).auc.low < 0.52
