"""The labels that a comparison allows are all that any composition of methods sees, and each is paid for once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.job import Job, Outcome, run_job
from manyways.data.data import Data
from manyways.data.given import DRAWS
from manyways.methods.method import Learned, Method
from manyways.models.saving import load_model
from manyways.testing.trial import difference

ALLOWED = 40
SEEN: set[bytes] = set()
LATEST: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Watched(mw.LinearProbe):
    """A linear probe that keeps which true labels it was shown."""

    penalty: float | None = 1.0

    def learn(self, data: Data, *rest: Any) -> Learned:
        shown = data.training.ids[data.training.truly_labelled]
        SEEN.update(row.tobytes() for row in shown)
        LATEST.append(len(shown))
        return super().learn(data, *rest)


@pytest.fixture(autouse=True)
def forget() -> None:
    SEEN.clear()
    LATEST.clear()


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").select(np.arange(900)).with_test(0.3)


BASE = Watched()
ACTIVE = mw.ActiveLearning(base=BASE, rounds=2)
COMPOSED: dict[str, Method] = {
    "active": ACTIVE,
    "self-training around active": mw.SelfTraining(base=ACTIVE, threshold=0.7, rounds=3),
    "active around active": mw.ActiveLearning(base=ACTIVE, rounds=2),
    "active around self-training around active": mw.ActiveLearning(base=mw.SelfTraining(base=ACTIVE, rounds=2)),
    "active, then active": ACTIVE >> ACTIVE,
    "active, then a probe": ACTIVE >> BASE,
    "active, then a chain": ACTIVE >> (ACTIVE >> BASE),
    "self-training around active, then a probe": mw.SelfTraining(base=ACTIVE, rounds=2) >> BASE,
    "asking for most of them": mw.ActiveLearning(base=BASE, questions=30),
    "shards": mw.Sharded(method=ACTIVE, shards=2),
    "an oracle": mw.ActiveLearning(base=BASE, oracle=lambda rows: list(rows.take("label"))) >> ACTIVE,
}


def run(method: Method, data: Data, folder: Path, **more: Any) -> Outcome:
    job = Job("tried", ALLOWED, 0, "12 steps", "accuracy", keep_model=True, **more)
    return run_job(job, data, folder, lambda _: None, method)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("way", COMPOSED)
def test_no_composition_sees_more_labels_than_are_allowed(way: str, draw: Any, digits: Data, tmp_path: Path) -> None:
    outcome = run(COMPOSED[way], digits, tmp_path, draw=draw)
    assert outcome.error is None
    assert len(SEEN) == ALLOWED, "neither more, nor fewer than it may"
    lineage = load_model(tmp_path / "model").lineage
    assert {row.tobytes() for row in lineage.all_labels()} == SEEN


@pytest.mark.parametrize("way", [name for name in COMPOSED if name.endswith("a probe")])
def test_a_stage_learns_from_what_the_one_before_it_asked_for(way: str, digits: Data, tmp_path: Path) -> None:
    assert run(COMPOSED[way], digits, tmp_path).error is None
    assert LATEST[-1] == ALLOWED


def test_both_stages_of_a_chain_ask_for_some(digits: Data, tmp_path: Path) -> None:
    assert run(ACTIVE >> ACTIVE, digits, tmp_path).error is None
    assert LATEST == [10, 20, 30, 30, 35, 40], "half of all, then half of the other half"


def test_outside_of_a_comparison_a_nested_method_asks_once(digits: Data) -> None:
    few = digits.with_labels(20)
    mw.SelfTraining(base=ACTIVE, threshold=0.7, rounds=3).fit(few)
    assert len(SEEN) == 40, "as many as were given, in all rounds together"


def test_what_no_labels_are_left_for_is_trained_once(digits: Data) -> None:
    ACTIVE.fit(digits.with_labels(20, allowance=0))
    assert LATEST == [20]


# --- methods of other packages -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asks(mw.LinearProbe):
    """A stranger's method that reveals all labels."""

    penalty: float | None = 1.0

    def learn(self, data: Data, *rest: Any) -> Learned:
        return super().learn(data.reveal(np.flatnonzero(~data.labelled & data.known)), *rest)


