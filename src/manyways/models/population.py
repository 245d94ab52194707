"""Population: many networks of one architecture as one stack of parameters. MetaBatch: many that start as one."""

import contextlib
import copy
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import layer_norm

from manyways.data.storage import cache_folder
from manyways.errors import DataError, ParameterError
from manyways.models.backbones._layers import BatchNorm

How = Literal["auto", "vectorised", "one by one"]
VECTORISED, ONE_BY_ONE, UNDECIDED = 1, 0, -1
CALIBRATION_MEMBERS = 8
CHUNK_BYTES = 1 << 28
"""Parameters, and so roughly activations, that go through one vectorised pass."""

TASKS_AT_ONCE = 16
"""Tasks of a meta-batch that go through one vectorised pass, unless another number is asked for."""

Weights = dict[str, Tensor]
Call = Callable[[Weights, Any], Any]
"""What a network with these parameters says to these inputs."""


class Population(nn.Module):
    """`members` copies of `network`, each with weights of its own, in tensors with one leading axis.

    Clients of a federation, tasks of a meta-batch, a committee, shards, seeds: what differs between them is only what
    happens between the members. `population(inputs)` runs every member on its own rows: all inputs have the members as
    their first axis, and so has what comes out. Inputs for fewer members than there are run the first so many.

    how: vectorised runs all in one program (torch.func, chunked so that memory is bounded), one by one is a loop; auto
    times both once, on the first rows in training, and keeps the quicker one: also for other populations of the same
    architecture and rows on this machine, since results are the same only up to rounding. Dropout is off: members draw
    nothing. Members compute in the precision of their weights, also under autocast.
    """

    decided: Tensor

    def __init__(self, network: nn.Module, members: int, *, how: How = "auto", chunk: int | None = None) -> None:
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
        choice = {"auto": UNDECIDED, "vectorised": VECTORISED, "one by one": ONE_BY_ONE}[how]
        self.register_buffer("decided", torch.tensor(choice))

    # --- weights -----------------------------------------------------------------------------------

    def weights(self) -> Weights:
        """The stacked parameters by the network's own names; they are the population's, not copies."""
        return {name: self.stack[_key(name)] for name in self.names}

    def stacked_buffers(self) -> Weights:
        """The stacked buffers by the network's own names."""
        return {name: getattr(self, f"buffer|{_key(name)}") for name in self.buffer_names}

    def member(self, number: int) -> nn.Module:
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

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Population":
        # The constants that members share go to another device with the rest.
        self._template[0]._apply(fn)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def train(self, mode: bool = True) -> "Population":
        """Every member in training, or in evaluation."""
        self._template[0].train(mode)
        return super().train(mode)

    def forward(self, inputs: Any) -> Any:
        """What every member says to its own rows."""
        return self.run(_forward, inputs)

    def run(self, function: Callable[[nn.Module, Weights, Any], Any], inputs: Any) -> Any:
        """`function(network, weights, inputs)` for every member; it must use the network by `functional_call`."""
        one = self._one(function)
        if torch.is_grad_enabled():
            self.calibrate(inputs, function)
        return self._carry_out(one, self._first(_count(inputs)), inputs, int(self.decided) == VECTORISED)

    def calibrate(self, inputs: Any, function: Callable[[nn.Module, Weights, Any], Any] | None = None) -> None:
        """Choose how members are run, on `inputs` such as `run` takes, where it has not been chosen yet."""
        if int(self.decided) != UNDECIDED:
            return
        function = function or _forward
        key = self._signature(function, inputs)
        if key not in _CHOSEN:
            _CHOSEN[key] = _remembered(key, lambda: self._calibrate(self._one(function), inputs))
        self.decided.fill_(_CHOSEN[key])

    def _one(self, function: Callable[[nn.Module, Weights, Any], Any]) -> Callable[[Weights, Any], Any]:
        return lambda weights, given: function(self._template[0], weights, given)

    def _first(self, count: int) -> Weights:
        if count > self.members:
            raise ParameterError(f"The inputs are those of {count} members; the population has {self.members}.")
        tensors = self.weights() | self.stacked_buffers()
        return tensors if count == self.members else {name: tensor[:count] for name, tensor in tensors.items()}

    def _carry_out(self, one: Callable[..., Any], tensors: Weights, inputs: Any, vectorised: bool) -> Any:
        # Under vmap autocast reaches some operations and not others, and what they give does not fit together.
        with torch.autocast(self.decided.device.type, enabled=False):
            return self._compute(one, tensors, inputs, vectorised)

    def _compute(self, one: Callable[..., Any], tensors: Weights, inputs: Any, vectorised: bool) -> Any:
        if vectorised:
            return vmap(one, chunk_size=self.chunk, randomness="error")(tensors, inputs)
        parts = {name: tensor.unbind(0) for name, tensor in tensors.items()}  # one backward pass for all slices
        count = len(next(iter(parts.values())))
        outputs = [one({name: part[at] for name, part in parts.items()}, _slice(inputs, at)) for at in range(count)]
        return _stacked(outputs)

    def _signature(self, function: Callable[..., Any], inputs: Any) -> str:
        """A hash of what decides which way is the quicker one."""
        weights = {name: tuple(tensor.shape[1:]) for name, tensor in self._first(1).items()}
        rows = [tuple(leaf.shape[1:]) for leaf in _leaves(inputs)]
        few = min(_count(inputs), CALIBRATION_MEMBERS)
        where = (self.decided.device.type, torch.get_num_threads(), torch.__version__)
        facts = (repr(self._template[0]), function.__qualname__, weights, rows, few, where)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def _calibrate(self, one: Callable[..., Any], inputs: Any) -> int:
        few = min(_count(inputs), CALIBRATION_MEMBERS)
        some = {name: tensor.detach().clone() for name, tensor in self._first(few).items()}
        given = _map(lambda tensor: tensor[:few], inputs)
        seconds = {}
        for choice in (ONE_BY_ONE, VECTORISED):
            for _ in range(2):  # the first pass picks kernels
                taught = {name: t.requires_grad_(name in self.names) for name, t in some.items()}
                began = time.perf_counter()
                with torch.enable_grad():
                    outputs = _leaves(self._carry_out(one, taught, given, choice == VECTORISED))
                    total = sum((out.float().sum() for out in outputs if out.is_floating_point()), torch.zeros(()))
                torch.autograd.grad(total, [taught[name] for name in self.names], allow_unused=True)
                seconds[choice] = time.perf_counter() - began
                some = {name: tensor.detach() for name, tensor in some.items()}
        return min(seconds, key=lambda choice: seconds[choice])


