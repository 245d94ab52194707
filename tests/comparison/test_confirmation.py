"""Rows that are kept apart: nobody learns from them or is tested on them, and the chosen entry alone is scored."""

import json
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.comparison import confirmation
from manyways.comparison.compare import compare
from manyways.comparison.comparison_plan import make_plan
from manyways.comparison.results import Comparison, read_results, write_results
from manyways.data.apart import kept_apart
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import DataError, ParameterError
from manyways.models.evaluation import Evaluation
from manyways.models.model import Model
from manyways.training.budget import Budget


def same(data: Data, other: Data) -> int:
    """The number of rows of `data` that are in `other`, too."""
    return len({tuple(each) for each in data.ids.tolist()} & {tuple(each) for each in other.ids.tolist()})


def test_rows_kept_apart_are_nowhere_else() -> None:
    data = mw.read("digits")
    rest, apart = kept_apart(data, 0.2, "random")
    assert (len(apart), len(rest)) == (359, 1438)
    assert len(apart.test) == len(apart)
    plan = make_plan(data, ["ridge"], None, Budget.of("5 steps"), 3, None, Splitting(), 0, confirm=0.2)
    assert plan.apart is not None
    for seed in range(3):
        for split in plan.splits(seed):
            assert same(split.of(plan.rows), plan.apart) == 0
    assert set(data.classes) == set(apart.take("label").tolist())


def test_a_group_is_kept_apart_whole() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5).astype(str)
    data = mw.read({"x": rng.normal(size=200), "who": people, "label": rng.choice(["a", "b"], 200)}, group="who")
    rest, apart = kept_apart(data, 0.25, "random")
    assert not set(apart.take("who")) & set(rest.take("who"))
    assert 30 <= len(apart) <= 70


def test_the_last_rows_in_time_are_kept_apart() -> None:
    data = mw.read({"x": np.arange(100.0), "when": np.arange(100), "label": ["a", "b"] * 50}, time="when")
    rest, apart = kept_apart(data, 0.2, "time")
    assert apart.take("when").min() > rest.take("when").max()


def test_of_own_test_rows_a_share_is_kept_apart() -> None:
    data = mw.read("digits").with_test(0.5)
    rest, apart = kept_apart(data, 0.5, "own")
    assert same(apart, data.training) == 0
    assert len(rest.training) == len(data.training)
    assert abs(len(rest.test) - len(apart)) <= 1


@pytest.mark.parametrize("share", [0, 1, -0.1, True, "a fifth"])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match=r"confirm must be a number in \(0, 1\); got"):
        kept_apart(mw.read("digits"), share, "random")


def test_an_environment_has_no_rows_to_keep_apart() -> None:
    with pytest.raises(DataError, match="has no rows to keep apart"):
        kept_apart(mw.read("CartPole-v1"), 0.2, "own")


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, list[str]]:
    """A comparison of two entries on digits, and which were scored on the rows kept apart."""
    scored: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANYWAYS_HOME", str(tmp_path_factory.mktemp("home")))
        models = confirmation._models

        def noting(plan: confirmation.ComparisonPlan, chosen: str, folder: Path) -> list[Model]:
            scored.append(chosen)
            return models(plan, chosen, folder)

        patch.setattr(confirmation, "_models", noting)
        return compare(
            "digits", methods=["ridge", "nearest-centroid"], seeds=2, workers=0, confirm=0.2, budget="5 steps"
        ), scored


def test_only_the_chosen_entry_is_scored_on_them(confirmed: tuple[Comparison, list[str]]) -> None:
    comparison, scored = confirmed
    assert comparison.conclusion is not None
    assert comparison.confirmed is not None
    assert scored == [comparison.conclusion.recommended] == [comparison.confirmed.name]
    assert comparison.data.rows == 1438
    assert comparison.confirmed.rows == 359


def test_it_is_scored_by_its_models_of_all_seeds_with_an_interval(confirmed: tuple[Comparison, list[str]]) -> None:
    found = confirmed[0].confirmed
    assert found is not None
    assert len(found.scores) == 2
    assert found.score is not None
    assert found.low is not None
    assert found.high is not None
    assert 0.8 < found.low < found.score < found.high < 1
    assert found.score == pytest.approx(np.mean([score for score in found.scores if score is not None]))
    assert found.high - found.low > 0.02, "359 rows tell no accuracy of 94% by a point"


def test_the_conclusion_and_the_results_say_so(confirmed: tuple[Comparison, list[str]], tmp_path: Path) -> None:
    comparison = confirmed[0]
    assert comparison.conclusion is not None
    text = " ".join((*comparison.conclusion.sentences, *comparison.conclusion.cautions))
    assert "On 359 rows that were kept apart, and that no other entry was scored on, " in text
    assert "flattering" not in text
    path = write_results(comparison, tmp_path / "results.json")
    assert json.loads(path.read_text())["confirmed"]["rows"] == 359
    assert read_results(path).confirmed == comparison.confirmed


def test_without_them_the_conclusion_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path))
    comparison = compare("wine", methods=["ridge", "nearest-centroid"], seeds=2, workers=0, budget="5 steps")
    assert comparison.confirmed is None
    assert comparison.conclusion is not None
    assert any(
        sentence.startswith("The best of 2 was chosen on these test rows, so its own score is a little flattering")
        for sentence in comparison.conclusion.cautions
    )
    assert comparison.interval_over == ("seeds", "test rows")


def test_a_score_that_needs_more_than_these_rows_is_not_confirmed() -> None:
    """Evaluations without the metric, or without contributions of rows."""
    plan = make_plan(mw.read("digits"), ["ridge"], None, Budget.of("5 steps"), 2, None, Splitting(), 0, confirm=0.2)
    assert plan.apart is not None
    table = confirmation._table(plan, plan.apart, np.array([[0.9, 0.8]]), [Evaluation({"accuracy": 0.9})] * 2)
    assert table.rows is None
