"""Adaptation of a model with an external memory: the examples are shown to it one after the other."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from manyways.data.encoding import Encoded
from manyways.data.storage import chunks_of
from manyways.errors import ModelError
from manyways.models.few_shot.adapting import Adaptation, features_of
from manyways.models.few_shot.episodes import Draw
from manyways.models.few_shot.memory_head import MemoryHead
from manyways.models.network import Network
from manyways.randomness import generator

NUMBERS_AT_ONCE = 2**24
"""Numbers that the memories of the sequences take which are followed together."""


@dataclass(frozen=True)
class Remembering(Adaptation):
    """The examples are a sequence in a random order, and each row is answered after it (Santoro et al. 2016)."""

    by = "memory"

    def adapted(self, network: Network, rows: Encoded, labels: Tensor, classes: int) -> Network:
        learner = copy.deepcopy(network).eval()
        head = head_of(learner)
        order = torch.randperm(len(rows), generator=generator(0, len(rows))).to(labels.device)
        with torch.no_grad():
            learner.put_head(head.remembering(features_of(learner, rows)[order].clone(), labels[order], classes))
        return learner

    @torch.no_grad()
    def accuracies(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        head, features = head_of(network), features_of(network, rows)
        episodes, ways, each = queries.positions.shape
        head.check(ways)
        truth = torch.arange(ways, device=features.device).repeat_interleave(each)
        shares = []
        for at in chunks_of(episodes, sequences_at_once(head, ways * each)):
            shown, labels = in_random_order(support[at], int(at[0]))
            _, state = head.follow(features[shown], labels.to(features.device))
            states = {name: tensor.repeat_interleave(len(truth), 0) for name, tensor in state.items()}
            before = one_hot(labels[:, -1], head.labels).to(features).repeat_interleave(len(truth), 0)
            logits = head.answer(features[queries.positions[at].reshape(-1)], states, before)[:, :ways]
            shares.append((logits.argmax(1).view(len(at), -1) == truth).float().mean(1).cpu())
        return np.asarray(torch.cat(shares).numpy(), np.float64)


@torch.no_grad()
def by_instance(network: Network, rows: Encoded, drawn: Draw) -> NDArray[np.float64]:
    """The accuracy on the first row of a class in a sequence, on the second, …: [episodes, rows of a class].

    Each of `drawn` is one sequence of all its rows in random order, whose labels come one step late.
    """
    head, features = head_of(network), features_of(network, rows)
    episodes, ways, instances = drawn.positions.shape
    head.check(ways)
    shares = np.empty((episodes, instances))
    for at in chunks_of(episodes, sequences_at_once(head, 1)):
        order, labels = in_random_order(drawn[at], int(at[0]))
        logits, _ = head.follow(features[order], labels.to(features.device))
        right = (logits[..., :ways].argmax(2).cpu() == labels).double()
        # How many rows of its class have come, itself among them.
        count = (labels[:, :, None] == labels[:, None]).tril().sum(2)
        for instance in range(instances):
            shares[at, instance] = (right * (count == instance + 1)).sum(1).numpy() / ways
    return shares


def in_random_order(drawn: Draw, number: int) -> tuple[Tensor, Tensor]:
    """Positions and classes of the rows of episodes in a random order, both int64 [episodes, ways · rows]."""
    episodes, ways, rows = drawn.positions.shape
    order = torch.rand(episodes, ways * rows, generator=generator(number, episodes, rows)).argsort(1)
    positions = torch.from_numpy(drawn.positions.reshape(episodes, -1)).gather(1, order)
    return positions, order // rows


def sequences_at_once(head: MemoryHead, copies: int) -> int:
    """Sequences that may be followed together where the state of each is copied so often."""
    numbers = sum(head.get_buffer(f"state_{name}").numel() for name in head.controller.start(1))
    return max(1, NUMBERS_AT_ONCE // (numbers * copies))


def head_of(network: Network) -> MemoryHead:
    """The head of `network`, which has a memory.

    Raises:
        ModelError: It is of another kind.
    """
    if not isinstance(network.head, MemoryHead):
        raise ModelError(f"The head of the model must be a MemoryHead; got {type(network.head).__name__}.")
    return network.head
