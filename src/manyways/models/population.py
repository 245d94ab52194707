"""Population: many networks of one architecture as one stack of parameters."""

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from manyways.errors import ParameterError
from manyways.models._quicker import CHOICES, ONE_BY_ONE, UNDECIDED, VECTORISED, How, chosen
from manyways.models._trees import count_of, leaves, mapped, sliced, stacked

CALIBRATION_MEMBERS = 8
CHUNK_BYTES = 1 << 28
"""Parameters, and so roughly activations, that go through one vectorised pass."""

Weights = dict[str, Tensor]


NetworkT = TypeVar("NetworkT", bound=nn.Module)


class Population(nn.Module, Generic[NetworkT]):
    """`members` copies of `network`, each with weights of its own, in tensors with one leading axis.

    Such are the clients of a federated round, and the reference models of an audit. `population(inputs)` runs every
    member on its own rows: all inputs have the members as their first axis, and so has what comes out. Inputs for fewer
    members than there are run the first so many.

    how: vectorised runs all in one program (torch.func, chunked so that memory is bounded), one by one is a loop; auto
    times both once, on the first rows in training, and keeps the quicker one: also for other populations of the same
    architecture and rows on this machine, since results are the same only up to rounding. Dropout is off: members draw
    nothing. Members compute in the precision of their weights, also under autocast.
    """

    decided: Tensor

    def __init__(self, network: NetworkT, members: int, *, how: How = "auto", chunk: int | None = None) -> None:
        super().__init__()
        if members < 1:
            raise ParameterError(f"A population needs one member at least; got {members}.")
        self.members = members
        template = copy.deepcopy(network)
        for part in template.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        size = sum(tensor.numel() * tensor.element_size() for tensor in template.state_dict().values())
        self.chunk = chunk or max(1, min(members, CHUNK_BYTES // max(1, size)))
        self._template = [template]  # in a list, so that its weights are not among those of the population
        own = {name: parameter.detach() for name, parameter in template.named_parameters()}
        self.stack = nn.ParameterDict({_key(name): _repeat(tensor, members) for name, tensor in own.items()})
        # Buffers that are not saved are constants (positions, filters), which all members share.
        kept = {name: buffer for name, buffer in template.named_buffers() if name in template.state_dict()}
        for name, buffer in kept.items():
            self.register_buffer(f"buffer|{_key(name)}", _repeat(buffer, members))
        self.names = tuple(own)
        self.buffer_names = tuple(kept)
        able = all(getattr(part, "vectorises", True) for part in template.modules())
        self.register_buffer("decided", torch.tensor(CHOICES[how] if able else ONE_BY_ONE))
        self._tied = len(own) < len(list(template.named_parameters(remove_duplicate=False)))

    # --- weights -----------------------------------------------------------------------------------

    def weights(self) -> Weights:
        """The stacked parameters by the network's own names; they are the population's, not copies."""
        return {name: self.stack[_key(name)] for name in self.names}

    def stacked_buffers(self) -> Weights:
        """The stacked buffers by the network's own names."""
        return {name: getattr(self, f"buffer|{_key(name)}") for name in self.buffer_names}

    def member(self, number: int) -> NetworkT:
        """A network with the weights of one member."""
        network = copy.deepcopy(self._template[0])
        network.load_state_dict(
            {name: tensor[number].detach() for name, tensor in (self.weights() | self.stacked_buffers()).items()}
        )
        return network

    @torch.no_grad()
    def mean(self, shares: Tensor) -> Weights:
        """The weighted mean of the members' weights and buffers; shares [members] are divided by their sum."""
        shares = shares / shares.sum()
        tensors = self.weights() | self.stacked_buffers()
        return {
            name: torch.einsum("m,m...->...", shares.to(tensor.dtype), tensor)
            if tensor.is_floating_point()
            else tensor[int(shares.argmax())]
            for name, tensor in tensors.items()
        }

    @torch.no_grad()
    def set_all(self, weights: Mapping[str, Tensor]) -> None:
        """Give every member the same `weights` and buffers."""
        for name, tensor in (self.weights() | self.stacked_buffers()).items():
            tensor.copy_(weights[name].expand_as(tensor))

    # --- running -----------------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The constants that members share go to another device with the rest.
        self._template[0]._apply(fn)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def train(self, mode: bool = True) -> Self:
        """Set every member to training, or to evaluation."""
        self._template[0].train(mode)
        return super().train(mode)

    def forward(self, inputs: Any) -> Any:
        """Outputs of every member for its own rows."""
        if torch.is_grad_enabled():
            self.calibrate(inputs)
        return self._carry_out(self._first(count_of(inputs)), inputs, int(self.decided) == VECTORISED)

    def each(self, function: Callable[[NetworkT, Any], Tensor], given: Any) -> list[Tensor]:
        """The result of `function` for each member, of the network with its weights and its own of what is `given`."""
        whole = _Applied(self._template[0], function)
        tensors = {f"network.{name}": tensor.unbind(0) for name, tensor in self._first(count_of(given)).items()}
        members = [dict(zip(tensors, weights, strict=True)) for weights in zip(*tensors.values(), strict=True)]
        with torch.autocast(self.decided.device.type, enabled=False):
            return [
                functional_call(whole, weights, (sliced(given, number),), tie_weights=self._tied)
                for number, weights in enumerate(members)
            ]

    def calibrate(self, inputs: Any) -> None:
        """Choose how members are run, on `inputs` such as a call takes, where it has not been chosen yet."""
        if int(self.decided) == UNDECIDED:
            ways = {way: partial(self._trial, inputs, way == VECTORISED) for way in (ONE_BY_ONE, VECTORISED)}
            self.decided.fill_(chosen(self._facts(inputs), ways))

    def _one(self, weights: Weights, given: Any) -> Any:
        return functional_call(self._template[0], weights, (given,), tie_weights=self._tied)

    def _first(self, count: int) -> Weights:
        if count > self.members:
            raise ParameterError(f"The inputs are those of {count} members; the population has {self.members}.")
        tensors = self.weights() | self.stacked_buffers()
        return tensors if count == self.members else {name: tensor[:count] for name, tensor in tensors.items()}

    def _carry_out(self, tensors: Weights, inputs: Any, vectorised: bool) -> Any:
        # Under vmap autocast reaches some operations and not others, and what they give does not fit together.
        with torch.autocast(self.decided.device.type, enabled=False):
            if vectorised:
                return vmap(self._one, chunk_size=self.chunk, randomness="error")(tensors, inputs)
            parts = {name: tensor.unbind(0) for name, tensor in tensors.items()}  # one backward pass for all slices
            each = [dict(zip(parts, weights, strict=True)) for weights in zip(*parts.values(), strict=True)]
            return stacked([self._one(weights, sliced(inputs, member)) for member, weights in enumerate(each)])

    def _facts(self, inputs: Any) -> tuple[Any, ...]:
        """Facts that decide which way is the quicker one."""
        weights = {name: tuple(tensor.shape[1:]) for name, tensor in self._first(1).items()}
        rows = [tuple(leaf.shape[1:]) for leaf in leaves(inputs)]
        few = min(count_of(inputs), CALIBRATION_MEMBERS)
        return "population", repr(self._template[0]), weights, rows, few, self.decided.device.type

    def _trial(self, inputs: Any, vectorised: bool) -> None:
        """A few members run there and back, on copies of their weights."""
        few = min(count_of(inputs), CALIBRATION_MEMBERS)
        tensors = {name: tensor.detach().clone() for name, tensor in self._first(few).items()}
        learned = [tensors[name].requires_grad_() for name in self.names]
        with torch.enable_grad():
            outputs = leaves(self._carry_out(tensors, mapped(lambda tensor: tensor[:few], inputs), vectorised))
            total = sum((out.float().sum() for out in outputs if out.is_floating_point()), torch.zeros(()))
        torch.autograd.grad(total, learned, allow_unused=True)


class _Applied(nn.Module, Generic[NetworkT]):
    """A function of a network as a module, so that it can be called with other weights."""

    def __init__(self, network: NetworkT, function: Callable[[NetworkT, Any], Tensor]) -> None:
        super().__init__()
        self.network, self.function = network, function

    def forward(self, given: Any) -> Tensor:
        return self.function(self.network, given)


def member_norms(tensors: Mapping[str, Tensor]) -> Tensor:
    """The Euclidean norm [members] of all that each member has in `tensors`, which have the members as first axis."""
    squares = [tensor.reshape(len(tensor), -1).float().square().sum(1) for tensor in tensors.values()]
    return torch.stack(squares).sum(0).sqrt()


@torch.no_grad()
def clip_members(stack: Iterable[nn.Parameter], bound: float) -> None:
    """Shorten the gradient of each member, of all parameters in the `stack` together, to the norm `bound`."""
    gradients = {str(sliced): p.grad for sliced, p in enumerate(stack) if p.grad is not None}
    if gradients:
        factors = (bound / member_norms(gradients).clamp_min(1e-12)).clamp_max(1.0)
        for gradient in gradients.values():
            gradient.mul_(per_member(factors, gradient))


def per_member(factors: Tensor, tensor: Tensor) -> Tensor:
    """`factors` [members] with as many axes as `tensor` [members, ...], so that they multiply its members."""
    return factors.to(tensor.dtype).view(-1, *[1] * (tensor.ndim - 1))


def _key(name: str) -> str:
    return name.replace(".", "|")


def _repeat(tensor: Tensor, members: int) -> Tensor:
    return tensor.detach()[None].repeat(members, *[1] * tensor.ndim)
