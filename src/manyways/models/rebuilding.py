"""Networks made again from a description that anybody may have written, never larger than their weights file."""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from manyways.checked_json import DAMAGED
from manyways.data.encoding import InputEncoding
from manyways.errors import ModelError
from manyways.models.heads import Head
from manyways.models.tensor_files import TensorFacts, read_facts
from manyways.models.weights import WEIGHTS, fill

Network = TypeVar("Network", bound=nn.Module)

WIDER, ROOM = 4, 64 << 20
"""One tensor may have so many times the bytes of all that is stored (halves are read as float64), and so many more."""
ALL_WIDER, ALL_ROOM = 8, 256 << 20
"""The same for all tensors that a network makes together: first weights, tables of positions, windows of sound."""
CALLS, CALLS_EACH = 5_000, 200
"""Calls of torch that making a network may take, and more for each tensor that is stored: layers are counted by it."""


class Networked(Protocol):
    """A network over named modalities with a head."""

    names: tuple[str, ...]

    @property
    def head(self) -> Head | None: ...


def filled(make: Callable[[], Network], folder: Path) -> Network:
    """The network that `make` makes of a description, with the weights in `folder`, ready to be asked.

    Raises:
        ModelError: It would be larger than they are, before memory is taken, or they do not fit.
    """
    facts = read_facts(folder / WEIGHTS)
    # New layers draw weights, which are replaced; of what else they have to say nothing is left then.
    with torch.random.fork_rng(), Within(facts, folder / WEIGHTS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = make()
    fill(network, folder)
    return network.eval()


def check_fit(network: "Networked", inputs: InputEncoding, outputs: int | None = None) -> None:
    """Raise ModelError where a network is for other inputs than `inputs`, or makes another number of outputs."""
    if set(network.names) != set(inputs.encoders):
        asked, known = ", ".join(map(repr, network.names)), ", ".join(map(repr, inputs.encoders))
        raise ModelError(f"The network reads {asked}, and the inputs that are encoded are {known}; {DAMAGED}.")
    last = network.head.last if network.head is not None else None
    if outputs is not None and last is not None and last.out_features != outputs:
        raise ModelError(f"The network has {last.out_features} outputs, and {outputs} mean something; {DAMAGED}.")


class Within(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which what is made of torch stays within what the tensors `facts` of the file `path` call for.

    Raises ModelError for a tensor that is too large before it is made, and for too many.
    """

    def __init__(self, facts: Mapping[str, TensorFacts], path: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        stored = sum(each.size for each in facts.values())
        self._path = path
        self._most, self._left = float(WIDER * stored + ROOM), float(ALL_WIDER * stored + ALL_ROOM)
        self._calls = CALLS + CALLS_EACH * len(facts)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out `func` where what it gives is not too large."""
        given = kwargs or {}
        self._calls -= 1
        if self._calls < 0:
            raise ModelError(self._misfit("more layers"))
        tensors = [each for each in torch.utils._pytree.tree_leaves((args, given)) if isinstance(each, Tensor)]
        largest = math.prod(max(1, each.numel()) * 8 for each in tensors)
        if not tensors or largest > self._most or "repeat" in func.__name__:
            size = _size(func, args, given)
            if size > self._most or (not tensors and size > self._left):
                raise ModelError(self._misfit("larger tensors"))
            self._left -= 0 if tensors else size
        return func(*args, **given)

    def _misfit(self, what: str) -> str:
        return (
            f"The description of the network asks for {what} than {self._path} holds; it is damaged or was written by "
            "something else. It is not built."
        )


def _size(func: Any, args: Any, given: Any) -> float:
    """Bytes of what `func` would make, found without making it; infinite where no tensor can be so large."""

    def nowhere(value: Any) -> Any:
        if isinstance(value, Tensor):
            return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
        return torch.device("meta") if isinstance(value, torch.device) else value

    if "out" in func._overloadname or func._schema.is_mutable:  # it writes where something is already
        return 0
    args, given = torch.utils._pytree.tree_map(nowhere, (args, given))
    if any(each.name == "device" for each in func._schema.arguments):
        given = {**given, "device": torch.device("meta")}
    try:
        built = func(*args, **given)
    except NotImplementedError:  # its result follows from the numbers, and is as large as one of its arguments
        return 0
    except (RuntimeError, OverflowError):
        return math.inf
    found = [each for each in torch.utils._pytree.tree_leaves(built) if isinstance(each, Tensor)]
    return sum(each.numel() * each.element_size() for each in found)
