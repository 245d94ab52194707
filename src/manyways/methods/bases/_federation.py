"""A federation: who holds which rows, and the clients of a round as one population."""

import secrets

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.methods.bases._privacy import clip_updates
from manyways.methods.bases._rounds import RoundPlan, Rounds
from manyways.models.population import Population, Weights
from manyways.training.learner import LabelledLearner

ERASED = -1
"""The number in place of a seed that is gone."""


class Federation(nn.Module):
    """The clients that hold labelled rows, and copies of the network for as many as may report in one round.

    seed: what all chance between the clients follows from; it is saved, as a secret one is drawn only once, until
    `erase` puts ERASED in its place. reported [clients]: who reported in any round, known from then on. `fitted` says
    in words what was fitted on all clients' rows before the first round.
    """

    seed: Tensor
    reported: Tensor
    fitted: tuple[str, ...] = ()

    def __init__(self, learner: LabelledLearner, plan: RoundPlan, seed: int) -> None:
        super().__init__()
        (column,) = learner.data.roles["client"]
        holders = learner.training_data.take(column)[learner.labelled]
        self.names, codes = np.unique(holders.astype(str), return_inverse=True)
        order = np.argsort(codes, kind="stable")
        self._client_rows = np.split(learner.labelled[order], np.bincount(codes).cumsum()[:-1])
        self._plan = plan
        self._rounds: Rounds | None = None
        self.register_buffer("seed", torch.tensor(seed))
        self.register_buffer("reported", torch.zeros(len(self.names), dtype=torch.bool))
        self.members = Population(learner.network, self.rounds.most)

    @property
    def rounds(self) -> Rounds:
        """All rounds; those of a run that is resumed follow from the seed in its checkpoint."""
        seed = int(self.seed)
        if self._rounds is None or self._rounds.seed != seed:
            self._rounds = Rounds(self._client_rows, self._plan, seed)
        return self._rounds

    def took_part(self, steps: int) -> NDArray[np.str_]:
        """The names of the clients that reported in the rounds begun in `steps`."""
        return np.asarray(self.names[(self.reported if self.erased else self._reported(steps)).cpu().numpy()])

    @property
    def erased(self) -> bool:
        """True if the seed is gone."""
        return int(self.seed) == ERASED

    def erase(self, steps: int) -> None:
        """Forget the seed after `steps`: what followed from it, but for who took part, cannot be told any more."""
        if not self.erased:
            self.reported.copy_(self._reported(steps))
            self.seed.fill_(ERASED)
            self._rounds = None

    def _reported(self, steps: int) -> Tensor:
        """A mask [clients] of those that reported in the rounds begun in `steps`."""
        mask = torch.zeros(len(self.names), dtype=torch.bool)
        for number in range(self.rounds.begun(steps)):
            mask[torch.from_numpy(self.rounds.reporting(number))] = True
        return mask

    def shares(self, steps: int) -> dict[str, dict[str, int]]:
        """Of each client that reported in the rounds begun in `steps` its rows, and in how many rounds it did."""
        reported = [self.rounds.reporting(number) for number in range(self.rounds.begun(steps))]
        rounds = np.bincount(np.concatenate([np.empty(0, np.int64), *reported]), minlength=len(self.names))
        return {
            str(self.names[at]): {"rows": len(self._client_rows[at]), "rounds": int(rounds[at])}
            for at in np.flatnonzero(rounds).tolist()
        }

    def some_rows(self, width: int) -> NDArray[np.int64]:
        """`width` rows of each of the first clients, as many as there are members [members, width]."""
        return np.stack([np.resize(rows, width) for rows in self._client_rows[: self.members.members]])

    @torch.no_grad()
    def mean_by_rows(self, number: int, start: Weights, clip_update: float | None) -> Weights:
        """The mean of the members' weights after a round, each by its rows.

        Args:
            number: The round.
            start: The state of the network in which it began.
            clip_update: The largest norm of a member's move; None does not clip.

        Returns:
            The state of the network after it; `start` where nobody reports.
        """
        clients = self.rounds.round(number).clients
        if not len(clients):
            return start
        shares = torch.zeros(self.members.members, device=self.seed.device)
        shares[: len(clients)] = torch.from_numpy(self.rounds.sizes[clients]).to(shares)
        if clip_update is not None:
            clipped = clip_updates(self.updates(start), clip_update)
            for name, weights in self.members.weights().items():
                weights.copy_(start[name] + clipped[name])
        return start | self.members.mean(shares)

    def updates(self, start: Weights) -> Weights:
        """The moves of each member's weights from `start`, [members, ...], buffers left out."""
        return {name: stacked - start[name] for name, stacked in self.members.weights().items()}


class FederatedLearner(LabelledLearner):
    """A learner of encoded rows, and the clients that hold them.

    Attributes:
        private: True if clients' rows of validation are nobody's to look at.
        secret: True if nobody knows the federation's seed.
    """

    federation: Federation
    private: bool = False
    secret: bool = False

    @property
    def validation(self) -> Data | None:
        return None if self.private else super().validation

    def changes(self, steps: int) -> int:
        """Rounds that have ended."""
        rounds = self.federation.rounds
        over = steps == self.steps or (steps > 0 and rounds.ends(steps - 1))
        return rounds.begun(steps) - (not over)

    def erase_secrets(self, steps: int) -> bool:
        if self.secret:
            self.federation.erase(steps)
        return self.secret


def secret_seed() -> int:
    """A seed that nobody knows, from the system's own source of randomness."""
    return secrets.randbits(63)


def by_client(inputs: dict[str, Tensor], positions: NDArray[np.int64]) -> dict[str, Tensor]:
    """Rows [clients · width, ...] as [clients, width, ...]."""
    return {name: rows.reshape(*positions.shape, *rows.shape[1:]) for name, rows in inputs.items()}
