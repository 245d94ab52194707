"""GRPO: its formulas by hand, its rollouts, rewards of every kind, and a model that learns from rewards alone."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, ParameterError, TrainingError
from manyways.methods.bases._rewards import likeness
from manyways.methods.bases._rollouts import NOTHING, RolloutLearner
from manyways.methods.expressions import parse_method
from manyways.methods.preference.grpo import GRPO, advantages, aggregate, divergence, surrogate
from manyways.methods.preference.reward_model import RewardModel
from manyways.models.language.packing import Answer, Group, pack
from manyways.models.language_model import LanguageModel
from manyways.randomness import generator
from manyways.training.events import Event
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer
from manyways.training.run import Run

AGGREGATIONS = ("grpo", "dr_grpo", "dapo")


def small(**fields: Any) -> GRPO:
    """Two prompts, four answers of six tokens each."""
    some = {"batch_size": 2, "group_size": 4, "longest": 6, "reward": likeness, "precision": "float32"}
    return GRPO(**{**some, **fields})


def rows(**columns: list[Any]) -> Data:
    """Rows whose columns have the roles that they are called; others are inputs."""
    kinds = {"row": "number", "label": "category"}
    made = [Column(name, kinds.get(name, "text"), np.array(values, object)) for name, values in columns.items()]
    roles = {"completions": "completion", "row": "input"}
    return Data.from_columns(made, {roles.get(name, name): [name] for name in columns})


def begun(method: GRPO, sums: Data, start: LanguageModel, seed: int = 0) -> RolloutLearner:
    """The learner of `method` as training has it."""
    learner = method.begin(sums, start, seed)
    learner.train()
    return learner


# --- formulas ------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("log_ratio", "advantage", "expected"),
    [
        (1.0, 1.0, -1.2),
        (-1.0, 1.0, -0.36787944),
        (0.1, 1.0, -1.10517092),
        (1.0, -1.0, math.e),
        (-1.0, -1.0, 0.8),
        (-0.1, -1.0, math.exp(-0.1)),
        (0.0, 2.5, -2.5),
    ],
)
def test_ratios_are_clipped_where_that_is_worse(log_ratio: float, advantage: float, expected: float) -> None:
    found = surrogate(torch.tensor([log_ratio]).exp(), torch.tensor([advantage]), 0.2, 0.2)
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.quick
def test_the_upper_clip_is_its_own() -> None:
    found = surrogate(torch.tensor([1.25, 1.4, 0.5]), torch.tensor([1.0, 1.0, -1.0]), 0.2, 0.28)
    torch.testing.assert_close(found, torch.tensor([-1.25, -1.28, 0.8]))


@pytest.mark.quick
def test_advantages_compare_the_answers_to_a_prompt() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [3.0, 3.0, 3.0, 7.0], [2.0, 2.0, 2.0, 2.0]])
    halves, one = 0.5 / (math.sqrt(1 / 3) + 1e-4), 1 / (2 + 1e-4)
    expected = torch.tensor([[halves, -halves, -halves, halves], [-one, -one, -one, 3 * one], [0.0] * 4])
    torch.testing.assert_close(advantages(rewards, scaled=True), expected, rtol=0, atol=1e-6)
    plain = torch.tensor([[0.5, -0.5, -0.5, 0.5], [-1.0, -1.0, -1.0, 3.0], [0.0] * 4])
    torch.testing.assert_close(advantages(rewards, scaled=False), plain)


@pytest.mark.quick
def test_divergence_is_an_unbiased_estimate_that_is_never_negative() -> None:
    said, reference = torch.tensor([-1.0, -1.0, -2.0]), torch.tensor([-1.0, 0.0, -3.0])
    expected = torch.tensor([0.0, math.e - 2, math.exp(-1)])
    torch.testing.assert_close(divergence(said, reference), expected, rtol=0, atol=1e-6)
    ours, theirs = torch.randn(2, 7, generator=generator(0)).log_softmax(1)
    found = (ours.exp() * divergence(ours, theirs)).sum()
    assert float(found) == pytest.approx(float((ours.exp() * (ours - theirs)).sum()), abs=1e-6)


@pytest.mark.quick
def test_aggregations_weigh_tokens_differently() -> None:
    """Answers of one and three tokens to one prompt, of two to another."""
    batch = pack([Group([5], [Answer([6]), Answer([7, 8, 9])]), Group([5, 6], [Answer([7, 8])])], 0)
    values = torch.tensor([1.0, 2.0, 3.0, 7.0, 5.0, 6.0])
    found = [float(aggregate(values, batch, how, longest=10)) for how in AGGREGATIONS]  # type: ignore[arg-type]
    assert found == pytest.approx([(1 + 4 + 5.5) / 3, 24 / 30, 24 / 6])


# --- the loss --------------------------------------------------------------------------------------


def alone(network: Any, prompt: Sequence[int], answer: Sequence[int], temperature: float) -> Tensor:
    """log p of each answer token, by a pass over this prompt and this answer."""
    logits = network(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].double() / temperature
    return logits.log_softmax(1)[torch.arange(len(prompt) - 1, len(prompt) + len(answer) - 1), torch.tensor(answer)]


def by_hand(method: GRPO, learner: RolloutLearner, old: list[Tensor], start: Any) -> float:
    """The loss of the learner's rollout as the papers write it, answer by answer."""
    high = 0.28 if method.aggregation == "dapo" else 0.2
    per_token: list[Tensor] = []
    at = 0
    for row, answers, rewards in zip(learner.prompt_rows, learner.tokens, learner.rewards.double(), strict=True):
        centred = rewards - rewards.mean()
        better = centred if method.aggregation == "dr_grpo" else centred / (rewards.std() + 1e-4)
        for answer, advantage in zip(answers, better, strict=True):
            ids, prompt = answer[answer != NOTHING].tolist(), learner.prompts[int(row)]
            now = alone(learner.network, prompt, ids, method.temperature)
            delta = alone(start, prompt, ids, method.temperature) - now
            ratio = (now - old[at]).exp()
            clipped = torch.min(ratio * advantage, ratio.clamp(0.8, 1 + high) * advantage)
            per_token.append(-clipped + method.beta * (delta.exp() - delta - 1))
            at += 1
    if method.aggregation == "grpo":
        return float(torch.stack([each.mean() for each in per_token]).mean())
    total = torch.cat(per_token)
    return float(total.sum() / (len(per_token) * method.longest) if method.aggregation == "dr_grpo" else total.mean())


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_loss_by_hand(sums: Data, reader_of_sums: LanguageModel, aggregation: Any) -> None:
    """On the later steps of a rollout, with clipping, with a reference and with a temperature."""
    method = small(aggregation=aggregation, beta=0.3, temperature=0.7, updates=3, learning_rate=3e-3, warmup=0.0)
    learner = begun(method, sums, reader_of_sums)
    optimizer = make_optimizer(method, learner)
    with torch.no_grad():
        method.draw(learner, 0, generator(0, 0))
        lists = zip(learner.prompt_rows, learner.tokens, strict=True)
        old = [
            alone(learner.network, learner.prompts[int(row)], answer[answer != NOTHING].tolist(), 0.7)
            for row, answers in lists
            for answer in answers
        ]
        assert len({len(each) for each in old}) > 1, "all answers are of one length"
    for step in range(3):
        batch = method.draw(learner, step, generator(0, 0))
        with torch.no_grad():
            loss, parts = method.loss(learner, batch)
            assert float(loss) == pytest.approx(by_hand(method, learner, old, reader_of_sums.network), abs=1e-6)
        assert (float(parts["clipped"]) > 0) == (step > 0)
        assert (float(parts["kl"]) > 1e-6) == (step > 0)
        take_step(method, learner, optimizer, step, 10, 0)


