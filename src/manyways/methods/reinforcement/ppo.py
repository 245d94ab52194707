"""PPO: act, then raise the probability of what went better than expected, a little at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.spaces import Numbers
from manyways.methods.bases.acting import ActingLearner, ActingMethod, check_finite
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Interval, NotNegative, Positive, Share
from manyways.methods.reinforcement.q_learning import linear
from manyways.models.acting.networks import ActorCritic, Moments
from manyways.models.acting.play import Moved, Play
from manyways.models.model import Model
from manyways.randomness import generator, mix


class PPOLearner(ActingLearner):
    """The actor with its critic, its environments, and the rollout that is learned from, [horizon × environments].

    `real` tells which of its steps were carried out: environments may take a step to begin anew.
    """

    network: ActorCritic
    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    targets: Tensor
    real: Tensor
    discounted: Tensor

    def __init__(self, network: ActorCritic, data: Data, seed: int, count: int, horizon: int) -> None:
        super().__init__(network, data, seed, count, horizon)
        size, config = count * horizon, network.config
        actions = torch.zeros(size, config["outputs"]) if network.continuous else torch.zeros(size, dtype=torch.int64)
        self.register_buffer("observations", torch.zeros(size, config["inputs"]))
        self.register_buffer("actions", actions)
        for name in ("log_probs", "values", "advantages", "targets"):
            self.register_buffer(name, torch.zeros(size))
        self.register_buffer("real", torch.ones(size, dtype=torch.bool))
        self.register_buffer("discounted", torch.zeros(count, dtype=torch.float64))
        self.returns = Moments(())


@dataclass(frozen=True, kw_only=True)
class PPO(ActingMethod[PPOLearner]):
    """Act in an environment, and make actions that earned more than the critic expected more probable, within a clip.

    A rollout is `horizon` steps of each of the `environments`; it is learned from in `epochs` passes of minibatches,
    and each minibatch is a step of the run. A budget in examples counts steps in the environments; the last rollout
    is taken whole. Where time runs out, other than where the task ends, what was still to come is estimated.
    Actions are Discrete, or a Box: then they are Gaussian, and bounded ones are asked for in units of their range.
    """

    horizon: Count = 64
    """Steps of each environment in a rollout."""
    epochs: Count = 10
    """Passes over a rollout."""
    batch_size: Count = 512
    """Steps in a minibatch; all of the rollout where it has no more."""
    learning_rate: Positive = 1e-3
    """Learning rate of Adam at the start; it falls linearly to zero."""
    discount: Share = 0.99
    """γ: what a reward counts that comes a step later."""
    gae_lambda: Share = 0.95
    """λ of generalised advantage estimation: 0 trusts the critic, 1 what was earned (Schulman et al. 2016)."""
    clip_range: Positive = 0.2
    """ε: how far from 1 the ratio of new to old probability is rewarded."""
    clip_values: Positive | None = None
    """Largest change of the critic's value from that of the rollout; None does not clip."""
    value_weight: NotNegative = 0.5
    """Weight of the critic's squared error, halved."""
    entropy_weight: NotNegative = 0.0
    """Weight of the bonus for choices that are not certain."""
    normalise_advantages: bool = True
    """True to give advantages mean 0 and deviation 1 in each minibatch."""
    normalise_observations: bool = False
    """True to standardise observations by what was seen so far."""
    normalise_rewards: bool = True
    """True to divide rewards by the deviation of the discounted sums of rewards so far."""
    widths: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer, of the actor and of the critic alike."""
    clip: Positive | None = 0.5
    """Largest norm of the gradient; None does not clip."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.999
    """Decay of Adam's second moment."""
    warmup: Share = 0.0
    """Share of the steps in which the learning rate rises first."""

    paper: ClassVar = "Schulman et al., Proximal policy optimization algorithms, arXiv:1707.06347 (2017)"

    field_trials: ClassVar = {"clip_range": {"clip_range": 1e-5}, "widths": {"widths": (8,)}}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(environments=4, horizon=8, batch_size=16, epochs=2, widths=(16,))

    @property
    def minibatches(self) -> int:
        """The number of minibatches that a rollout is divided into."""
        return max(1, round(self.environments * self.horizon / self.batch_size))

    def begin(self, data: Data, model: Model | None, seed: int) -> PPOLearner:
        assert data.environment is not None
        observed, allowed = data.environment.spaces
        network = self.start_network(data, model, ActorCritic)
        if network is None:
            network = ActorCritic(
                observed.width, allowed.width, isinstance(allowed, Numbers), self.widths, self.normalise_observations
            )
        return PPOLearner(network, data, seed, self.environments, self.horizon)

    def draw(self, learner: PPOLearner, step: int, rng: torch.Generator) -> Batch:
        at = step % self.period()
        if at == 0:
            self.act(learner, step, rng)
        epoch, piece = divmod(at, self.minibatches)
        (real,) = learner.real.nonzero(as_tuple=True)
        order = torch.randperm(len(real), generator=generator(learner.seed, step // self.period(), epoch, 3))
        rows = real[order.to(real.device).tensor_split(self.minibatches)[piece]]
        names = ("observations", "actions", "log_probs", "values", "advantages", "targets")
        return {name: getattr(learner, name)[rows] for name in names}

    def loss(self, learner: PPOLearner, batch: Batch) -> Loss:
        log_probs, entropy, values = learner.network.judge(batch["observations"], batch["actions"])
        advantages = batch["advantages"]
        if self.normalise_advantages and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        policy = clipped_surrogate(log_probs - batch["log_probs"], advantages, self.clip_range)
        value = value_loss(values, batch["targets"], batch["values"], self.clip_values)
        spread = entropy.mean()
        loss = policy + self.value_weight * value
        if self.entropy_weight:  # a bonus of weight 0 would cost its way back all the same
            loss = loss - self.entropy_weight * spread
        return loss, {**learner.acting.recent_reward(), "policy": policy, "value": value, "entropy": spread}

    def prepare(self, learner: PPOLearner) -> None:
        """Before anything is learned, see what observations are like: in environments that are not used again."""
        network, allowed = learner.network, learner.acting.spaces[1]
        if not network.standardise or float(network.moments.count):
            return
        play, seed = Play(learner.acting.environment, self.environments), mix(learner.seed, 6)
        noise = network.draw_noise((self.horizon, self.environments), generator(seed)).to(learner.device)
        now = play.reset(seed % 2**31)
        seen: list[Tensor] = []
        for each in noise:
            seen.append(self.features(learner, now, len(seen)).to(learner.device))
            now = play.step(allowed.actions(network.choose(seen[-1], each).numpy(force=True))).observation
        play.close()
        network.moments.notice(torch.cat(seen))

    @torch.no_grad()
    def act(self, learner: PPOLearner, step: int, rng: torch.Generator) -> None:
        """Act for `horizon` steps, and put what came of it into the learner's buffers."""
        network, acting, device = learner.network, learner.acting, learner.device
        allowed, before = acting.spaces[1], step // self.period() * self.horizon
        if network.standardise and step:  # not after it: what was done is judged as it was seen then
            network.moments.notice(learner.observations[learner.real])
        noise = network.draw_noise((self.horizon, self.environments), rng).to(device)
        seen = [self.features(learner, acting.be_ready(self.horizon), before).to(device)]
        actions: list[Tensor] = []
        moves: list[Moved] = []
        for each in noise:
            actions.append(network.choose(seen[-1], each))
            moves.append(acting.step(allowed.actions(actions[-1].cpu().numpy())))
            seen.append(self.features(learner, moves[-1].observation, before + len(moves)).to(device))
        rewards = np.stack([moved.reward for moved in moves])
        terminated, ended = (np.stack([getattr(moved, name) for moved in moves]) for name in ("terminated", "ended"))
        check_finite(learner.name, "rewards", rewards, before)
        acting.keep(rewards, ended)
        if self.normalise_rewards:
            rewards = scaled(learner, rewards, ended, self.discount)
        values = network.value(torch.stack(seen))
        following = values[1:].clone()
        for at, moved in enumerate(moves):
            if moved.reached is not moved.observation:  # what came last was followed by the next episode's beginning
                following[at] = network.value(self.features(learner, moved.reached, before + at).to(device))
        advantages = generalised_advantages(
            torch.from_numpy(rewards).float().to(device), values[:-1], following,
            torch.from_numpy(terminated).to(device), torch.from_numpy(ended).to(device), self.discount, self.gae_lambda,
        )  # fmt: skip
        observations, done = torch.cat(seen[:-1]), torch.cat(actions)
        learner.observations.copy_(observations)
        learner.actions.copy_(done)
        learner.log_probs.copy_(network.judge(observations, done)[0])
        learner.values.copy_(values[:-1].flatten())
        learner.advantages.copy_(advantages.flatten())
        learner.targets.copy_((advantages + values[:-1]).flatten())
        learner.real.copy_(torch.from_numpy(~np.concatenate([moved.idle for moved in moves])))

    def features(self, learner: PPOLearner, observations: NDArray[Any], step: int) -> Tensor:
        """Observations [environments, …] as float32 rows.

        Raises:
            TrainingError: They are not finite.
        """
        rows = learner.acting.spaces[0].features(observations)
        check_finite(learner.name, "observations", rows[None], step)
        return torch.from_numpy(rows)

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        # Without decay AdamW is Adam; with ε as large as in the paper's own code (Engstrom et al. 2020).
        return torch.optim.AdamW(groups, betas=(0.9, self.beta2), eps=1e-5, fused=True)

    def schedule(self, step: int, steps: int) -> float:
        return linear(step, steps, self.warmup)

    def period(self) -> int:
        return self.epochs * self.minibatches

    def examples_per_step(self, learner: PPOLearner) -> float:
        """Steps in all environments together for one minibatch: a rollout's, divided by its minibatches and epochs."""
        return self.environments * self.horizon / self.period()


def scaled(
    learner: PPOLearner, rewards: NDArray[np.float64], ended: NDArray[np.bool_], discount: float
) -> NDArray[np.float64]:
    """Rewards [steps, n] divided by the deviation of the discounted sums of rewards, of which these are some."""
    running, sums = learner.discounted.cpu().numpy().copy(), np.empty_like(rewards)
    for at, reward in enumerate(rewards):
        running = sums[at] = running * discount + reward
        running = running * ~ended[at]
    learner.discounted.copy_(torch.from_numpy(running))
    learner.returns.notice(torch.from_numpy(sums).flatten().to(learner.device))
    return rewards / float(learner.returns.deviation)


def generalised_advantages(
    rewards: Tensor, values: Tensor, following: Tensor, terminated: Tensor, ended: Tensor, discount: float,
    gae_lambda: float,
) -> Tensor:  # fmt: skip
    """Generalised advantage estimation (Schulman et al., ICLR 2016), [steps, n] as all that is given.

    A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V(s_{t+1}) − V(s_t); `following` is V(s_{t+1}). Nothing follows a state
    where the task `terminated`; where an episode `ended` for whatever reason the next step is another's.
    """
    errors = rewards + discount * following * ~terminated - values
    decay = discount * gae_lambda * (~ended).to(errors.dtype)
    advantages, carried = torch.empty_like(errors), torch.zeros_like(errors[0])
    for at in range(len(errors) - 1, -1, -1):
        carried = torch.addcmul(errors[at], decay[at], carried, out=advantages[at])
    return advantages


def clipped_surrogate(log_ratio: Tensor, advantages: Tensor, clip_range: float) -> Tensor:
    """−mean min(r A, clip(r, 1 − ε, 1 + ε) A), where r is the ratio of new to old probability."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip_range, 1 + clip_range) * advantages).mean()


def value_loss(values: Tensor, targets: Tensor, before: Tensor, clip: float | None) -> Tensor:
    """Half the mean squared error of the critic; with `clip` the worse of it and of what moved at most so far."""
    errors = (values - targets).square()
    if clip is not None:
        errors = torch.maximum(errors, (before + (values - before).clamp(-clip, clip) - targets).square())
    return errors.mean() / 2
