"""Curricula: what comes first, how much of it, in every method that draws labelled rows."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.bases.rows import LabelledMethod
from manyways.training.budget import Budget
from manyways.training.learner import LabelledLearner
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer
from manyways.training.plan import plan_steps, spread
from manyways.training.samplers import make_sampler, sampler_text
from manyways.training.samplers.curriculum import Curriculum, competence


def rows(count: int = 200, *, hard: Any = None, **roles: Any) -> Data:
    """Rows of two classes, one of them rare, with a difficulty."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=count)
    y = np.where(np.arange(count) % 5 == 0, "rare", "usual").astype(object)
    hard = rng.permutation(count).astype(float) if hard is None else hard
    columns = [Column("x", "number", x), Column("y", "category", y), Column("hard", "number", hard)]
    given = {"input": ["x"], "label": ["y"], "difficulty": ["hard"], **roles}
    return Data.from_columns(columns, {name: each for name, each in given.items() if each}, name="toy")


def texts(count: int = 60) -> Data:
    """Texts of 1 to 20 words, of which the word zebra is rare."""
    texts = np.array([" ".join(["the"] * (1 + row % 20)) + " zebra" * (row == 0) for row in range(count)], object)
    y = np.array(["a", "b"], object)[np.arange(count) % 2]
    columns = [Column("t", "text", texts), Column("y", "category", y)]
    return Data.from_columns(columns, {"input": ["t"], "label": ["y"]}, name="texts")


def learner_of(sampler: str | Curriculum, data: Data, steps: int = 100, **fields: Any) -> LabelledLearner:
    method = mw.Supervised(sampler=sampler, **fields)
    assert isinstance(method, LabelledMethod)
    learner: LabelledLearner = method.begin(data, None, seed=0)
    learner.steps = steps
    return learner


def drawn(learner: LabelledLearner, step: int, size: int = 8, times: int = 60) -> np.ndarray:
    """The rows that are ever picked with the competence of `step`: other seeds, and the same order."""
    sampler: Any = learner.sampler
    learner.pick(learner.labelled, size, step)
    return np.unique(np.concatenate([
        sampler.rests_on.positions(sampler._easiest(learner.labelled, size, step, 0), size, each, 0)
        for each in range(times)
    ]))  # fmt: skip


@pytest.mark.quick
def test_competence_is_platanios_formula() -> None:
    for time in (0.0, 0.2, 0.5, 1.0):
        assert competence("root", time, 0.01) == pytest.approx(sqrt(time * (1 - 0.01**2) + 0.01**2))
        assert competence("linear", time, 0.1) == pytest.approx(0.1 + 0.9 * time)
    assert [competence("step", time, 0.01) for time in (0, 0.19, 0.21, 0.99, 3)] == [0.2, 0.2, 0.4, 1.0, 1.0]
    assert competence("root", 7.0, 0.01) == 1


@pytest.mark.quick
def test_it_begins_with_the_easiest_of_each_class_and_ends_with_all() -> None:
    learner = learner_of("curriculum(start=0.2, pacing=linear)", rows())
    hard, rare = rows().columns["hard"].values, np.arange(200) % 5 == 0
    first = drawn(learner, 0)
    assert len(first) == 40
    assert rare[first].sum() == 8, "a fifth of the easy rows, as of all"
    for kind in (rare, ~rare):
        easy = first[kind[first]]
        assert sorted(hard[easy]) == sorted(hard[kind])[: len(easy)]
    assert len(drawn(learner, 25)) == pytest.approx(120, abs=2)
    assert len(drawn(learner, 50)) == 200


@pytest.mark.quick
def test_hard_is_the_other_way_round_and_random_neither() -> None:
    easy, hard, random = (
        set(drawn(learner_of(f"curriculum(start=0.5, order={order})", rows()), 0))
        for order in ("easy", "hard", "random")
    )
    assert not easy & hard
    assert len(easy | hard) == 200
    assert 30 < len(random & easy) < 70


@pytest.mark.quick
def test_above_1_the_hardest_are_never_picked() -> None:
    learner = learner_of("curriculum(until=4)", rows())
    assert len(drawn(learner, 99)) == pytest.approx(200 * sqrt(99 / 400), abs=3)
    assert learner.sampler.facts()["curriculum"]["share_at_the_end"] == pytest.approx(sqrt(99 / 400), abs=0.01)


@pytest.mark.quick
def test_length_and_rarity_order_texts() -> None:
    data = texts()
    length = learner_of("curriculum(difficulty=length, start=0.2)", data)
    easy = drawn(length, 0)
    assert {row % 20 for row in easy} <= {0, 1, 2, 3, 4}
    rarity = learner_of("curriculum(difficulty=rarity, start=0.2)", data)
    values = rarity.sampler.difficulties.numpy()
    assert values[0] > values[20] + 3, "the rare word"
    counts = {"the": sum(1 + row % 20 for row in range(60)), "zebra": 1}
    by_hand = sum(np.log(sum(counts.values()) / counts[word]) for word in ("the", "zebra"))
    assert values[0] == pytest.approx(by_hand)


