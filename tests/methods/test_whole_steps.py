"""A whole step of every gradient method by hand: its total loss, and all that its learner holds afterwards.

Then which network is kept. The few methods whose step needs more than a few lines have a test of it in their own file.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, logsigmoid, mse_loss, normalize

from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.discovery import all_methods
from manyways.methods.federated.fed_avg import FedAvg
from manyways.methods.generative.gan import GAN
from manyways.models.optimizing.rule import Moments
from manyways.models.optimizing.rule import Step as UpdateStep
from manyways.testing import Trial
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

from .steps import Step, begun, move_average

KINDS = {name: kind for name, kind in all_methods().items() if issubclass(kind, GradientMethod)}
AVERAGES = {
    "fixmatch": "average.network",
    "mean-teacher": "teacher.network",
    "gan": "average.network",
    "learned-optimizer": "rule",
}
"""The network that is kept, where it is not the one that steps are taken on."""
Hand = Callable[[Any, Any, Any], Tensor]
"""Returns the loss of a learner and a batch, by the fields of a method."""


@cache
def trial_of(name: str) -> Trial:
    return Trial(KINDS[name])


# --- rows ----------------------------------------------------------------------------------------


def of_labels(method: Any, learner: Any, batch: Any) -> Tensor:
    return cross_entropy(learner.network(batch["inputs"]), batch["labels"])


def of_tasks(method: Any, learner: Any, batch: Any) -> Tensor:
    """Among the classes of the tasks so far."""
    seen = learner.own[: learner.task_at(3) + 1].any(0)
    return cross_entropy(learner.network(batch["inputs"]) + torch.where(seen, 0.0, -torch.inf), batch["labels"])


def of_several_labels(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each label over the rows that have it: two of classes, and the standardised ink."""
    outputs, labels = learner.network(batch["inputs"]), batch["labels"]
    has_even, has_ink = labels["even"] >= 0, ~labels["ink"].isnan()
    return (
        cross_entropy(outputs["label"], labels["label"])
        + cross_entropy(outputs["even"][has_even], labels["even"][has_even])
        + mse_loss(outputs["ink"][has_ink, 0], labels["ink"][has_ink])
    )


def of_a_teacher(method: Any, learner: Any, batch: Any) -> Tensor:
    """T² KL(teacher ‖ student) at temperature T, and the labels where there are some."""
    outputs, labels = learner.network(batch["inputs"]), batch["labels"]
    teacher = (batch["teacher_outputs"] / 2).softmax(1)
    taught = 4 * (teacher * (teacher.log() - (outputs / 2).log_softmax(1))).sum(1).mean()
    return 0.9 * taught + 0.1 * cross_entropy(outputs[labels >= 0], labels[labels >= 0])


