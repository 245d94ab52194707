"""Federated methods: clients that hold rows of their own take local steps, and a server puts their weights together."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.targets import Target, predictions
from manyways.errors import ParameterError
from manyways.methods.bases._federation import FederatedLearner, Federation, by_client, secret_seed
from manyways.methods.bases._privacy import (
    check_private,
    clip_updates,
    epsilon,
    fitted_on_clients,
    guarantee,
    noisy_mean,
    refuse_batch_norm,
    uncovered,
)
from manyways.methods.bases._rounds import RoundPlan, Rounds
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import PredictingMethod
from manyways.methods.fields import Count, Interval, NotNegative, Positive, Share
from manyways.methods.needs import AnyLabel, Client, Input
from manyways.models.model import Model
from manyways.models.population import Weights, clip_members
from manyways.randomness import generator, mix
from manyways.training.steps import ParameterGroup

__all__ = ["FederatedLearner", "FederatedMethod"]

NOISE = 3
NO_SECOND_MOMENT = 0.99


FederatedT = TypeVar("FederatedT", bound=FederatedLearner)


_NOISY: dict[str, Any] = {"clip_update": 1.0, "noise_multiplier": 1.0, "backbone": "vit", "size": 0.25}
"""With these there is noise, on a network without batch normalisation."""


@dataclass(frozen=True, kw_only=True)
class FederatedMethod(PredictingMethod[FederatedT], Generic[FederatedT]):
    """Learn from clients whose rows stay with them: each trains a copy for a while, and a server puts them together.

    A step is one local step of all clients of a round at once, by plain gradient descent on rows of their own: the loss
    of each says `local_losses`. When the round ends, `aggregate` says where the next one starts. The last round ends
    with the budget. Who holds a row says the column with the role client; a client without labelled training rows takes
    no part.

    With noise clients are asked by independent throws, all take `local_steps`, their updates are clipped to
    `clip_update` and count alike, and the sum is divided by the number that is expected (DP-FedAvg, McMahan et al.,
    Learning differentially private recurrent language models, ICLR 2018). What it guarantees holds of any method whose
    `aggregate` learns of the clients by `mean_weights` alone.
    """

    participation: Annotated[float, Interval("(0, 1]")] = 1.0
    """Share of the clients that is asked in a round (C in the paper); with noise the probability of each."""
    local_epochs: Count = 1
    """Passes of a client over its rows in a round (E)."""
    local_steps: Count | None = None
    """Steps of every client in a round, in place of `local_epochs`; with noise it must be given."""
    batch_size: Count = 10
    """Rows of a client in a batch (B); the last batch of a pass may be smaller."""
    learning_rate: Positive = 0.1
    """Learning rate of the clients' gradient descent (η)."""
    warmup: Share = 0.0
    """Share of the steps in which the learning rate rises; it is constant afterwards."""
    weight_decay: NotNegative = 0.0
    """Weight decay of each client's matrices."""
    clip: Positive | None = None
    """Largest norm of each client's gradient; None does not clip."""
    precision: Literal["float32"] = "float32"
    """Arithmetic of the loss: that of a population."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""
    augment: bool = False
    """True if clients see their rows through weak views."""
    dropout_rate: Annotated[float, Interval("[0, 1)")] = 0.0
    """The probability that a client which was asked drops out before it reports."""
    clip_update: Positive | None = None
    """Largest norm of what a client's weights move in a round; None does not clip."""
    noise_multiplier: NotNegative = 0.0
    """Standard deviation of the noise on the sum of the updates, as a multiple of `clip_update` (z)."""
    delta: Annotated[float, Interval("(0, 1)")] = 1e-5
    """The δ for which ε is stated; it should be far below one by the number of clients."""
    noise_seed: Annotated[int, Interval("[0, 9007199254740992)")] | None = None
    """The seed of the noise and its throws; None draws a secret, other in every run, on which the privacy rests."""

    needs: ClassVar = (Input, AnyLabel, Client)
    uses: ClassVar = ("weight",)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset({"embed"})

    field_trials: ClassVar = {
        "delta": {**_NOISY, "noise_seed": 1, "delta": 1e-3},
        "noise_seed": {**_NOISY, "noise_seed": 1},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.beta2 != NO_SECOND_MOMENT:
            raise ParameterError(
                f"{name}.beta2 is AdamW's, and clients descend plainly: leave it out; got {self.beta2}."
            )
        if self.local_steps is not None and self.local_epochs != 1:
            raise ParameterError(
                f"{name}.local_steps stands in place of local_epochs: give one of them; got {self.local_steps} and "
                f"{self.local_epochs}."
            )
        if self.private:
            check_private(name, self.clip_update, self.local_steps, self.local_epochs)
        if self.private and self.class_weight is not None:
            raise ParameterError(
                f"{name}.class_weight counts clients' labels, which are not looked at where there is noise: leave it "
                f"out; got {self.class_weight!r}."
            )
        if self.private and self.patience != type(self).patience:
            raise ParameterError(
                f"{name}.patience waits for scores on validation rows, which are clients' own and are not looked at "
                f"where there is noise: leave it out; got {self.patience}."
            )

    @classmethod
    def example_data(cls) -> Data:
        """Digits, held by six clients with unequal shares of them."""
        return super().example_data().with_clients(6, alpha=1.0)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """Rounds of two steps, so that a run is interrupted in the middle of one."""
        return cls(local_steps=2, batch_size=4)

    @property
    def private(self) -> bool:
        """True if there is noise, and so a guarantee."""
        return self.noise_multiplier > 0

    def roles_used(self) -> tuple[str, ...]:
        """Without weights where there is noise: their mean would tell of all clients."""
        return tuple(role for role in super().roles_used() if not (self.private and role == "weight"))

    def unrepeatable(self) -> str | None:
        return "its noise follows from a secret that nobody keeps" if self.private and self.noise_seed is None else None

    @abstractmethod
    def local_losses(self, learner: FederatedT, batch: Batch) -> Tensor:
        """The loss of each client at work that a local step descends, float [clients]."""

    @abstractmethod
    def aggregate(self, learner: FederatedT, number: int) -> Weights:
        """The state of the network after the round `number`, from where it stood before and what clients report."""

    def mean_losses(self, learner: FederatedT, batch: Batch) -> Tensor:
        """The mean loss of each client at work on the rows of its batch, float [clients]."""
        target, members = learner.target, learner.federation.members
        if target.structured:  # what a head gives need be no tensor that all clients share
            rows = {"inputs": batch["inputs"], "labels": batch["labels"]}
            losses = torch.stack(members.each(lambda own, of: target.losses(own(of["inputs"]), of["labels"]), rows))
        else:
            losses = target.losses(members(batch["inputs"]), batch["labels"])
        mean: Tensor = (losses * batch["weights"]).sum(1)
        return mean

    def mean_weights(self, learner: FederatedT, number: int) -> Weights:
        """The mean of the clients' weights after the round `number`, by their rows; with noise, as it may be told."""
        federation, start = learner.federation, learner.network.state_dict()
        if not self.private:
            return federation.mean_by_rows(number, start, self.clip_update)
        assert self.clip_update is not None
        rounds = federation.rounds
        moved = noisy_mean(
            clip_updates(federation.updates(start), self.clip_update),
            self._expected(rounds),
            self.noise_multiplier * self.clip_update,
            generator(rounds.seed, number, NOISE),
        )
        return start | {name: start[name] + update for name, update in moved.items()}

    def begin(self, data: Data, model: Model | None, seed: int) -> FederatedT:
        learner = super().begin(data, model, seed)
        learner.weigh(balanced=self.class_weight == "balanced")
        if self.private:
            epsilon(1, self.participation, self.noise_multiplier, self.delta)  # before training, not after it
            refuse_batch_norm(learner.network, type(self).__name__)
        learner.private, learner.secret = self.private, self.private and self.noise_seed is None
        plan = RoundPlan(
            share=self.participation, poisson=self.private, dropout_rate=self.dropout_rate,
            batch_size=self.batch_size, epochs=self.local_epochs, steps=self.local_steps,
        )  # fmt: skip
        chosen = self.noise_seed if self.private else seed
        learner.federation = Federation(learner, plan, secret_seed() if chosen is None else mix(chosen, NOISE))
        if self.private:
            learner.federation.fitted = fitted_on_clients(learner, None if model is None else model.as_predictor(data))
        return learner

    def make_target(self, data: Data, model: Model | None) -> Target:
        """That of the model to start from, where noise hides what clients' labels are and it has the same label."""
        begun = model.as_predictor(data).target if self.private and model else None
        if begun and begun.name == data.label.name and begun.classification == data.classification:
            return begun
        return super().make_target(data, model)

    def prepare(self, learner: FederatedT) -> None:
        if learner.target.structured:
            return
        positions = learner.federation.some_rows(learner.federation.rounds.width)
        learner.federation.members.calibrate(by_client(learner.take(positions.ravel()), positions))

    def draw(self, learner: FederatedT, step: int, rng: torch.Generator) -> Batch:
        rounds = learner.federation.rounds
        number, local = rounds.round_of(step)
        positions, counts = rounds.round(number).batch(local)
        inputs = learner.take(positions.ravel())
        if self.augment and len(positions):
            inputs = learner.views.weak(inputs, rng)
        labels = learner.labels_at(positions.ravel())
        weights = (np.arange(rounds.width) < counts[:, None]) / counts[:, None].astype(np.float32)
        if learner.weights is not None:
            weights *= learner.weights.numpy()[positions]
        return {
            "inputs": by_client(inputs, positions),
            "labels": labels.view(*positions.shape, *labels.shape[1:]),
            "weights": torch.from_numpy(weights).to(learner.device),
            "epsilon": self._epsilon(rounds.begun(step + 1)) if self.private else None,
        }

    def loss(self, learner: FederatedT, batch: Batch) -> Loss:
        members, clients = learner.federation.members, len(batch["labels"])
        parts = {} if batch["epsilon"] is None else {"epsilon": torch.tensor(batch["epsilon"], dtype=torch.float64)}
        if not clients:  # nobody reports: a step that moves nothing
            return sum((w.sum() * 0.0 for w in members.weights().values()), torch.zeros(())), parts
        each = self.local_losses(learner, batch)
        total = each.sum()
        if self.weight_decay:  # of those at work alone: the optimiser would shrink the weights of those who wait, too
            matrices = [weights[:clients] for weights in members.weights().values() if weights.ndim > 2]
            total = total + self.weight_decay / 2 * sum(weights.square().sum() for weights in matrices)
        return total, {"client": each.mean(), **parts}

    @torch.no_grad()
    def after(self, learner: FederatedT, step: int) -> None:
        federation = learner.federation
        if not (federation.rounds.ends(step) or step + 1 == learner.steps):  # the budget ends the last round
            return
        number, _ = federation.rounds.round_of(step)
        learner.network.load_state_dict(self.aggregate(learner, number))
        federation.members.set_all(learner.network.state_dict())

    def parameter_groups(self, learner: FederatedT) -> list[ParameterGroup]:
        return [ParameterGroup(list(learner.federation.members.parameters()), self.learning_rate)]

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Plain stochastic gradient descent; weight decay is in the loss."""
        return torch.optim.SGD([{**group, "weight_decay": 0.0} for group in groups], fused=True)

    def schedule(self, step: int, steps: int) -> float:
        """Constant after the warm-up, if there is one."""
        return min(1.0, (step + 1) / max(1, round(self.warmup * steps)))

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Bound the gradient of each client by `clip`."""
        if self.clip is not None:
            clip_members(parameters, self.clip)

    def examples_per_step(self, learner: FederatedT) -> int:
        rounds = learner.federation.rounds
        if self.private:  # as many as are expected, at most: what clients really hold would tell of them
            return max(1, round(self._expected(rounds) * self.batch_size))
        return max(1, round(rounds.rows_per_step()))

    def rows_reached(self, learner: FederatedT, steps: int) -> NDArray[np.bool_]:
        """The labelled training rows of the clients that took part; of all clients, while it is trained."""
        reached = super().rows_reached(learner, steps)
        if not steps:
            return reached
        (column,) = learner.data.roles["client"]
        return reached & np.isin(learner.data.take(column).astype(str), learner.federation.took_part(steps))

    def facts(self, learner: FederatedT, steps: int) -> dict[str, Any]:
        """Rounds, and who took part with how many rows, or what privacy they have; nothing while it is trained."""
        if not steps:
            return {}
        federation = learner.federation
        rounds = federation.rounds.begun(steps)
        stated: dict[str, Any] = {"rounds": rounds, "clients": len(federation.took_part(steps))}
        if self.private:
            privacy = guarantee(rounds, self.participation, self.noise_multiplier, self.delta)
            stated["privacy"] = privacy | uncovered(federation.fitted, secret=self.noise_seed is None)
        else:
            stated["took_part"] = federation.shares(steps)
        return stated

    def _expected(self, rounds: Rounds) -> float:
        """The number of clients that are expected to report in a round."""
        return self.participation * (1 - self.dropout_rate) * len(rounds.sizes)

    def _epsilon(self, rounds: int) -> float:
        return epsilon(rounds, self.participation, self.noise_multiplier, self.delta)
