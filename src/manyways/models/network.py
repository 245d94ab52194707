"""The network of a model: a backbone per modality, their features side by side, and a head."""

from collections.abc import Collection, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.encoding import Encoded
from manyways.data.presence import present
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers, Rows, chunks_of, row_bytes
from manyways.data.targets import Outputs
from manyways.errors import ModelError, ParameterError, did_you_mean
from manyways.models.backbones import BACKBONES, make_backbone
from manyways.models.backbones.base import Backbone, ImageBackbone
from manyways.models.backbones.tokens import Tokens
from manyways.models.heads import HEADS, Head, StructuredHead
from manyways.models.lockstep import Lockstep

Inputs = dict[str, Tensor]


class Network(nn.Module):
    """Backbones over named modalities and a head; without a head it only embeds.

    `features(inputs)` gives [rows, width]; calling it gives the head's outputs [rows, outputs]. may_lack: modalities
    that rows may lack (`manyways.data.presence`): the features of such a row are 0 there, and at the end of all
    features stands for each of them a 1 where it is there. A `projection` turns all that into features of its own
    width.
    """

    def __init__(
        self,
        backbones: Mapping[str, Backbone],
        head: Head | None = None,
        may_lack: Collection[str] = (),
        projection: int | None = None,
        lockstep: Lockstep | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(backbones)
        self.backbones = nn.ModuleList(backbones.values())
        self.may_lack = tuple(name for name in self.names if name in may_lack)
        self.projection = None if projection is None else nn.Linear(self.joined_width, projection)
        self.lockstep: Lockstep | None = None
        if lockstep is not None:
            self.walk_in(lockstep)
        self.put_head(head)

    def walk_in(self, lockstep: Lockstep) -> None:
        """Let the networks of several labels pass the backbones side by side; this one is then that of one of them."""
        for part in self.parts:
            lockstep.divide(part)
        self.lockstep = lockstep

    def put_head(self, head: Head | None) -> None:
        """Take `head` in the place of the one that it has."""
        self.head = head
        if isinstance(head, StructuredHead):
            head.tie(self)

    @property
    def joined_width(self) -> int:
        """Features of all backbones per row, side by side."""
        return sum(self.widths) + len(self.may_lack)

    @property
    def width(self) -> int:
        """Features per row."""
        return self.joined_width if self.projection is None else self.projection.out_features

    @property
    def widths(self) -> list[int]:
        """Features of each modality."""
        return [backbone.width for backbone in self.parts]

    @property
    def token_width(self) -> int:
        """Features per token, of all inputs together."""
        return sum(backbone.token_width for backbone in self.parts)

    def width_for(self, head: "Head | type[Head]") -> int:
        """Features that a head is given: per row, or per token for one that reads tokens."""
        return self.token_width if head.reads_tokens else self.width

    @property
    def parts(self) -> list[Backbone]:
        """The backbones, in the order of the modalities."""
        return [part for part in self.backbones if isinstance(part, Backbone)]

    def tokens(self, inputs: Inputs) -> dict[str, Tokens]:
        """Tokens of every modality by its name: the features of its positions, before pooling.

        Rows that lack a modality have features of 0 there and a mask that is False everywhere.
        """
        tokens_of: dict[str, Tokens] = {}
        for name, part in zip(self.names, self.parts, strict=True):
            tokens = part.tokens(inputs[name])
            there = inputs.get(present(name)) if name in self.may_lack else None
            tokens_of[name] = tokens if there is None else tokens.only(there)
        return tokens_of

    def pooled(self, tokens: Mapping[str, Tokens], inputs: Inputs) -> Tensor:
        """As `features`, of tokens that are there already."""
        parts = []
        for name, part in zip(self.names, self.parts, strict=True):
            there = inputs.get(present(name)) if name in self.may_lack else None
            parts.append(part.pool(tokens[name]) if there is None else _pooled_there(part, tokens[name], there))
        return self._projected(self._side_by_side(parts, inputs))

    def joined(self, inputs: Inputs) -> Tensor:
        """The features of the backbones side by side, [rows, joined width]."""
        parts = []
        for name, part in zip(self.names, self.parts, strict=True):
            there = inputs.get(present(name)) if name in self.may_lack else None
            parts.append(part(inputs[name]) if there is None else _where_there(part, inputs[name], there))
        return self._side_by_side(parts, inputs)

    def _side_by_side(self, parts: list[Tensor], inputs: Inputs) -> Tensor:
        if self.may_lack:
            everywhere = torch.ones(len(parts[0]), dtype=torch.bool, device=parts[0].device)
            there = torch.stack([inputs.get(present(name), everywhere) for name in self.may_lack], dim=1)
            parts.append(there.to(parts[0].dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def features(self, inputs: Inputs) -> Tensor:
        """Features [rows, width]: those of the backbones side by side, through the projection if there is one."""
        if self.lockstep is not None:
            return self.pooled(self.own_tokens(inputs), inputs)
        return self._projected(self.joined(inputs))

    def _projected(self, joined: Tensor) -> Tensor:
        return joined if self.projection is None else self.projection(joined)

    def own_tokens(self, inputs: Inputs) -> dict[str, Tokens]:
        """As `tokens`; where several networks pass the backbones side by side, those of the one that this is."""
        if self.lockstep is None:
            return self.tokens(inputs)
        return self.lockstep.own(self.tokens(self.lockstep.repeated(inputs)))

    def forward(self, inputs: Inputs) -> Outputs:
        if self.head is not None and self.head.reads_tokens:
            return self.head.from_tokens(self.own_tokens(inputs))
        return self.predict(self.features(inputs))

    def predict(self, features: Tensor) -> Tensor:
        """The head's outputs [rows, outputs] for features [rows, width]."""
        if self.head is None:
            raise ModelError("This model only embeds; chain a method that adds a head: model_method >> FineTune().")
        outputs: Tensor = self.head(features)
        return outputs

    @property
    def head_fits(self) -> bool:
        """True if the head can go on learning from these features."""
        if isinstance(self.head, StructuredHead):
            return self.head.fits(self)
        return self.head is not None and self.head.width == self.width_for(self.head)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from input to output; backbones of different depth are aligned at their outputs."""
        reversed_groups = [part.layer_groups()[::-1] for part in self.parts]
        merged = [list(chain(*level)) for level in zip_longest(*reversed_groups, fillvalue=[])]
        above = [list(part.parameters()) for part in (self.projection, self.head) if part is not None]
        # What a head shares with a backbone, such as embeddings, is of the backbone.
        below = {id(parameter) for level in merged for parameter in level}
        return [*merged[::-1], *([each for each in group if id(each) not in below] for group in above)]

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild_network` makes the same architecture."""
        backbones = [{"input": name, **part.config} for name, part in zip(self.names, self.parts, strict=True)]
        head = {"name": self.head.name, **self.head.config} if self.head else None
        saved: dict[str, Any] = {"backbones": backbones, "head": head, "may_lack": list(self.may_lack)}
        if self.projection is not None:
            saved["projection"] = self.projection.out_features
        return saved if self.lockstep is None else {**saved, "lockstep": self.lockstep.to_json()}

    @torch.no_grad()
    def measure(self, rows: Encoded) -> None:
        """Set the statistics that image backbones standardise by, from at most 2,000 rows."""
        for name, part in zip(self.names, self.parts, strict=True):
            if isinstance(part, ImageBackbone):
                there = rows.rows[~rows.absent[name][rows.rows]] if name in rows.absent else rows.rows
                sample = torch.linspace(0, len(there) - 1, min(len(there), 2000)).long().numpy()
                mean, deviation = _pixel_statistics(rows.stores[name], there[sample])
                part.set_statistics(mean, deviation.clamp_min(1e-3))


def _where_there(part: Backbone, x: Tensor, there: Tensor) -> Tensor:
    """The features of the rows that have this modality, 0 for the others, which `part` never sees."""
    rows = there.nonzero()[:, 0]
    if len(rows) == len(x):
        features: Tensor = part(x)
        return features
    if not len(rows):
        return torch.zeros(len(x), part.width, device=x.device)
    found: Tensor = part(x[rows])
    return found.new_zeros(len(x), part.width).index_copy(0, rows, found)


def _pooled_there(part: Backbone, tokens: Tokens, there: Tensor) -> Tensor:
    """As `_where_there`, of tokens."""
    rows = there.nonzero()[:, 0]
    if not len(rows):
        return tokens.features.new_zeros(len(there), part.width)
    pooled = part.pool(tokens.at(rows))
    return pooled.new_zeros(len(there), part.width).index_copy(0, rows, pooled)


def _pixel_statistics(images: Rows, rows: RowNumbers) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel [channels] of uint8 `images`, pixels as numbers in [0, 1]."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for positions in chunks_of(len(rows), row_bytes=row_bytes(images)):
        pixels = torch.from_numpy(np.ascontiguousarray(images[rows[positions]]))
        for channel, values in enumerate(pixels.unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    values = torch.arange(256, dtype=torch.float64) / 255
    total = counts.sum(1)
    mean = counts @ values / total
    squares = (counts * (values - mean[:, None]) ** 2).sum(1)
    return mean.float(), (squares / (total - 1).clamp_min(1)).sqrt().float()


def make_network(
    specs: Mapping[str, Spec], head: Head | None = None, *, backbone: str = "auto", size: float = 1.0,
    projection: int | None = None,
) -> Network:  # fmt: skip
    """A new network for `specs`: `backbone` where its kind fits, the kind's own default elsewhere.

    backbone: one for all inputs, or by their names, "image=resnet, says=owner/name"; see `backbones_by_name`.
    """
    if names := backbones_by_name(backbone, specs):
        sizes = {name: 1.0 if is_checkpoint(each) else size for name, each in names.items()}
        backbones = {name: make_backbone(names[name], spec, sizes[name]) for name, spec in specs.items()}
        return Network(backbones, head, projection=projection)
    names = {name: backbone if _reads(backbone, spec) else "auto" for name, spec in specs.items()}
    if backbone not in names.values():
        kinds = ", ".join(sorted({spec.kind for spec in specs.values()}))
        raise ParameterError(f"The backbone {backbone!r} reads none of this data's inputs, which are: {kinds}.")
    backbones = {name: make_backbone(names[name], spec, size) for name, spec in specs.items()}
    return Network(backbones, head, projection=projection)


def backbones_by_name(backbone: str, inputs: Collection[str]) -> dict[str, str]:
    """The backbone of each of `inputs` where `backbone` gives them by name, auto where it names none; else nothing.

    Raises:
        ParameterError: A name is no input.
    """
    if "=" not in backbone or Path(backbone).is_dir():
        return {}
    pairs = [part.partition("=") for part in backbone.split(",")]
    given = {name.strip(): each.strip() for name, _, each in pairs}
    for name in given:
        if name not in inputs:
            raise ParameterError(
                f"backbone names a network for {name!r}, which is no input; inputs are {', '.join(inputs)}."
                f"{did_you_mean(name, inputs)}"
            )
    return {name: given.get(name) or "auto" for name in inputs}


def is_checkpoint(backbone: str) -> bool:
    """True if `backbone` names a pretrained checkpoint: a folder, or `owner/name` on the Hub."""
    return "/" in backbone or Path(backbone).is_dir()


def reads_any(backbone: str, specs: Mapping[str, Spec]) -> bool:
    """True if one of the inputs is of a kind that `backbone` reads."""
    return any(_reads(backbone, spec) for spec in specs.values())


def _reads(backbone: str, spec: Spec) -> bool:
    if is_checkpoint(backbone):
        return spec.kind != "table"
    return backbone not in BACKBONES or spec.kind in BACKBONES.find(backbone).kinds


def rebuild_network(saved: Mapping[str, Any]) -> Network:
    """The architecture that `Network.config` described, with random weights.

    Raises:
        ModelError: It does not fit.
    """
    try:
        backbones = {
            part["input"]: BACKBONES.rebuild({key: value for key, value in part.items() if key != "input"})
            for part in saved["backbones"]
        }
        head = HEADS.rebuild(saved["head"]) if saved["head"] else None
    except (KeyError, TypeError) as error:
        raise ModelError(f"The saved description of the network is damaged: {error!r}.") from error
    lockstep = Lockstep.from_json(saved["lockstep"]) if "lockstep" in saved else None
    return Network(backbones, head, saved.get("may_lack", ()), saved.get("projection"), lockstep)