@pytest.mark.quick
def test_batches_by_length_hold_as_many_positions_in_the_easy_part() -> None:
    data = texts(400)
    learner = learner_of("curriculum(by-length, difficulty=length, start=0.2)", data)
    lengths = np.sum(learner.lengths(), axis=0) + 1
    usual = 16 * lengths.mean()
    positions = [lengths[learner.pick(learner.labelled, 16, 0)].sum() for _ in range(1)]
    first = np.mean([lengths[learner.sampler.positions(learner.labelled, 16, step, 0)].sum() for step in range(3)])
    assert first == pytest.approx(usual, rel=0.25)
    assert positions[0] == pytest.approx(usual, rel=0.25)
    assert len(learner.pick(learner.labelled, 16, 0)) > 30


def test_the_loss_of_a_small_model_tells_wrong_labels(tmp_path: Path) -> None:
    data = mw.read("digits").select(np.arange(600))
    labels = np.array(data.label.take(np.arange(len(data.part))), copy=True)
    wrong = np.arange(600) % 4 == 0
    labels[:600][wrong] = (labels[:600][wrong] + 3) % 10
    columns = {**data.columns, "label": Column("label", data.label.kind, labels)}
    noisy = Data.from_columns(columns.values(), data.roles, name="noisy").select(np.arange(600))
    learner = learner_of("curriculum(difficulty=loss, small_steps=60, until=4)", noisy)
    before = torch.random.get_rng_state()
    learner.prepare()
    assert torch.equal(before, torch.random.get_rng_state())
    losses = learner.sampler.difficulties.numpy()
    assert np.median(losses[wrong]) > 3 * np.median(losses[~wrong])
    again = learner_of("curriculum(difficulty=loss, small_steps=60, until=4)", noisy)
    again.load_state_dict(learner.state_dict())
    np.testing.assert_array_equal(again.pick(again.labelled, 32, 50), learner.pick(learner.labelled, 32, 50))


def test_the_budget_pays_for_the_small_model() -> None:
    data = rows(difficulty=[])
    method = mw.Supervised(sampler="curriculum(difficulty=loss, small_steps=30)", batch_size=8)
    assert method.fit(data, budget=40).lineage.steps == 10
    with pytest.raises(ParameterError, match="takes 31 steps at least"):
        method.fit(data, budget=20)
    learner = learner_of("curriculum(difficulty=loss, small_steps=30)", data, batch_size=8)
    optimizer = make_optimizer(method, learner)
    plain = mw.Supervised(batch_size=8)
    costs = {}
    for name, each in (("with", learner), ("without", plain.begin(data, None, 0))):
        costs[name] = plan_steps(method, each, optimizer if name == "with" else make_optimizer(plain, each),
                                 Budget(1e8, "flops"), 0, take_step)  # fmt: skip
    assert costs["with"] < costs["without"]


@pytest.mark.quick
def test_steps_that_grow_dearer_are_measured_all_over_the_run() -> None:
    assert [spread(number) for number in range(5)] == [0, 0.5, 0.25, 0.75, 0.125]


def test_every_method_with_a_sampler_accepts_the_role_difficulty() -> None:
    data = rows()
    for name in ("supervised", "fine-tune", "fixmatch", "mean-teacher", "distill"):
        method: Any = mw.parse_method(f"{name}(sampler=curriculum)")
        assert "difficulty" in method.roles_used(), name
        assert "difficulty" not in mw.parse_method(name).roles_used()
    with pytest.raises(NeedsError, match="does not use the role difficulty"):
        mw.Supervised().fit(data, budget=2)
    with pytest.raises(NeedsError, match="does not use the role difficulty"):
        mw.Supervised(sampler="curriculum(difficulty=loss)").fit(data, budget=300)
    hidden = data.hide(np.arange(100))
    mw.parse_method("fixmatch(sampler=curriculum, batch_size=4)").fit(hidden, budget=3)
    chain = mw.parse_method("self-training(base=supervised(sampler=curriculum))")
    assert "difficulty" in chain.roles_used()


@pytest.mark.quick
def test_constant_and_missing_difficulty_are_refused() -> None:
    with pytest.raises(DataError, match="The difficulty 'hard' of all 200 training rows of toy is 3, so that none is"):
        learner_of("curriculum", rows(hard=np.full(200, 3.0)))
    holes = np.arange(200.0)
    holes[[4, 9]] = np.nan
    with pytest.raises(DataError, match=r"'hard' is missing or not finite in 2 of 200 .* the first are 4, 9"):
        learner_of("curriculum", rows(hard=holes))
    with pytest.raises(NeedsError, match='no column has it. Name it: difficulty="…"'):
        learner_of("curriculum(difficulty=column)", rows(difficulty=[]))
    with pytest.raises(NeedsError, match="have no lengths that differ"):
        learner_of("curriculum(difficulty=length)", rows(difficulty=[]))
    with pytest.raises(NeedsError, match="no input that is text"):
        learner_of("curriculum(difficulty=rarity)", rows(difficulty=[]))


