"""Sharded: a row reaches one model of the committee, and forgetting it trains that one from its slice on, bitwise."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.errors import NeedsError, ParameterError
from manyways.methods.method import Method
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.semi_supervised.fixmatch import FixMatch
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.methods.supervised.nearest_neighbours import NearestNeighbours
from manyways.methods.supervised.ridge import Ridge
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.unlearning._shards import Division
from manyways.methods.unlearning.sharded import Sharded
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.models.committee import Committee
from manyways.models.model import Model
from manyways.models.saving import load_model
from manyways.testing.trial import difference
from manyways.training.events import Event
from manyways.training.run import Run


def _rows(data: Data, *places: int) -> np.ndarray:  # type: ignore[type-arg]
    """A mask of some of the training rows, by their places among them."""
    mask = np.zeros(len(data), bool)
    mask[np.flatnonzero(data.part[data.rows] == 0)[list(places)]] = True
    return mask


def _fit(method: Method, data: Data, model: Model | None = None, budget: int = 12, seed: int = 0) -> Committee:
    made = method.fit(data, model, budget=budget, seed=seed)
    assert isinstance(made, Committee)
    return made


def _same(ours: Committee, theirs: Committee) -> bool:
    """Whether all models of all slices are bitwise the same."""
    pairs = [
        (our, their)
        for left, right in zip(ours.seats, theirs.seats, strict=True)
        for our, their in zip(left.models, right.models, strict=True)
    ]
    return all(
        (our is None and their is None) or (our is not None and their is not None and difference(our, their) is None)
        for our, their in pairs
    )


@pytest.mark.quick
def test_where_a_row_is_follows_from_the_row_and_the_seed(digits: Data) -> None:
    whole, some = Division(digits, 7, 3, 5), np.arange(len(digits)) % 3 == 0
    part = Division(digits.select(some), 7, 3, 5)
    assert np.array_equal(whole.shard[some], part.shard)
    assert np.array_equal(whole.piece[some], part.piece)
    assert not np.array_equal(whole.shard, Division(digits, 7, 3, 6).shard)
    sizes = np.bincount(whole.shard[whole.shard >= 0], minlength=7)
    assert sizes.min() > 0.7 * sizes.mean()
    labelled = digits.with_labels(200, seed=5, draw="stratified").labelled
    assert np.bincount(whole.shard[labelled & (whole.shard >= 0)], minlength=7).min() > 10, "one seed, two draws"
    table = np.zeros((7, 3))
    np.add.at(table, (whole.shard[whole.shard >= 0], whole.piece[whole.shard >= 0]), 1)
    assert table.min() > 0.6 * table.mean(), "shard and slice are independent"


def test_each_shard_is_what_its_rows_alone_would_train(digits: Data) -> None:
    method = Sharded(method=Supervised(), shards=4)
    committee, division = _fit(method, digits, seed=3), Division(digits, 4, 1, 3)
    for seat in committee.seats:
        (rows,) = division.rows(seat.number)
        alone = Supervised().fit(rows, budget=3, seed=division.seed_of(seat.number))
        assert seat.voter is not None
        assert difference(alone, seat.voter) is None


def test_forgetting_trains_one_shard_from_one_slice_on(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    method = Sharded(shards=4, slices=3)
    committee, division = _fit(method, digits, budget=24), Division(digits, 4, 3, 0)
    training = np.flatnonzero(digits.part[digits.rows] == 0)
    place = int(np.flatnonzero((division.shard[training] == 2) & (division.piece[training] == 1))[0])
    gone, trained = _rows(digits, place), []
    fit = Supervised.fit

    def watched(self: Supervised, data: Data, *arguments: object, **options: object) -> Model:
        trained.append(len(data))
        return fit(self, data, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Supervised, "fit", watched)
    forgot = method.forget(committee, digits, gone)
    sizes = [len(rows) for rows in Division(digits.select(~gone), 4, 3, 0).rows(2)]
    assert trained == sizes[1:], "the second and third slice of the third shard"
    assert isinstance(forgot, Committee)
    assert _same(forgot, _fit(method, digits.select(~gone), budget=24))
    kept = [seat.number for seat, now in zip(committee.seats, forgot.seats, strict=True) if seat.voter is now.voter]
    assert kept == [0, 1, 3]


@pytest.mark.parametrize(
    "method",
    [
        Sharded(method=Ridge(), shards=5),
        Sharded(method=NaiveBayes(), shards=5, slices=2, vote="majority"),
        Sharded(method=SimCLR(batch_size=32) >> FineTune(), shards=2, slices=2),
        Sharded(method=Supervised(backbone="vit", size=0.5, batch_size=16), shards=2, slices=2),
    ],
    ids=str,
)
def test_wraps_any_method(method: Sharded, digits: Data, tmp_path: Path) -> None:
    gone = _rows(digits, 5, 300)
    saved = load_model(_fit(method, digits, budget=16).save(tmp_path / "model"))
    forgot = method.forget(saved, digits, gone)
    assert isinstance(forgot, Committee)
    assert _same(forgot, _fit(method, digits.select(~gone), budget=16))


def test_starts_from_a_model_that_it_keeps(digits: Data, tmp_path: Path) -> None:
    """A shard that is trained anew begins where all began, although only the committee is there."""
    even = np.arange(len(digits)) % 2 == 0
    start = SimCLR(batch_size=32).fit(digits.select(~even), budget=3)
    rows, method = digits.select(even), Sharded(method=FineTune(), shards=3, slices=2)
    gone = _rows(rows, 4, 77)
    loaded = load_model(_fit(method, rows, start).save(tmp_path / "model"))
    forgot = method.forget(loaded, rows, gone)
    assert isinstance(forgot, Committee)
    assert _same(forgot, _fit(method, rows.select(~gone), start))
    both = _fit(method, digits, start)
    with pytest.raises(NeedsError, match=r"rows shaped simclr\(batch_size=32\), too"):
        method.forget(both, digits, _rows(digits, *range(8)))


def test_validation_rows_belong_to_shards_too(digits: Data) -> None:
    """What stops a shard early is a row like any other: it must not reach the other shards."""
    data = digits.with_validation(0.1)
    method = Sharded(shards=3)
    gone = _rows(data, 3) | (np.arange(len(data)) == np.flatnonzero(data.part[data.rows] == 1)[0])
    forgot = method.forget(_fit(method, data, budget=24), data, gone)
    assert isinstance(forgot, Committee)
    assert _same(forgot, _fit(method, data.select(~gone), budget=24))


def test_the_lineage_says_which_shard_a_row_reached(digits: Data) -> None:
    committee, row = _fit(Sharded(shards=4, slices=2), digits), digits.ids[_rows(digits, 9)][0]
    reached = [seat.number for seat in committee.seats if seat.voter and row in seat.voter.lineage.all_rows()]
    assert reached == [int(Division(digits, 4, 2, 0).shard[_rows(digits, 9)][0])]
    assert committee.lineage.facts == {"shards": 4, "members": 4}


def test_a_shard_without_a_class_votes_on_all_the_same(digits: Data) -> None:
    few = digits.with_labels(50, draw="stratified")
    committee = _fit(Sharded(method=NearestNeighbours(neighbours=1), shards=6), few)
    for member in committee.members:
        assert member.target is not None
        assert len(member.target.classes) == 10
        assert len(set(member.predict(digits.test).tolist())) < 10
    assert committee.evaluate(digits.test)["accuracy"] > 0.5


def test_shards_without_labels_have_no_vote(digits: Data) -> None:
    few, method = digits.with_labels(12, draw="stratified"), Sharded(method=Ridge(), shards=20)
    committee = _fit(method, few)
    assert 0 < len(committee.members) < 12
    assert committee.lineage.facts == {"shards": 20, "members": len(committee.members)}
    gone = np.zeros(len(few), bool)
    gone[np.flatnonzero(few.labelled & (few.part[few.rows] == 0))[:4]] = True
    forgot = method.forget(committee, few, gone)
    assert isinstance(forgot, Committee)
    assert _same(forgot, _fit(method, few.select(~gone)))


def test_regression_is_averaged(diabetes: Data) -> None:
    committee = _fit(Sharded(method=Ridge(), shards=3), diabetes)
    assert committee.gives == {"regress"}
    assert committee.evaluate(diabetes.test)["r2"] > 0.35


def test_a_budget_in_seconds_is_repeated_in_steps(digits: Data) -> None:
    method = Sharded(shards=2)
    committee = method.fit(digits, budget="0.2s")
    forgot = method.forget(committee, digits, _rows(digits, 3))
    assert [each.steps for each in forgot.lineage.parents] == [each.steps for each in committee.lineage.parents]
    assert forgot.lineage.plan == committee.lineage.plan
    assert sorted(forgot.lineage.plan) == ["shard-0/slice-1", "shard-1/slice-1"]


@pytest.mark.quick
@pytest.mark.parametrize("base", [KMeans(), SimCLR()])
def test_methods_that_do_not_learn_labels_are_refused(base: Method) -> None:
    with pytest.raises(NeedsError, match=r"Sharded\.method must be one that learns from labels .*; got"):
        Sharded(method=base)


def test_what_cannot_be_divided_is_refused(digits: Data) -> None:
    shard = Division(digits, 20, 1, 0).shard
    two = digits.select(np.array([np.flatnonzero(shard == number)[0] for number in (3, 4)])).hide(np.array([0]))
    with pytest.raises(NeedsError, match="None of the 20 shards of digits has rows enough for fixmatch"):
        Sharded(method=FixMatch(), shards=20).fit(two)
    with pytest.raises(ParameterError, match=r"Sharded\.shards must be in \[1, inf\)"):
        Sharded(shards=0)


class _Killed(BaseException):
    """Stands for a kill."""


def test_a_run_that_was_killed_trains_only_the_shards_that_are_left(digits: Data, tmp_path: Path) -> None:
    method, begun = Sharded(shards=4), []

    def watch(event: Event) -> None:
        if event.kind == "start":
            begun.append(event.stage)
            if len(begun) == 3:
                raise _Killed

    with pytest.raises(_Killed):
        method.fit(digits, budget=12, run=Run(tmp_path / "run", [watch]))
    again: list[str] = []
    model = method.fit(
        digits, budget=12, run=Run(tmp_path / "run", [lambda e: again.append(e.stage) if e.kind == "start" else None])
    )
    assert [stage.split("/")[0] for stage in begun] == ["shard-0", "shard-1", "shard-2"]
    assert [stage.split("/")[0] for stage in again] in (["shard-3"], ["shard-2", "shard-3"])
    assert difference(_fit(method, digits), model) is None


def _train(folder: str, out: "multiprocessing.Queue[list[str]]") -> None:
    import torch

    torch.set_num_threads(1)
    trained: list[str] = []

    def watch(event: Event) -> None:
        if event.kind == "start":
            trained.append(event.stage.split("/")[0])
            time.sleep(0.3)

    data = read("digits").with_test(0.25)
    Sharded(shards=6).fit(data, budget=12, run=Run(Path(folder), [watch]))
    out.put(trained)


@pytest.mark.slow
def test_two_processes_share_the_shards_of_one_run(digits: Data, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[str]] = context.Queue()
    both = [context.Process(target=_train, args=(str(tmp_path / "run"), out)) for _ in range(2)]
    for process in both:
        process.start()
    shares = [out.get(timeout=120) for _ in both]
    for process in both:
        process.join()
    assert sorted([*shares[0], *shares[1]]) == [f"shard-{number}" for number in range(6)], "each is trained once"
    model = Sharded(shards=6).fit(digits, budget=12, run=Run(tmp_path / "run"))
    assert difference(_fit(Sharded(shards=6), digits), model) is None


@pytest.mark.slow
def test_forgetting_a_garment_costs_a_fifteenth_of_training(real_data: Callable[[str], Path]) -> None:
    data, method = read(real_data("fashion-mnist")), Sharded(shards=20)
    began = time.perf_counter()
    committee = method.fit(data, budget=1200)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    forgot = method.forget(committee, data, _rows(data, 12345))
    assert whole / (time.perf_counter() - began) > 15
    few = data.test.select(np.arange(1000))
    assert forgot.evaluate(few)["accuracy"] > 0.55
