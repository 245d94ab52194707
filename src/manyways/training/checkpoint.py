"""Checkpoints: all that a run needs to go on, in one safetensors file that is replaced as a whole."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from manyways.checked_json import described, parse
from manyways.errors import ModelError, TrainingError
from manyways.permissions import ensured_folder, tighten
from manyways.training.run import CHECKPOINT as NAME
from manyways.whole import whole

GO_ON = "Make room or give another folder, and run the same command again."


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by dotted name (`learner.…`, `optimizer.…`, `best.…`) and facts as JSON values."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name begins with `prefix` and a dot, without it."""
        return {name[len(prefix) + 1 :]: t for name, t in self.tensors.items() if name.startswith(prefix + ".")}


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in `folder`. A process killed here leaves the one before as it was.

    Raises:
        TrainingError: The folder cannot be written or the disk is full.
    """
    what = f"The checkpoint cannot be written to {folder}"
    needed = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    with whole(folder / NAME, TrainingError, what, GO_ON, needed) as part:
        for left in ensured_folder(folder).glob(f".{NAME}.*.part"):  # by a process that was killed
            left.unlink(missing_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.tensors.items()}
        save_file(tensors, part, metadata={"facts": json.dumps(checkpoint.facts)})
        tighten(part)


def read_checkpoint(folder: Path, identity: str) -> Checkpoint | None:
    """The checkpoint in `folder`, or None where there is none.

    Raises:
        ModelError: It is damaged, or was made by a run with another `identity` (method, data, seed, budget).
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = (file.metadata() or {})["facts"]
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error}); delete it to begin the run again.") from error
    facts = dict(described(parse(text, str(path), ModelError), str(path), ModelError).members)
    if facts.get("identity") != identity:
        raise ModelError(
            f"{path} is of another run: the method, the data, the seed or the budget differ. Give another folder, or "
            "delete this one to begin again."
        )
    return Checkpoint(tensors, facts)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as tensors by `<parameter>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave.

    Raises:
        ValueError: A parameter's state is not whole.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    names = next(iter(state.values()), {}).keys()
    for at, values in state.items():
        fits = (value.numel() == 1 or value.shape == parameters[at].shape for value in values.values())
        if values.keys() != names or not all(fits):
            raise ValueError(f"the optimiser's state of parameter {at} is not whole")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
