"""MetaBatch: many tasks that start from one network's weights, and may be differentiated through."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import layer_norm

from manyways.models._quicker import ONE_BY_ONE, VECTORISED, How, chosen
from manyways.models._trees import count_of, joined, leaves, mapped, sliced, stacked
from manyways.models.backbones._layers import BatchNorm
from manyways.models.population import CALIBRATION_MEMBERS, Weights

TASKS_AT_ONCE = 8
"""Tasks that go through one vectorised pass, unless another number is asked for: those of more leave the caches."""

Call = Callable[[Weights, Any], Any]
"""Function that returns the outputs of a network with these parameters for these inputs."""


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
        named = network.named_parameters
        self._tied = len(list(named())) < len(list(named(remove_duplicate=False)))
        for part in self._template.modules():
            # Under vmap the second derivatives of fused normalisation are wrong where its weights differ by task.
            if isinstance(part, BatchNorm):
                part.alone = True
            elif isinstance(part, nn.LayerNorm):
                part.forward = partial(_layer_normalised, part)  # type: ignore[method-assign]
            elif not getattr(part, "vectorises", True) or isinstance(
                part, nn.GroupNorm | nn.modules.batchnorm._NormBase
            ):
                self.how = "one by one"

    def run(self, function: Callable[[Call, Weights, Any], Any], inputs: Any) -> Any:
        """Results of `function` for every task, stacked; no gradient flows to the network."""
        with torch.no_grad():
            vectorised = self.how != "one by one"
            return joined([self._carry_out(function, part, vectorised) for part in self._chunks(inputs, vectorised)])

    def mean(
        self, function: Callable[[Call, Weights, Any], tuple[Tensor, dict[str, Tensor]]], inputs: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean over the tasks of the loss that `function` gives, and of its named parts.

        The gradient to the network's parameters is taken chunk by chunk, so that memory holds the graph of one only;
        the loss carries it, and cannot be differentiated twice.
        """
        vectorised = self.how == "vectorised"
        if self.how == "auto":
            some = mapped(lambda tensor: tensor[:CALIBRATION_MEMBERS], inputs)
            ways = {way: partial(self._learned, function, some, way == VECTORISED) for way in (ONE_BY_ONE, VECTORISED)}
            vectorised = chosen(self._facts(function, some), ways) == VECTORISED
        losses, parts, gradients = self._learned(function, inputs, vectorised)
        loss: Tensor = _WithGradient.apply(losses.mean(), gradients, *self._trained())  # type: ignore[no-untyped-call]
        return loss, {name: part.float().mean() for name, part in parts.items()}

    def _trained(self) -> list[nn.Parameter]:
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    def _learned(
        self, function: Callable[[Call, Weights, Any], Any], inputs: Any, vectorised: bool
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss and parts of every task, and the gradient of the mean loss."""
        count, weights, outputs = count_of(inputs), self._trained(), []
        gradients = [torch.zeros_like(weight) for weight in weights]
        for given in self._chunks(inputs, vectorised):
            loss, parts = self._carry_out(function, given, vectorised)
            found = torch.autograd.grad(loss.sum() / count, weights, allow_unused=True)
            for total, gradient in zip(gradients, found, strict=True):
                if gradient is not None:
                    total.add_(gradient)
            outputs.append(mapped(Tensor.detach, (loss, parts)))
        losses, parts = joined(outputs)
        return losses, parts, gradients

    def _chunks(self, inputs: Any, vectorised: bool) -> Iterator[Any]:
        size = self.chunk if vectorised else 1
        for first in range(0, count_of(inputs), size):
            yield mapped(lambda tensor, first=first: tensor[first : first + size], inputs)  # type: ignore[misc]

    def _facts(self, function: Callable[..., Any], inputs: Any) -> tuple[Any, ...]:
        """Facts that decide which way is the quicker one."""
        rows = [tuple(leaf.shape) for leaf in leaves(inputs)]
        owner = getattr(function, "__self__", None)  # what a method does in a task may be what its base calls
        name = f"{type(owner).__qualname__}.{function.__name__}" if owner else getattr(function, "__qualname__", "")
        return "meta-batch", repr(self._template), name, rows, leaves(inputs)[0].device.type

    def _carry_out(self, function: Callable[[Call, Weights, Any], Any], given: Any, vectorised: bool) -> Any:
        template = self._template
        weights: Weights = dict(self.network.named_parameters())
        constants = dict(self.network.named_buffers())

        def call(weights: Weights, inputs: Any) -> Any:
            return functional_call(template, constants | weights, (inputs,), tie_weights=self._tied)

        # The fused kernels of attention have no second derivative; autocast reaches some operations under vmap only.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast(leaves(given)[0].device.type, enabled=False):
            if vectorised:
                return vmap(lambda each: function(call, weights, each), randomness="error")(given)
            return stacked([function(call, weights, sliced(given, 0))])


def _layer_normalised(part: nn.LayerNorm, x: Tensor) -> Tensor:
    """Output of `part`, with its weights outside of the fused kernel."""
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