def test_on_the_first_step_the_gradient_is_that_of_the_policy(sums: Data, reader_of_sums: LanguageModel) -> None:
    """Ratios are one there, so that it is the gradient of −A log p (Williams 1992)."""
    method = small(aggregation="dapo")
    learner = begun(method, sums, reader_of_sums)
    batch = method.draw(learner, 0, generator(1))
    loss, parts = method.loss(learner, batch)
    assert float(parts["clipped"]) == 0
    now = learner.log_probabilities(learner.network, batch["packed"])
    better = advantages(learner.rewards, True).flatten()[batch["packed"].owners]
    assert float(better.abs().max()) > 0
    weights = list(learner.network.parameters())
    ours, theirs = (torch.autograd.grad(each, weights) for each in (loss, -(better * now).mean()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_answers_of_equal_rewards_are_left_out_of_the_pass_and_change_nothing(
    sums: Data, reader_of_sums: LanguageModel, aggregation: Any
) -> None:
    method = small(batch_size=3, aggregation=aggregation, temperature=0.7)
    learner = begun(method, sums, reader_of_sums)
    method.draw(learner, 0, generator(0, 0))
    learner.rewards[1] = 0.25
    batch = {"packed": learner.packed(learner.unequal), "which": learner.unequal, "fresh": False}
    assert batch["packed"].answers == 8
    learner.old.copy_(-3 + 0.2 * torch.randn(learner.old.shape, generator=generator(1)))
    answers = learner.tokens.flatten(0, 1)
    ids = [answer[answer != NOTHING].tolist() for answer in answers]
    old = [before[: len(each)].double() for before, each in zip(learner.old.flatten(0, 1), ids, strict=True)]
    with torch.no_grad():
        loss, parts = method.loss(learner, batch)
        assert float(loss) == pytest.approx(by_hand(method, learner, old, reader_of_sums.network), abs=1e-6)
    assert float(parts["length"]) == pytest.approx(sum(map(len, ids)) / 12)
    learner.rewards[:] = 0.25
    assert learner.unequal.tolist() == [True, False, False]


def test_where_all_rewards_are_equal_the_model_stays_as_it_is(sums: Data, reader_of_sums: LanguageModel) -> None:
    model = small(reward=lambda prompts: [1.0] * len(prompts)).fit(sums, reader_of_sums, budget=2)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, reader_of_sums.network.state_dict()[name])


# --- rollouts --------------------------------------------------------------------------------------


def test_a_rollout_is_of_the_network_as_it_is(sums: Data, reader_of_sums: LanguageModel) -> None:
    """It is a function of (seed, step) and the weights; its groups share one pass over their prompt."""
    method = small()
    learner, again = (begun(method, sums, reader_of_sums) for _ in range(2))
    batch = method.draw(learner, 0, generator(0, 0))
    method.draw(again, 0, generator(0, 0))
    assert torch.equal(learner.tokens, again.tokens)
    method.draw(again, 0, generator(0, 1))
    assert not torch.equal(learner.tokens, again.tokens)
    packed = batch["packed"]
    prompts = [learner.prompts[int(row)] for row in learner.prompt_rows]
    said = int((learner.tokens != NOTHING).sum())
    assert int((packed.segments > 0).sum()) == sum(map(len, prompts)) + said
    assert packed.answers == 8
    with torch.no_grad():
        for parameter in again.network.parameters():
            parameter.add_(0.5)
    method.draw(again, 0, generator(0, 0))
    assert not torch.equal(learner.tokens, again.tokens)


def test_updates_share_a_rollout(sums: Data, reader_of_sums: LanguageModel) -> None:
    asked: list[int] = []

    def reward(completions: Sequence[str]) -> list[float]:
        asked.append(len(completions))
        return [float(at) for at in range(len(completions))]

    method = small(reward=reward, updates=3)
    assert method.period() == 3
    learner = begun(method, sums, reader_of_sums)
    optimizer = make_optimizer(method, learner)
    rollouts = []
    for step in range(7):
        take_step(method, learner, optimizer, step, 10, 0)
        rollouts.append(learner.tokens.clone())
    assert asked == [8, 8, 8]
    same = [torch.equal(one, two) for one, two in zip(rollouts, rollouts[1:], strict=False)]
    assert same == [True, True, False, True, True, False]


def test_only_with_beta_is_there_a_reference(sums: Data, reader_of_sums: LanguageModel) -> None:
    assert begun(small(), sums, reader_of_sums).reference is None
    method = small(beta=0.1, learning_rate=1e-2)
    learner = begun(method, sums, reader_of_sums)
    optimizer = make_optimizer(method, learner)
    for step in range(3):
        take_step(method, learner, optimizer, step, 10, 0)
    assert learner.reference is not None
    for name, tensor in reader_of_sums.network.state_dict().items():
        assert torch.equal(learner.reference.state_dict()[name], tensor), "the reference has moved"
        assert learner.reference.state_dict()[name].data_ptr() != tensor.data_ptr()


def test_a_high_beta_keeps_the_model_near_its_start(sums: Data, reader_of_sums: LanguageModel) -> None:
    def moved(beta: float) -> float:
        heard: list[float] = []

        def hear(event: Event) -> None:
            heard.extend([event.values["kl"]] if "kl" in event.values else [])

        method = GRPO(batch_size=8, longest=6, reward=likeness, beta=beta, learning_rate=1e-3)
        method.fit(sums, reader_of_sums, budget=30, run=Run(listeners=[hear]))
        return heard[-1]

    assert moved(5.0) < moved(0.001) / 3


@pytest.mark.parametrize("updates", [1, 3])
def test_killed_in_the_middle_of_a_rollout_and_resumed_it_ends_with_the_same_weights(
    sums: Data, reader_of_sums: LanguageModel, tmp_path: Path, updates: int
) -> None:
    method = small(updates=updates, beta=0.05, learning_rate=1e-3)
    whole = method.fit(sums, reader_of_sums, budget=23)

    class Killed(Exception):
        pass

    def kill(event: Event) -> None:
        if event.kind == "step" and event.step in (10, 20) and not (tmp_path / str(event.step)).exists():
            (tmp_path / str(event.step)).touch()
            raise Killed

    run = Run(tmp_path / "run", [kill], checkpoint_seconds=0)
    for _ in range(2):
        with pytest.raises(Killed):
            method.fit(sums, reader_of_sums, budget=23, run=run)
    resumed = method.fit(sums, reader_of_sums, budget=23, run=run)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_adapters_learn_from_rewards(sums: Data, reader_of_sums: LanguageModel) -> None:
    """What samples is the network with its adapters."""
    method = small(lora=2, learning_rate=1e-2)
    learner = begun(method, sums, reader_of_sums)
    optimizer = make_optimizer(method, learner)
    take_step(method, learner, optimizer, 0, 1, 0)
    batch = method.draw(learner, 1, generator(0, 1))
    _, parts = method.loss(learner, batch)
    trained = [name for name, weight in learner.network.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    plain = begun(small(), sums, reader_of_sums)
    method.draw(plain, 1, generator(0, 1))
    assert not torch.equal(plain.tokens, learner.tokens), "the adapters made no difference to what is sampled"
    assert float(parts["clipped"]) == 0
    with pytest.raises(ParameterError, match=r"GRPO\.lora_dropout must be 0: .*; got 0\.1\."):
        GRPO(lora=2, lora_dropout=0.1)


def test_events_tell_of_rewards(sums: Data, reader_of_sums: LanguageModel) -> None:
    events: list[Event] = []
    seen: list[list[float]] = []

    def reward(completions: Sequence[str]) -> list[float]:
        seen.append([float(len(each)) for each in completions])
        return seen[-1]

    small(reward=reward).fit(sums, reader_of_sums, budget=10, run=Run(listeners=[events.append]))
    (values,) = [event.values for event in events if event.kind == "step"]
    assert list(values) == ["loss", "reward", "reward_std", "length", "clipped"]
    last = np.array(seen[-1]).reshape(2, 4)
    assert values["reward"] == pytest.approx(last.mean())
    assert values["reward_std"] == pytest.approx(last.std(1, ddof=1).mean())
    assert last.mean() <= values["length"] <= last.mean() + 1


# --- rewards ---------------------------------------------------------------------------------------


def test_a_function_is_given_what_it_asks_for(reader_of_sums: LanguageModel) -> None:
    """Prompts, completions and columns of the same rows, each as often as there are answers."""
    calls: list[dict[str, Any]] = []
    data = rows(prompt=["1+1=", "2+2=", "3+3="], completion=["2", "4", "6"], row=[0, 1, 2], label=["b", None, "a"])

    def everything(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        calls.append({"prompts": prompts, "completions": completions, **columns})
        return [0.0] * len(prompts)

    def some(completion: list[str], completions: list[str], unused: int = 3) -> Tensor:
        calls.append({"completion": completion, "completions": completions})
        return torch.tensor([float(each) for each in completion], dtype=torch.float64)

    learner = begun(small(batch_size=3, reward=everything), data, reader_of_sums)
    learner.roll_out(np.array([2, 0, 1]), generator(0))
    (call,) = calls
    assert call["prompts"] == ["3+3="] * 4 + ["1+1="] * 4 + ["2+2="] * 4
    assert call["completion"] == ["6"] * 4 + ["2"] * 4 + ["4"] * 4
    assert call["row"] == [2] * 4 + [0] * 4 + [1] * 4
    assert call["label"] == ["a"] * 4 + ["b"] * 4 + [None] * 4
    said = [[token for token in ids if token != NOTHING] for ids in learner.tokens.flatten(0, 1).tolist()]
    assert call["completions"] == [learner.tokenizer.decode(ids, skip_special_tokens=True) for ids in said]
    learner = begun(small(batch_size=3, reward=some), data, reader_of_sums)
    learner.roll_out(np.array([2, 0, 1]), generator(0))
    assert set(calls[-1]) == {"completion", "completions"}
    assert learner.rewards.tolist() == [[6.0] * 4, [2.0] * 4, [4.0] * 4]


def test_labels_that_may_not_be_seen_are_not_told(reader_of_sums: LanguageModel) -> None:
    data = rows(prompt=[f"{at}=" for at in range(20)], label=["ab"[at % 2] for at in range(20)]).with_labels(
        4, draw="stratified"
    )
    told: list[Any] = []

    def reward(label: list[Any]) -> list[float]:
        told.extend(label)
        return [0.0] * len(label)

    begun(small(batch_size=20, reward=reward), data, reader_of_sums).roll_out(np.arange(20), generator(0))
    assert sum(label is not None for label in told) == 4 * 4


def test_without_a_reward_answers_are_compared_with_the_completions(sums: Data, reader_of_sums: LanguageModel) -> None:
    learner = begun(small(reward=None), sums, reader_of_sums)
    truth = sums.training.take("completion")[:3].tolist()
    assert learner.judge(np.arange(3), [truth[0], f" {truth[1]}\n", f"{truth[2]}0"]).tolist() == [1.0, 1.0, 0.0]
    bare = replace(sums, roles={role: names for role, names in sums.roles.items() if role != "completion"})
    with pytest.raises(NeedsError, match=r'without a reward, .* completion="…"'):
        GRPO().fit(bare, reader_of_sums)
    small().fit(bare, reader_of_sums, budget=1)
    holes = rows(prompt=["1=", "2="], completion=["1", ""])
    with pytest.raises(DataError, match=r"1 of 2 rows without a completion to compare with, the first is row 1"):
        small(reward=None).fit(holes, reader_of_sums, budget=1)


def test_a_function_is_found_by_its_name(sums: Data, reader_of_sums: LanguageModel, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """In a package, or in the folder that a command is called from; in text, too."""
    named = f"{likeness.__module__}:{likeness.__name__}"
    method = parse_method(f"grpo(reward={named!r}, longest=6)")
    assert method == GRPO(reward=named, longest=6)
    assert parse_method(str(method)) == method
    one, two = (small(reward=each).fit(sums, reader_of_sums, budget=2) for each in (named, likeness))
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, two.network.state_dict()[name])
    (tmp_path / "rewards_of_mine.py").write_text(
        "class Own:\n    @staticmethod\n    def one(prompts): return [1.0] * len(prompts)\n"
    )
    monkeypatch.chdir(tmp_path)
    small(reward="rewards_of_mine:Own.one").fit(sums, reader_of_sums, budget=1)


def test_a_reward_model_rewards(sums: Data, reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    """As it is, or as the folder that it is saved in; its rows shaped what is learned."""
    judge = RewardModel(batch_size=4).fit(sums.select(np.arange(100)), reader_of_sums, budget=3)
    folder = str(judge.save(tmp_path / "judge"))
    before = {name: tensor.clone() for name, tensor in judge.network.state_dict().items()}
    models = [small(reward=each).fit(sums, reader_of_sums, budget=3) for each in (judge, folder)]
    for name, tensor in models[0].network.state_dict().items():
        assert torch.equal(tensor, models[1].network.state_dict()[name])
    assert all(torch.equal(tensor, before[name]) for name, tensor in judge.network.state_dict().items())
    for model in models:
        assert str(judge.lineage.title) in [stage.title for stage in model.lineage.stages()]
    assert "0x" not in str(small(reward=judge))
    learner = begun(small(reward=judge), sums, reader_of_sums)
    method = small(reward=judge)
    method.draw(learner, 0, generator(0))
    texts = [
        str(learner.tokenizer.decode(ids[ids != NOTHING], skip_special_tokens=True))
        for ids in learner.tokens.flatten(0, 1)
    ]
    prompts = [text for text in sums.training.take("prompt")[learner.prompt_rows.numpy()] for _ in range(4)]
    np.testing.assert_allclose(learner.rewards.flatten().numpy(), judge.score(prompts, texts), rtol=1e-5)


def test_another_reward_model_is_another_run(sums: Data, reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    """Also where it lies in the folder in which the first one lay."""
    for steps in (1, 2):
        RewardModel(batch_size=4).fit(sums, reader_of_sums, budget=steps).save(tmp_path / "judge")
        method, run = small(reward=str(tmp_path / "judge")), Run(tmp_path / "run")
        if steps == 1:
            method.fit(sums, reader_of_sums, budget=1, run=run)
        else:
            with pytest.raises(ModelError, match="folder of another run"):
                method.fit(sums, reader_of_sums, budget=1, run=run)


# --- bad inputs --------------------------------------------------------------------------------------


def raises_at_the_third(prompts: list[str], completions: list[str]) -> list[float]:
    """Raises for the prompt of row 2."""
    return [1 / (prompt != "2=") for prompt in prompts]


def raises_for_several(prompts: list[str]) -> list[float]:
    """Raises for more than one completion only."""
    if len(prompts) > 1:
        raise RuntimeError("too many")
    return [1.0]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (raises_at_the_third,
         r"raises_at_the_third raised ZeroDivisionError: .*, for row 2 of .* prompt '2=' and the completion '.*'\.$"),
        (raises_for_several, r"raised RuntimeError: too many, for all 16 completions of a step, though for none alone"),
        (lambda prompts: [math.nan if prompt == "1=" else 0.0 for prompt in prompts],
         r"must give a finite number for every completion; got nan for row 1 of .* the prompt '1='"),
        (lambda prompts: [1e300] * len(prompts), r"must give a finite number .*; got 1e\+300 for row"),
        (lambda prompts: np.full(len(prompts), np.inf), r"must give a finite number .*; got inf for row"),
        (lambda prompts: ["1"] * len(prompts), r"must give a finite number .*; got '1' for row"),
        (lambda prompts: [None] * len(prompts), r"must give a finite number .*; got None for row"),
        (lambda prompts: [0.0], r"must give a list of 16 numbers for 16 completions; got 1 values\."),
        (lambda prompts: 0.5, r"must give a list of 16 numbers for 16 completions; got 0\.5\."),
        (lambda prompts: None, r"must give a list of 16 numbers for 16 completions; got None\."),
    ],
)  # fmt: skip
def test_what_a_reward_function_may_not_give_is_refused_with_its_row(
    reader_of_sums: LanguageModel, reward: Callable[..., Any], message: str
) -> None:
    data = rows(prompt=[f"{at}=" for at in range(4)])
    with pytest.raises(TrainingError, match=message):
        small(batch_size=4, reward=reward).fit(data, reader_of_sums, budget=1)


@pytest.mark.parametrize("value", [True, np.float32(1), torch.tensor(1.0), 1])
def test_numbers_of_all_kinds_are_rewards(sums: Data, reader_of_sums: LanguageModel, value: Any) -> None:
    learner = begun(small(reward=lambda prompts: [value] * len(prompts)), sums, reader_of_sums)
    assert learner.judge(np.array([0, 1]), ["a", "b"]).tolist() == [1.0, 1.0]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (3, r"GRPO\.reward must be text, or a function, or a Model; got 3\."),
        ("no/such/folder", r'reward must be "package\.module:function", or the folder .* got \'no/such/folder\''),
        ("nowhere:none", r"reward is 'nowhere:none', which cannot be imported: No module named 'nowhere'"),
        ("math:none", r"reward is 'math:none', which cannot be imported: .*none"),
        ("math:pi", r"reward must be a function; 'math:pi' is 3\.14"),
    ],
)  # fmt: skip
def test_what_is_no_reward_is_refused_when_the_method_is_made(reward: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        GRPO(reward=reward)


def test_models_that_do_not_score_are_refused(reader_of_sums: LanguageModel, tmp_path: Path) -> None:
    folder = reader_of_sums.save(tmp_path / "model")
    for reward in (reader_of_sums, str(folder)):
        with pytest.raises(ParameterError, match=r"must be a model that scores completions; .* gives embed, generate"):
            GRPO(reward=reward)


def test_functions_that_ask_for_what_there_is_not_are_refused(sums: Data, reader_of_sums: LanguageModel) -> None:
    with pytest.raises(ParameterError, match=r"asks for 'truth'\. It is called by name, with prompts, completions and"):
        small(reward=lambda completions, truth: [0.0] * len(truth)).fit(sums, reader_of_sums, budget=1)
    data = rows(prompt=["1=", "2="], completions=["1", "2"])
    with pytest.raises(DataError, match=r"has a column 'completions', .* Give the column another name"):
        small(reward=lambda completions: [0.0] * len(completions)).fit(data, reader_of_sums, budget=1)


def test_prompts_that_are_too_long_are_refused_cut_or_skipped(reader_of_sums: LanguageModel) -> None:
    """The model reads 32 tokens; with answers of six, prompts may have 26."""
    data = rows(prompt=["1=", "2" * 27, "3" * 26], completion=["1", "2", "3"])
    message = (
        r"has 1 of 3 prompts that leave no room for an answer of 6 tokens in the 32 .*; the longest is row 1 .* 27"
    )
    with pytest.raises(DataError, match=message):
        small().fit(data, reader_of_sums, budget=1)
    cut = begun(small(too_long="cut", reward=None), data, reader_of_sums)
    assert [len(prompt) for prompt in cut.prompts] == [2, 26, 26]
    skipped = begun(small(too_long="skip", reward=None), data, reader_of_sums)
    assert [len(prompt) for prompt in skipped.prompts] == [2, 26]
    assert skipped.judge(np.array([0, 1]), ["1", "3"]).tolist() == [1.0, 1.0], "rows and prompts are out of step"
    with pytest.raises(ParameterError, match=r"longest must be below the 32 tokens .*; got 32"):
        small(longest=32).fit(data, reader_of_sums, budget=1)


def test_without_prompts_it_does_not_learn(sums: Data, reader_of_sums: LanguageModel) -> None:
    bare = replace(sums, roles={"text": sums.roles["text"]})
    with pytest.raises(NeedsError, match=r'it needs prompts, and no column has that role\. Name it: prompt="…"'):
        GRPO().fit(bare, reader_of_sums)


def test_empty_prompts_and_conversations_are_answered(reader_of_sums: LanguageModel) -> None:
    asked: list[str] = []

    def reward(prompts: list[str]) -> list[float]:
        asked.extend(prompts)
        return [0.0] * len(prompts)

    small(reward=reward).fit(rows(prompt=["", "1="]), reader_of_sums, budget=1)
    assert set(asked) == {"", "1="}
    talk = '[{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]'
    asked.clear()
    small(reward=reward, too_long="cut").fit(rows(messages=[talk, talk]), reader_of_sums, budget=1)
    assert len(asked) == 8


@pytest.mark.parametrize("role", ["messages", "prompt"])
def test_conversations_that_end_with_the_user_are_answered(reader_of_sums: LanguageModel, role: str) -> None:
    """Their last turn is what is asked, and what was answered before it is part of the question."""
    asked: list[str] = []

    def reward(prompts: list[str]) -> list[float]:
        asked.extend(prompts)
        return [0.0] * len(prompts)

    talk = [{"role": name, "content": said} for name, said in (("user", "1"), ("assistant", "2"), ("user", "345"))]
    held = [json.dumps(talk)] * 2
    small(reward=reward, too_long="cut").fit(rows(**{role: held}), reader_of_sums, budget=1)
    assert all("345" in prompt for prompt in asked)