@dataclass(frozen=True, kw_only=True)
class AsksTwice(Method):
    """A stranger's method that reveals what it may of the data it is given, and then again of the same data."""

    gives: ClassVar = mw.LinearProbe.gives

    def asks(self, labels: int) -> int:
        return labels // 2

    def learn(self, data: Data, model: Any, budget: Any, seed: int, run: Any) -> Learned:
        hidden = np.flatnonzero(~data.labelled & data.known)
        models = [BASE.fit(data.reveal(hidden[at : at + 20]), seed=seed) for at in (0, 20)]
        return Learned(models[-1], data.training.labelled[:0], tuple(models))


@dataclass(frozen=True, kw_only=True)
class Peeks(Method):
    """A stranger's method that makes data of its own, in which all labels are visible."""

    gives: ClassVar = mw.LinearProbe.gives

    def learn(self, data: Data, model: Any, budget: Any, seed: int, run: Any) -> Learned:
        peeked = BASE.fit(replace(data, visible=np.ones_like(data.visible), meter=None), seed=seed)
        return Learned(peeked, np.zeros(len(data), bool), (peeked,))


CHEATS: list[tuple[Method, str]] = [
    (Asks(), "labels of digits are to be revealed, and 0 more may be"),
    (AsksTwice(), "20 more labels of digits are asked for, and 20 of the 20 that this training may reveal are spent"),
    (Peeks(), r"was shown 630 true labels, and 40 are allowed, so its score cannot be compared"),
]


@pytest.mark.parametrize(("method", "words"), CHEATS, ids=lambda value: type(value).__name__)
def test_a_method_that_cheats_is_an_entry_with_an_error(
    method: Method, words: str, digits: Data, tmp_path: Path
) -> None:
    outcome = run(method, digits, tmp_path)
    assert outcome.score is None
    assert outcome.error is not None
    assert re.search(words, outcome.error), outcome.error


# --- killed and resumed --------------------------------------------------------------------------


class Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("way", ["active, then active", "self-training around active", "an oracle"])
@pytest.mark.parametrize("after", [2, 4])
def test_a_killed_training_goes_on_with_what_it_had_asked_for(
    way: str, after: int, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = digits.with_labels(10, allowance=30)
    whole = COMPOSED[way].fit(few, budget=12)
    trainings, learn = 0, Watched.learn

    def dying(self: Watched, *given: Any) -> Learned:
        nonlocal trainings
        trainings += 1
        if trainings > after:
            raise Killed
        return learn(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Watched, "learn", dying)
        with pytest.raises(Killed):
            COMPOSED[way].fit(few, budget=12, run=mw.Run(tmp_path / "run"))
    SEEN.clear()
    resumed = COMPOSED[way].fit(few, budget=12, run=mw.Run(tmp_path / "run"))
    assert difference(whole, resumed) is None
    assert np.array_equal(whole.lineage.all_labels(), resumed.lineage.all_labels())
    assert len(resumed.lineage.all_labels()) == 40


def test_an_oracle_is_asked_once_also_where_the_training_is_killed(digits: Data, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def oracle(rows: Data) -> Sequence[Any]:
        if len(asked) == 10 and not again:
            raise Killed
        asked.extend(row.tobytes() for row in rows.ids)
        return list(rows.take("label"))

    again = False
    method = mw.ActiveLearning(base=BASE, questions=20, rounds=2, oracle=oracle) >> BASE
    few = digits.with_labels(20)
    with pytest.raises(Killed):
        method.fit(few, run=mw.Run(tmp_path / "run"))
    again = True
    model = method.fit(few, run=mw.Run(tmp_path / "run"))
    assert len(asked) == len(set(asked)) == 20
    assert LATEST[-1] == 40
    method.fit(few, run=mw.Run(tmp_path / "run"))
    assert len(asked) == 20, "what is done is not asked again"
    assert len(model.lineage.all_labels()) == 40