def of_two_views(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each view picks out its partner among all others."""
    views = normalize(learner.projector(learner.network.features(batch["inputs"])), dim=1)
    count = len(views) // 2
    losses = []
    for at in range(2 * count):
        others = [other for other in range(2 * count) if other != at]
        similar = views[at] @ views[others].T / method.temperature
        losses.append(similar.logsumexp(0) - views[at] @ views[(at + count) % (2 * count)] / method.temperature)
    return torch.stack(losses).mean()


def of_pairs(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each of two inputs picks out the other among those of other rows, both ways."""
    network, count = learner.network, len(batch["same"])
    a, b = (network.vectors(name, batch["inputs"]) for name in network.names)
    logits = network.log_scale.exp() * a @ b.T
    strangers = ~batch["same"] | torch.eye(count, dtype=torch.bool)
    ways = [
        (logits[at][strangers[at]].logsumexp(0), logits[:, at][strangers[:, at]].logsumexp(0)) for at in range(count)
    ]
    return torch.stack([(row + column) / 2 - logits[at, at] for at, (row, column) in enumerate(ways)]).mean()


def of_sentence_pairs(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each text picks out its partner among those of all other rows."""
    vectors = normalize(learner.network.features({"text": batch["texts"]}), dim=1)
    anchors, partners = vectors[: batch["pairs"]], vectors[batch["pairs"] :]
    logits = anchors @ partners.T / 0.05
    return (logits.logsumexp(1) - logits.diagonal()).mean()


def of_texts_seen_twice(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each text picks out itself, through another dropout, among all texts of the batch."""
    return of_sentence_pairs(method, learner, {**batch, "pairs": len(batch["texts"]) // 2})


def of_what_follows(method: Any, learner: Any, batch: Any) -> Tensor:
    """Two texts read as one, and averaged each by itself: a class of both says if they stand as they were."""
    tokens = learner.network.parts[0].tokens(batch["tokens"])
    ends = [(begin, int(mask.sum())) for begin, mask in zip(batch["second"].tolist(), tokens.mask, strict=True)]
    rows = list(zip(tokens.features, ends, strict=True))
    u = torch.stack([features[:begin].mean(0) for features, (begin, _) in rows])
    v = torch.stack([features[begin:end].mean(0) for features, (begin, end) in rows])
    return cross_entropy(learner.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1)), batch["labels"])


def of_prototypes(method: Any, learner: Any, batch: Any) -> Tensor:
    """Queries by the softmax of minus the squared distance to the class means of the shots."""
    shots, queries = batch["support"], batch["queries"]
    count = shots["labels"].numel()
    rows = {name: torch.cat([part[0], queries["inputs"][name][0]]) for name, part in shots["inputs"].items()}
    features = learner.network.features(rows)
    labels = shots["labels"][0]
    centres = torch.stack([features[:count][labels == way].mean(0) for way in range(learner.ways)])
    return cross_entropy(-torch.cdist(features[count:], centres).square(), queries["labels"][0])


def of_attention(method: Any, learner: Any, batch: Any) -> Tensor:
    """Queries by the sums, over the shots of a class, of the softmax of cosines over all shots."""
    shots, queries = batch["support"], batch["queries"]
    count, labels = shots["labels"].numel(), shots["labels"][0]
    rows = {name: torch.cat([part[0], queries["inputs"][name][0]]) for name, part in shots["inputs"].items()}
    features = normalize(learner.network.features(rows), dim=1)
    attention = (features[count:] @ features[:count].T / method.temperature).softmax(1)
    of_class = torch.stack([attention[:, labels == way].sum(1) for way in range(learner.ways)], 1)
    return -of_class.gather(1, queries["labels"][0][:, None]).log().mean()


def of_pairs_of_rows(method: Any, learner: Any, batch: Any) -> Tensor:
    """Queries and shots: of one class, or of two, by the differences of sigmoid units; each side weighs a half."""
    shots, queries = batch["support"], batch["queries"]
    count = shots["labels"].numel()
    rows = {name: torch.cat([part[0], queries["inputs"][name][0]]) for name, part in shots["inputs"].items()}
    head = learner.network.head
    units = head.embedding(learner.network.features(rows)).sigmoid()
    same = queries["labels"][0][:, None] == shots["labels"][0]
    odds = head.weighing((units[count:, None] - units[None, :count]).abs())[..., 0]
    return -(logsigmoid(odds[same]).mean() + logsigmoid(-odds[~same]).mean()) / 2


def of_inner_steps(method: Any, learner: Any, batch: Any) -> Tensor:
    """The loss on the queries after a step down the gradient of that on the shots, through which the gradient goes."""
    with sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
        return torch.stack([_of_an_episode(method, learner.network.eval(), batch, at) for at in range(2)]).mean()


def _of_an_episode(method: Any, network: Any, batch: Any, at: int) -> Tensor:
    (shots, labels), (queries, wanted) = (
        ({name: part[at] for name, part in batch[side]["inputs"].items()}, batch[side]["labels"][at])
        for side in ("support", "queries")
    )
    weights = dict(network.named_parameters())
    loss = cross_entropy(functional_call(network, weights, (shots,)), labels)
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    moved = {name: w - method.inner_rate * g for (name, w), g in zip(weights.items(), slopes, strict=True)}
    return cross_entropy(functional_call(network, moved, (queries,)), wanted)


def of_where_steps_lead(method: Any, learner: Any, batch: Any) -> Tensor:
    """Half the squared distance to the weights after a step for each minibatch, whose gradient is θ − φ."""
    weights = dict(learner.network.eval().named_parameters())
    moved = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    for step in range(batch["labels"].shape[1]):
        inputs = {name: part[0, step] for name, part in batch["inputs"].items()}
        loss = cross_entropy(functional_call(learner.network, moved, (inputs,)), batch["labels"][0, step])
        slopes = torch.autograd.grad(loss, list(moved.values()))
        pairs = zip(moved.items(), slopes, strict=True)
        moved = {name: (weight - method.inner_rate * g).detach().requires_grad_() for (name, weight), g in pairs}
    return sum((weight - moved[name].detach()).square().sum() for name, weight in weights.items()) / 2


def of_losses_on_the_way(method: Any, learner: Any, batch: Any) -> Tensor:
    """The mean of the losses of networks whose steps the rule makes, each on rows of the next step; cut after three."""
    with sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
        return _losses_on_the_way(learner, batch)


def _losses_on_the_way(learner: Any, batch: Any) -> Tensor:
    losses = []
    for task in range(2):
        weights, moments = batch["start"][task], Moments.zeros(batch["start"][task])
        for step in range(5):
            if step in (0, 3):  # the truncation of the trial
                weights, moments = weights.detach().requires_grad_(), Moments(*(part.detach() for part in moments))
            network, parts, at = learner.network.eval(), {}, 0
            for name, parameter in network.named_parameters():
                parts[name] = weights[at : at + parameter.numel()].view(parameter.shape)
                at += parameter.numel()
            inputs = {name: part[task, step] for name, part in batch["inputs"].items()}
            loss = cross_entropy(functional_call(network, parts, (inputs,)), batch["labels"][task, step])
            losses += [loss] if step else []
            (slope,) = torch.autograd.grad(loss, weights, create_graph=True)
            moments = moments.after(slope)
            weights = weights + learner.rule(UpdateStep(slope, weights, moments, step + 1))
    return torch.stack(losses).mean()


# --- generators ----------------------------------------------------------------------------------


def of_a_bound(method: Any, learner: Any, batch: Any) -> Tensor:
    """−(log p(x|z) − β KL) a dimension, of black and white or of 256 values, as the network's likelihood has them."""
    network = learner.network
    mean, log_variance = network.posterior(batch["inputs"])
    latent = mean + (0.5 * log_variance).exp() * batch["noise"][:, 0]
    said = network.likelihood.log_probability(network.decoder(latent), batch["values"])
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return (batch["weight"] * divergence - said).mean() / batch["values"][0].numel()


def of_a_code(method: Any, learner: Any, batch: Any) -> Tensor:
    """The squared error of a pixel, of rows through the code and back."""
    again = learner.network.decoder(learner.network.encoder.features(batch["inputs"]))
    return (again - batch["inputs"]["image"].float() / 255).square().mean()


# --- forgetting ----------------------------------------------------------------------------------


def of_ascent(method: Any, learner: Any, batch: Any) -> Tensor:
    gone, rest = (of_labels(method, learner, batch[side]) for side in ("forget", "retain"))
    return method.retain_weight * rest - method.forget_weight * gone


def of_negative_preferences(method: Any, learner: Any, batch: Any) -> Tensor:
    gone = -cross_entropy(learner.network(batch["forget"]["inputs"]), batch["forget"]["labels"], reduction="none")
    ratios = gone - learner.reference[batch["rows"]]
    rest = of_labels(method, learner, batch["retain"])
    return (2 / method.beta * (1 + (method.beta * ratios).exp()).log()).mean() + method.retain_weight * rest


def of_min_and_max_steps(method: Any, learner: Any, batch: Any) -> Tensor:
    """A min step: as the model was on the rows that stay, and their labels."""
    assert not batch["rising"]
    outputs = learner.network(batch["inputs"])
    before = (batch["teacher_outputs"] / 2).softmax(1)
    apart = 4 * (before * (before.log() - (outputs / 2).log_softmax(1))).sum(1).mean()
    return 0.5 * apart + cross_entropy(outputs, batch["labels"])


# --- language ------------------------------------------------------------------------------------


def log_probabilities(network: Any, prompt: list[int], answer: list[int]) -> Tensor:
    """log p of each token of one answer behind its prompt."""
    ids = torch.tensor([[*prompt, *answer]])
    logs = network(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
    return logs[len(prompt) - 1 : -1].gather(1, torch.tensor(answer)[:, None])[:, 0]


def of_answers(method: Any, learner: Any, batch: Any) -> Tensor:
    groups = [learner.groups[row] for row in batch["rows"]]
    said = [log_probabilities(learner.network, list(g.prompt), list(a.ids)) for g in groups for a in g.answers]
    return -torch.cat(said).mean()


def ratios(learner: Any, batch: Any) -> Tensor:
    """log π − log π_ref of each answer [rows, answers]."""
    groups = [learner.groups[row] for row in batch["rows"]]
    said = [[log_probabilities(learner.network, list(g.prompt), list(a.ids)).sum() for a in g.answers] for g in groups]
    return torch.stack([torch.stack(each) for each in said]) - learner.reference[torch.from_numpy(batch["rows"])]


def of_direct_preferences(method: Any, learner: Any, batch: Any) -> Tensor:
    chosen, rejected = ratios(learner, batch).unbind(1)
    return -logsigmoid(method.beta * (chosen - rejected)).mean()


def of_judgements(method: Any, learner: Any, batch: Any) -> Tensor:
    chosen, rejected, other = ratios(learner, batch).unbind(1)
    z = other.detach().mean().clamp_min(0)
    return (2 - (method.beta * (chosen - z)).sigmoid() - (method.beta * (z - rejected)).sigmoid()).mean() / 2


def of_rewards(method: Any, learner: Any, batch: Any) -> Tensor:
    groups = [learner.groups[row] for row in batch["rows"]]

    def score(prompt: list[int], answer: list[int]) -> Tensor:
        return learner.network(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, 0]

    scores = [[score(list(g.prompt), list(a.ids)) for a in g.answers] for g in groups]
    return torch.stack([-logsigmoid(chosen - rejected) for chosen, rejected in scores]).mean()


def of_rows_of_a_class(method: Any, learner: Any, batch: Any) -> Tensor:
    """Each row picks the others of its class out of all others."""
    unit, classes = normalize(learner.network.features(batch["inputs"]), dim=1), batch["classes"].tolist()
    losses = []
    for row, own in enumerate(classes):
        others = [other for other in range(len(classes)) if other != row]
        logs = (unit[row] @ unit[others].T / method.temperature).log_softmax(0)
        if picked := [log for log, other in zip(logs, others, strict=True) if classes[other] == own]:
            losses.append(-torch.stack(picked).mean())
    return torch.stack(losses).mean()


def of_next_tokens(method: Any, learner: Any, batch: Any) -> Tensor:
    said = [log_probabilities(learner.network, ids[:1], ids[1:]) for ids in batch["ids"].tolist()]
    return -torch.cat(said).mean()


def of_hidden_tokens(method: Any, learner: Any, batch: Any) -> Tensor:
    hidden = batch["hidden"]
    logits = learner.network(input_ids=hidden.ids, attention_mask=hidden.seen).logits
    return cross_entropy(logits.flatten(0, 1)[hidden.places], hidden.targets)


def of_a_group(method: Any, learner: Any, batch: Any) -> Tensor:
    """−A r of each token, where r is 1 at first; the mean over the tokens of an answer, then over all answers."""
    rewards = learner.rewards
    better = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    losses = []
    for row in range(len(rewards)):
        for at in range(rewards.shape[1]):
            answer = [token for token in learner.tokens[row, at].tolist() if token >= 0]
            now = log_probabilities(learner.network, list(learner.prompts[learner.prompt_rows[row]]), answer)
            if batch["which"][row]:
                learner.old[row, at, : len(answer)] = now.detach()
            losses.append(-better[row, at] * (now - now.detach()).exp().mean())
    return torch.stack(losses).mean()


# --- acting --------------------------------------------------------------------------------------


def of_a_rollout(method: Any, learner: Any, batch: Any) -> Tensor:
    """−min(r A, clip(r) A), half the critic's squared error by its weight."""
    network, before = learner.network, batch["log_probs"]
    logs = Categorical(logits=network.actor(network.seen(batch["observations"]))).log_prob(batch["actions"])
    ratio, better = (logs - before).exp(), batch["advantages"]
    better = (better - better.mean()) / (better.std() + 1e-8)
    policy = -torch.minimum(ratio * better, ratio.clamp(1 - method.clip_range, 1 + method.clip_range) * better).mean()
    return policy + method.value_weight * (network.value(batch["observations"]) - batch["targets"]).square().mean() / 2


def of_values(method: Any, learner: Any, batch: Any) -> Tensor:
    """Half the squared error of Q(s, a), the mean over those that found the same pair."""
    values = learner.network.values
    found: dict[tuple[int, int], list[Tensor]] = {}
    for state, action, reward, reached, ended in zip(
        *(batch[name].tolist() for name in ("states", "actions", "rewards", "reached", "terminated")), strict=True
    ):
        goal = reward + (0.0 if ended else method.discount * values[reached].max().item())
        found.setdefault((state, action), []).append((values[state, action] - goal).square() / 2)
    return torch.stack([torch.stack(errors).mean() for errors in found.values()]).sum()


# --- all -----------------------------------------------------------------------------------------

BY_HAND: dict[str, Hand] = {
    "autoencoder": of_a_code,
    "clip": of_pairs,
    "distill": of_a_teacher,
    "dpo": of_direct_preferences,
    "few-shot-text": of_rows_of_a_class,
    "fine-tune": of_labels,
    "fusion": of_labels,
    "gradient-ascent": of_ascent,
    "grpo": of_a_group,
    "kto": of_judgements,
    "learned-optimizer": of_losses_on_the_way,
    "maml": of_inner_steps,
    "matching-net": of_attention,
    "masked-lm": of_hidden_tokens,
    "multi-task": of_several_labels,
    "next-sentence": of_what_follows,
    "npo": of_negative_preferences,
    "ppo": of_a_rollout,
    "pretrain": of_next_tokens,
    "proto-net": of_prototypes,
    "q-learning": of_values,
    "replay": of_tasks,
    "reptile": of_where_steps_lead,
    "reward-model": of_rewards,
    "scrub": of_min_and_max_steps,
    "sentence-pairs": of_sentence_pairs,
    "sequential-fine-tune": of_tasks,
    "sft": of_answers,
    "siamese": of_pairs_of_rows,
    "simclr": of_two_views,
    "simcse": of_texts_seen_twice,
    "supervised": of_labels,
    "vae": of_a_bound,
}
FIELDS: dict[str, dict[str, Any]] = {
    "learned-optimizer": {"backbone": "vit"},
    "matching-net": {"shots": 2},
    "reptile": {"backbone": "vit", "size": 0.25, "inner_rate": 0.05, "how": "one by one"},
    "maml": {"batch_size": 2, "backbone": "vit", "size": 0.25, "head": "linear", "how": "one by one"},
    "simclr": {"batch_size": 8},
    "clip": {"batch_size": 8},
}
"""What differs from the trial: fewer rows, and networks without statistics of their batches."""
STEPS = {"ppo": 0, "q-learning": 0, "grpo": 0}
"""The step that is taken, where it is not the fourth."""


def of_a_method(name: str) -> Step:
    trial = trial_of(name)
    method: Any = replace(trial.method, precision="float32", **FIELDS.get(name, {}))
    return Step(method, trial.data, trial.start, step=STEPS.get(name, 3))


@pytest.mark.parametrize("name", BY_HAND)
def test_a_whole_step(name: str) -> None:
    step = of_a_method(name)
    loss = BY_HAND[name](step.method, step.by_hand, step.batch)
    step.descend(loss)
    if name in ("replay", "sequential-fine-tune"):
        step.by_hand.begun.fill_(step.by_hand.task_at(3) + 1)
    step.agree(loss)


def test_a_whole_step_of_a_game() -> None:
    """The discriminator and the generator each descend their own loss; the average follows the generator."""
    method = GAN(batch_size=8, latent=4, average_decay=0.2, penalty_every=3, penalty=0.3)
    step = Step(method, trial_of("gan").data, step=3)
    learner, batch = step.by_hand, step.batch
    real = batch["real"].clone().requires_grad_(True)
    drawn = learner.network(batch["latent"], None)
    of_real, of_drawn = learner.discriminator(real, None), learner.discriminator(drawn, None)
    (slopes,) = torch.autograd.grad(of_real.sum(), real, create_graph=True)
    penalty = 0.3 / 2 * 3 * slopes.square().flatten(1).sum(1).mean()
    against = (1 + (-of_real).exp()).log().mean() + (1 + of_drawn.exp()).log().mean() + penalty
    told = (1 + (-of_drawn).exp()).log().mean()
    players = [list(learner.discriminator.parameters()), list(learner.network.parameters())]
    gradients = [
        torch.autograd.grad(loss, player, retain_graph=True)
        for loss, player in zip((against, told), players, strict=True)
    ]
    learner.balance.notice(of_real.detach(), of_drawn.detach(), real.detach(), drawn.detach())
    rate = 1e-3 * method.schedule(3, 10)
    with torch.no_grad():
        for player, slope, times in zip(players, gradients, (2.0, 1.0), strict=True):
            for parameter, gradient in zip(player, slope, strict=True):
                parameter.sub_(times * rate * gradient)
    move_average(learner.average, learner.network, 0.2)
    step.agree(against + told)


def test_a_whole_step_of_a_federation() -> None:
    """The last local step of a round: clients descend their losses, and the mean, each by its rows, is sent out."""
    method = FedAvg(local_steps=2, batch_size=4, backbone="vit", size=0.25)
    step = Step(method, trial_of("fed-avg").data, step=1)
    learner, batch = step.by_hand, step.batch
    federation, weights = learner.federation, learner.federation.members.weights()
    clients = federation.rounds.round(0).clients
    losses = []
    for at in range(len(clients)):
        own = {name: weight[at] for name, weight in weights.items()}
        outputs = functional_call(learner.network, own, ({name: part[at] for name, part in batch["inputs"].items()},))
        losses.append((cross_entropy(outputs, batch["labels"][at], reduction="none") * batch["weights"][at]).sum())
    loss = torch.stack(losses).sum()
    step.descend(loss)
    held = torch.tensor([float(len(federation._client_rows[client])) for client in clients])
    with torch.no_grad():
        for name, parameter in learner.network.named_parameters():
            mean = (held / held.sum()) @ weights[name][: len(clients)].flatten(1)
            parameter.copy_(mean.view_as(parameter))
            weights[name].copy_(parameter.expand_as(weights[name]))
    step.agree(loss)


def test_every_gradient_method_has_a_whole_step() -> None:
    """Those that are not in the table have a test in their own file."""
    for name in KINDS.keys() - BY_HAND.keys() - {"gan", "fed-avg"}:
        *_, paradigm, module = KINDS[name].__module__.split(".")
        text = (Path(__file__).parent / paradigm / f"test_{module}.py").read_text(encoding="utf-8")
        assert "def test_a_whole_step(" in text, f"{name} has no test of a whole step"


@pytest.mark.parametrize("name", KINDS)
def test_the_network_that_is_kept(name: str) -> None:
    trial = trial_of(name)
    method: Any = trial.method
    learner = begun(method, trial.data, trial.start, 4)
    learner.milestones(4)
    optimizer = make_optimizer(method, learner)
    for step in range(4):
        take_step(method, learner, optimizer, step, 4, 0)
    kept = list(method.make_model(learner).network.parameters())
    expected = list(attrgetter(AVERAGES.get(name, "network"))(learner).parameters())
    assert all(map(torch.equal, kept, expected))
    if name in AVERAGES:
        assert not all(map(torch.equal, kept, learner.network.parameters())), "the average does not trail"
