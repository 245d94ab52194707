"""AdaShare: which label passes through which block is learned (Sun et al., NeurIPS 2020).

A run has three stages. First all labels share all blocks. Then the policy is learned beside the weights, in turns: each
label passes through each block, or skips it, by a Gumbel-softmax sample whose temperature falls. In the end a policy is
sampled, and a network that keeps to it is trained from the weights that the run began with.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from manyways.models.lockstep import Skippable
from manyways.randomness import generator

WARM_UP, SEARCH = 0.2, 0.4
"""Shares of the run in which all is shared, and in which the policy is learned; what is left is for its network."""
HOTTEST, COLDEST = 5.0, 0.5
"""Temperatures of the Gumbel-softmax samples at first and at last."""
POLICY = 3
"""The stream of random numbers from which the policy is sampled."""


def stages(steps: int) -> tuple[int, int]:
    """The first step at which the policy is learned, and the first of its network."""
    return round(WARM_UP * steps), round((WARM_UP + SEARCH) * steps)


def temperature(step: int, steps: int) -> float:
    """The temperature of samples at a step in which the policy is learned: it falls by the same part each step."""
    first, last = stages(steps)
    return float(HOTTEST * (COLDEST / HOTTEST) ** ((step - first) / max(1, last - first - 1)))


def gumbel_noise(units: Sequence[Skippable], rng: torch.Generator) -> list[Tensor]:
    """The noise of a sample for each unit [labels]: the difference of two Gumbel variables is a logistic one."""
    return [torch.logit(torch.rand(unit.logits.shape, generator=rng), eps=1e-6) for unit in units]


def sample(units: Sequence[Skippable], noise: Sequence[Tensor], heat: float, learning: bool) -> None:
    """Let labels pass through the `units` by Gumbel-softmax samples at the temperature `heat`.

    learning: True to let gradients reach the policy.
    """
    for unit, each in zip(units, noise, strict=True):
        logits = unit.logits if learning else unit.logits.detach()
        unit.passing = ((logits + each.to(logits.device)) / heat).sigmoid()


def stop_sampling(units: Sequence[Skippable]) -> None:
    """Let labels pass as the policy says."""
    for unit in units:
        unit.passing = None


def sparsity_loss(logits: Tensor) -> Tensor:
    """The cross-entropy of skipping, Σ −log(1 − α), of the `logits` of passing [blocks, labels]: fewer blocks."""
    return -logsigmoid(-logits).sum()


def sharing_loss(logits: Tensor) -> Tensor:
    """Σ (L − l) / L |α_la − α_lb| over pairs of labels, of the `logits` [blocks, labels]: low blocks are shared."""
    probabilities, (blocks, labels) = logits.sigmoid(), logits.shape
    depth = (blocks - torch.arange(blocks, device=logits.device)) / blocks
    pairs = [(a, b) for a in range(labels) for b in range(a)]
    return torch.stack([(depth * (probabilities[:, a] - probabilities[:, b]).abs()).sum() for a, b in pairs]).sum()


def settle(units: Sequence[Skippable], seed: int) -> None:
    """Sample the policy from what was learned: a function of the seed."""
    rng = generator(seed, POLICY)
    for unit in units:
        drawn = torch.rand(unit.logits.shape, generator=rng).to(unit.logits.device)
        unit.policy.copy_((drawn < unit.logits.detach().sigmoid()).float())


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all tensors of a network but those of the policy."""
    units = [name for name, module in network.named_modules() if isinstance(module, Skippable)]
    policy = {f"{name}.{own}" for name in units for own in ("logits", "policy")}
    return {name: each.detach().clone() for name, each in network.state_dict().items() if name not in policy}


def restart(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put `weights` back into `network`, whose policy stays."""
    network.load_state_dict(weights, strict=False)


def schedule(step: int, steps: int, of_stage: Callable[[int, int], float]) -> float:
    """The multiple of the learning rate: it rises and falls in the search, and again for the network of the policy.

    of_stage: the multiple at a step of so many.
    """
    _, last = stages(steps)
    return of_stage(step, max(1, last)) if step < last else of_stage(step - last, max(1, steps - last))