@pytest.mark.quick
def test_samplers_are_written_and_read_again() -> None:
    for text in ("curriculum", "curriculum(by-length, difficulty=length, order=hard)", "self-paced(start=0.3)",
                 "curriculum(self-paced(balanced, growth=2), pacing=step, until=2)"):  # fmt: skip
        assert sampler_text(text) == text
        assert make_sampler(make_sampler(text)).text == text
    assert sampler_text("curriculum( order='hard',start=.5 )") == "curriculum(order=hard, start=0.5)"
    given = mw.Supervised(sampler=mw.Curriculum("by-length", order="hard"))
    assert given.sampler == "curriculum(by-length, order=hard)"
    assert mw.parse_method(str(given)) == given
    assert mw.parse_method("supervised(sampler=curriculum(by-length, order=hard))") == given
    assert mw.parse_method("simclr >> fine-tune(sampler=balanced)").stages[1].sampler == "balanced"  # type: ignore[attr-defined]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("curriculum(order=hrd)", "Curriculum.order must be one of 'easy', 'hard', 'random'; got 'hrd'. Did you mean"),
        ("curriculum(oder=hard)", "'curriculum' has no field 'oder'; its fields are base, difficulty, pacing, order"),
        ("curriculum(until=0)", r"Curriculum.until must be a number in \(0, inf\); got 0"),
        ("curriculum(small_steps=1.5)", r"must be a whole number in \[1, inf\); got 1.5"),
        ("curriculum(epochs, length)", "does not fit its fields: too many positional"),
        ("curriculum(no-such)", "There is no sampler 'no_such'"),
        ("curriculum(f(", "is no sampler; write a name"),
        ("curriculum(start=1+1)", "neither a constant nor a name"),
        ("self-paced(growth=0.5)", r"SelfPaced.growth must be a number in \[1, inf\)"),
        ("epochs(size=3)", "The sampler 'epochs' has no field 'size'; it has none"),
    ],
)
def test_what_is_no_sampler_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=rf"Supervised.sampler .*{message}"):
        mw.Supervised(sampler=text)


def test_a_curriculum_goes_on_after_a_kill(tmp_path: Path) -> None:
    data, method = rows(), mw.Supervised(sampler="curriculum(difficulty=column, pacing=linear)", batch_size=8)
    whole = method.fit(data, budget=20)

    def stop(event: Any) -> None:
        if event.kind == "checkpoint" and event.step >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.fit(data, budget=20, run=mw.Run(tmp_path, checkpoint_seconds=0.0, listeners=(stop,)))
    again = method.fit(data, budget=20, run=mw.Run(tmp_path))
    for ours, theirs in zip(again.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert whole.lineage.facts["curriculum"]["difficulty"] == "column"


# --- self-paced ----------------------------------------------------------------------------------


@pytest.mark.quick
def test_self_paced_rows_weigh_by_their_loss() -> None:
    learner = learner_of("self-paced(start=0.5, growth=2)", rows(difficulty=[]), batch_size=50)
    sampler: Any = learner.sampler.train()
    assert sampler.weigh(torch.arange(4), torch.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [1, 1, 1, 1]
    losses = torch.arange(200.0)
    for step in range(4):  # the first epoch
        picked = learner.pick(learner.labelled, 50, step)
        sampler.weigh(torch.from_numpy(picked), losses[torch.from_numpy(picked)])
    assert not sampler.losses.isnan().any()
    learner.pick(learner.labelled, 50, 4)
    for kind in range(2):
        expected = np.quantile(losses[sampler.kinds == kind].numpy(), 0.5)
        assert float(sampler.thresholds[kind]) == pytest.approx(expected)
    usual = torch.tensor([1, 2, 196, 198])
    assert sampler.weigh(usual, losses[usual]).tolist() == [2, 2, 0, 0], "1 on average"
    learner.pick(learner.labelled, 50, 8)
    assert sampler.weigh(usual, losses[usual]).tolist() == [1, 1, 1, 1], "λ has doubled"
    assert sampler.weigh(usual[2:], torch.tensor([900.0, 900.0])).tolist() == [0, 0]


def test_self_paced_losses_weigh_in_the_loss_and_are_state() -> None:
    data = rows(difficulty=[])
    method: Any = mw.Supervised(sampler="self-paced(start=0.2, growth=1)", batch_size=50)
    learner = method.begin(data, None, 0).train()
    optimizer = make_optimizer(method, learner)
    for step in range(5):
        take_step(method, learner, optimizer, step, 20, 0)
    assert int(learner.sampler.epoch) == 1
    assert {"sampler.losses", "sampler.thresholds", "sampler.epoch"} <= set(learner.state_dict())
    batch = method.draw(learner, 5, torch.Generator())
    outputs = learner.network(batch["inputs"])
    losses = learner.target.losses(outputs, batch["labels"])
    easy = losses < learner.sampler.thresholds[batch["labels"]]
    assert 0 < int(easy.sum()) < 50
    assert learner.label_loss(outputs, batch).item() == pytest.approx(losses[easy].mean().item(), rel=1e-5)
    facts = mw.Supervised(sampler="self-paced", batch_size=50).fit(data, budget=9).lineage.facts
    assert facts["self_paced"]["epochs"] == 2
