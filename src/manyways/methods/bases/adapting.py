"""Methods that may learn through adapters instead of all weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from torch import nn

from manyways.methods.fields import Count, Interval, Positive
from manyways.models.language.adapters import insert_adapters, with_adapters


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """Low-rank adapters (Hu et al., LoRA, ICLR 2022) as an option of a method: its fields, and how they go in."""

    lora: Count | None = None
    """Rank of adapters (Hu et al., LoRA, 2022): only they learn, beside frozen weights. None: all weights learn."""
    lora_alpha: Positive | None = None
    """Factor of the adapters' outputs, which are then divided by their rank; None: twice the rank."""
    lora_dropout: Annotated[float, Interval("[0, 1)")] = 0.0
    """Share of an adapter's inputs that are dropped while it learns."""
    lora_modules: tuple[str, ...] = ("all-linear",)
    """Ends of the names of the linear layers that get adapters; all-linear: all but the head."""

    field_trials: ClassVar[Mapping[str, Mapping[str, Any] | str]] = {
        "lora_alpha": {"lora": 2, "lora_alpha": 1.0},
        "lora_dropout": {"lora": 2, "lora_dropout": 0.5},
        "lora_modules": {"lora": 2, "lora_modules": ("q_proj",)},
    }

    def with_adapters(self, network: nn.Module, objective: str) -> Any:
        """`network` frozen, as peft wraps it, with adapters; itself where the method has none."""
        if self.lora is None:
            return network
        return with_adapters(network, objective, self.lora, self._alpha, self.lora_dropout, self.lora_modules)

    def insert_adapters(self, body: nn.Module) -> None:
        """Freeze `body` and put adapters into it, where the method has any."""
        if self.lora is not None:
            insert_adapters(body, self.lora, self._alpha, self.lora_dropout, self.lora_modules)

    @property
    def _alpha(self) -> float:
        return 2.0 * (self.lora or 0) if self.lora_alpha is None else self.lora_alpha
