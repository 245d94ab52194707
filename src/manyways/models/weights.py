"""The weights of a network as one safetensors file."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from manyways.damaged import damaged
from manyways.errors import ModelError

WEIGHTS = "weights.safetensors"


def write_weights(network: nn.Module, folder: Path) -> None:
    """Write all that `network` holds into `folder`."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in `path`.

    Raises:
        ModelError: It is no safetensors file.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file ({error}); pickled weights are never loaded.") from error


def fill(network: nn.Module, folder: Path) -> None:
    """Put the weights in `folder` into `network`.

    Raises:
        ModelError: Names or shapes differ.
    """
    path = folder / WEIGHTS
    weights = read_tensors(path)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wrong := sorted(expected.items() ^ given.items()):
        name, shape = wrong[0]
        raise ModelError(
            f"{path} does not fit the network in model.json: {len(wrong)} differences, the first at {name!r}: "
            f"shape {given.get(name, 'missing')} given, {expected.get(name, 'none')} expected ({shape})."
        )
    with damaged(f"{path} does not fit the network in model.json", ModelError, "Copy the model again."):
        network.load_state_dict(weights)