class MetaBatch:
    """Tasks that all start from one network's weights, go their own ways, and may be differentiated through.

    `function(call, weights, given)` is what happens in a task: `call(weights, inputs)` is the network with those
    parameters, `weights` are the network's own, and `given` is the task's slice of the inputs, whose tensors all have
    the tasks as their first axis. It may take gradients with `torch.func.grad`.

    The network is in evaluation (nothing is dropped), but for batch normalisation, which normalises what it is given by
    its own statistics and keeps none; it computes in the precision of its weights. how: vectorised runs `chunk`
    tasks in one program, one by one is a loop; auto keeps the quicker one, as a Population does. A checkpoint whose
    normalisation is of another kind is run one by one, however it is asked for.
    """

    def __init__(self, network: nn.Module, *, how: How = "auto", chunk: int = TASKS_AT_ONCE) -> None:
        self.network, self.how, self.chunk = network, how, chunk
        self._template = copy.deepcopy(network).eval().requires_grad_(False)
        for part in self._template.modules():
            # Under vmap the second derivatives of fused normalisation are wrong where its weights differ by task.
            if isinstance(part, BatchNorm):
                part.alone = True
            elif isinstance(part, nn.LayerNorm):
                part.forward = partial(_layer_normalised, part)  # type: ignore[method-assign]
            elif isinstance(part, nn.GroupNorm | nn.modules.batchnorm._NormBase):
                self.how = "one by one"

    def run(self, function: Callable[[Call, Weights, Any], Any], inputs: Any) -> Any:
        """What `function` gives for every task, stacked; no gradient flows to the network."""
        with torch.no_grad():
            vectorised = self.how != "one by one"
            return _joined([self._carry_out(function, part, vectorised) for part in self._chunks(inputs, vectorised)])

    def mean(
        self, function: Callable[[Call, Weights, Any], tuple[Tensor, dict[str, Tensor]]], inputs: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean over the tasks of the loss that `function` gives, and of its named parts.

        The gradient to the network's parameters is taken chunk by chunk, so that memory holds the graph of one only;
        the loss carries it, and cannot be differentiated twice.
        """
        if self.how == "auto":
            key = self._signature(function, inputs)
            if key not in _CHOSEN:
                _CHOSEN[key] = _remembered(key, lambda: self._calibrate(function, inputs))
            vectorised = _CHOSEN[key] == VECTORISED
        else:
            vectorised = self.how == "vectorised"
        losses, parts, gradients = self._learned(function, inputs, vectorised)
        loss: Tensor = _WithGradient.apply(losses.mean(), gradients, *self._trained())  # type: ignore[no-untyped-call]
        return loss, {name: part.float().mean() for name, part in parts.items()}

    def _trained(self) -> list[nn.Parameter]:
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def _learned(
        self, function: Callable[[Call, Weights, Any], Any], inputs: Any, vectorised: bool
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss and parts of every task, and the gradient of the mean loss."""
        count, weights, said = _count(inputs), self._trained(), []
        gradients = [torch.zeros_like(weight) for weight in weights]
        for given in self._chunks(inputs, vectorised):
            loss, parts = self._carry_out(function, given, vectorised)
            found = torch.autograd.grad(loss.sum() / count, weights, allow_unused=True)
            for total, gradient in zip(gradients, found, strict=True):
                if gradient is not None:
                    total.add_(gradient)
            said.append(_map(Tensor.detach, (loss, parts)))
        losses, parts = _joined(said)
        return losses, parts, gradients

    def _chunks(self, inputs: Any, vectorised: bool) -> Iterator[Any]:
        size = self.chunk if vectorised else 1
        for at in range(0, _count(inputs), size):
            yield _map(lambda tensor, at=at: tensor[at : at + size], inputs)  # type: ignore[misc]

    def _signature(self, function: Callable[..., Any], inputs: Any) -> str:
        """A hash of what decides which way is the quicker one."""
        leaves = _leaves(inputs)
        few = min(_count(inputs), CALIBRATION_MEMBERS)
        where = (leaves[0].device.type, torch.get_num_threads(), torch.__version__)
        name = getattr(function, "__qualname__", repr(type(function)))
        facts = ("meta-batch", repr(self._template), name, [tuple(leaf.shape[1:]) for leaf in leaves], few, where)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def _calibrate(self, function: Callable[[Call, Weights, Any], Any], inputs: Any) -> int:
        given = _map(lambda tensor: tensor[:CALIBRATION_MEMBERS], inputs)
        seconds = {}
        for choice in (ONE_BY_ONE, VECTORISED):
            for _ in range(2):  # the first pass picks kernels
                began = time.perf_counter()
                self._learned(function, given, choice == VECTORISED)
                seconds[choice] = time.perf_counter() - began
        return min(seconds, key=lambda choice: seconds[choice])

    def _carry_out(self, function: Callable[[Call, Weights, Any], Any], given: Any, vectorised: bool) -> Any:
        template = self._template
        weights: Weights = dict(self.network.named_parameters())
        constants = dict(self.network.named_buffers())

        def call(weights: Weights, inputs: Any) -> Any:
            return functional_call(template, constants | weights, (inputs,))

        # The fused kernels of attention have no second derivative; autocast reaches some operations under vmap only.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast(_leaves(given)[0].device.type, enabled=False):
            if vectorised:
                return vmap(lambda each: function(call, weights, each), randomness="error")(given)
            return _stacked([function(call, weights, _slice(given, 0))])


def _layer_normalised(part: nn.LayerNorm, x: Tensor) -> Tensor:
    """What `part` does, with its weights outside of the fused kernel."""
    normalised = layer_norm(x, part.normalized_shape, None, None, part.eps)
    weighted = normalised if part.weight is None else normalised * part.weight
    return weighted if part.bias is None else weighted + part.bias


class _WithGradient(Function):
    """A number whose gradient to some tensors is known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *tensors: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return None, None, *(outer[0] * gradient for gradient in ctx.gradients)


def _forward(network: nn.Module, weights: Weights, inputs: Any) -> Any:
    return functional_call(network, weights, (inputs,))


def member_norms(tensors: Mapping[str, Tensor]) -> Tensor:
    """The Euclidean norm [members] of all that each member has in `tensors`, which have the members as first axis."""
    squares = [tensor.reshape(len(tensor), -1).float().square().sum(1) for tensor in tensors.values()]
    return torch.stack(squares).sum(0).sqrt()


def per_member(factors: Tensor, tensor: Tensor) -> Tensor:
    """`factors` [members] with as many axes as `tensor` [members, ...], so that they multiply its members."""
    return factors.to(tensor.dtype).view(-1, *[1] * (tensor.ndim - 1))


_CHOSEN: dict[str, int] = {}


def _remembered(key: str, choose: Callable[[], int]) -> int:
    """What was chosen before on this machine, or else what `choose` gives.

    Timed anew in every process, a close call would fall now this way and now the other, and one seed would not give one
    model.
    """
    with contextlib.suppress(OSError, DataError):  # where nothing can be kept, a process keeps to its own choice
        path = cache_folder() / f"population-{key[:32]}"
        if not path.exists():
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            part.write_text(str(choose()), encoding="ascii")
            part.replace(path)
        if (text := path.read_text(encoding="ascii")) in (str(VECTORISED), str(ONE_BY_ONE)):
            return int(text)
    return choose()


def _count(inputs: Any) -> int:
    return len(_leaves(inputs)[0])


def _key(name: str) -> str:
    return name.replace(".", "|")


def _repeat(tensor: Tensor, members: int) -> Tensor:
    return tensor.detach()[None].repeat(members, *[1] * tensor.ndim)


def _map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {name: _map(function, part) for name, part in tree.items()}
    return tuple(_map(function, part) for part in tree)


def _slice(tree: Any, at: int) -> Any:
    return _map(lambda tensor: tensor[at], tree)


def _leaves(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in _leaves(part)]


def _joined(outputs: list[Any]) -> Any:
    """Trees of tensors as one, their first axes one after the other."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs)
    if isinstance(first, dict):
        return {name: _joined([each[name] for each in outputs]) for name in first}
    return tuple(_joined(list(parts)) for parts in zip(*outputs, strict=True))


def _stacked(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.stack(outputs)
    if isinstance(first, dict):
        return {name: _stacked([each[name] for each in outputs]) for name in first}
    return tuple(_stacked(list(parts)) for parts in zip(*outputs, strict=True))
