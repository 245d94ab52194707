"""What a probe of packing finds does not depend on who asks first."""

import copy

import torch

from manyways.models.language.probe import packs
from manyways.models.language_model import LanguageModel


def test_packing_is_probed_in_full_precision_even_where_the_loss_is_not(reader_of_sums: LanguageModel) -> None:
    """A resumed run asks at another place than a whole one; both must lay their batches out alike."""
    network = copy.deepcopy(reader_of_sums.network)
    network._packs = None
    with torch.no_grad():  # rounding that is far beyond what the probe tolerates
        for parameter in network.parameters():
            parameter.mul_(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert packs(network)
