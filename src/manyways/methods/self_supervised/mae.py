"""MAE: an encoder sees a quarter of the patches, a small decoder paints the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Images, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones._patches import PatchBackbone, PatchMask
from manyways.models.backbones._transformer import Block, heads_for
from manyways.models.backbones.vit import sin_cos_positions
from manyways.models.model import Model
from manyways.models.network import Inputs, Network
from manyways.training.learner import RowLearner

EPSILON = 1e-6
WIDTH_OF_A_HEAD = 16
FEWEST_PATCHES = 2


class Painter(nn.Module):
    """A small transformer that paints all patches from the features of the visible ones."""

    positions: Tensor

    def __init__(self, width: int, values: int, grid: tuple[int, int], hidden: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, hidden)
        self.mask_token = nn.Parameter(torch.empty(hidden).normal_(std=0.02))
        self.register_buffer("positions", sin_cos_positions(*grid, hidden), persistent=False)
        self.blocks = nn.ModuleList(Block(hidden, heads_for(hidden, WIDTH_OF_A_HEAD), 0.0) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden)
        self.values = nn.Linear(hidden, values)

    def forward(self, visible: Tensor, mask: PatchMask) -> Tensor:
        """The values of the hidden patches [rows, hidden, values], from features of the visible ones."""
        hidden = mask.whole(self.embedding(visible), self.mask_token) + self.positions
        for block in self.blocks:
            hidden = block(hidden)
        painted: Tensor = self.values(self.norm(mask.hidden_of(hidden)))
        return painted


class MAELearner(RowLearner):
    """A learner of images, and what paints those of each input; it is dropped afterwards."""

    painters: nn.ModuleList


def normalised(patches: Tensor) -> Tensor:
    """Patches [rows, positions, values], each by its own mean and standard deviation."""
    variance, mean = torch.var_mean(patches.float(), dim=2, keepdim=True)
    scaled: Tensor = (patches - mean) / (variance + EPSILON).sqrt()
    return scaled


@dataclass(frozen=True, kw_only=True)
class MAE(SelfSupervised[MAELearner]):
    """Masked autoencoder: paint the hidden patches of an image from the few that the encoder sees."""

    batch_size: Annotated[int, Interval("[1, inf)")] = 64
    """Rows in a batch."""
    learning_rate: Positive = 2e-3
    """The highest learning rate of AdamW, reached after the warm-up."""
    mask: Annotated[float, Interval("(0, 1)")] = 0.75
    """Share of the patches that are hidden."""
    normalise: bool = False
    """True to paint each patch by its own mean and standard deviation, as suits large photographs; in small pictures
    that hides how light a patch is, and magnifies the noise of those of one colour."""
    decoder_width: Annotated[int, Interval("[16, inf)")] = 32
    """Width of the decoder, rounded down to a multiple of 16."""
    decoder_depth: Count = 1
    """Blocks of the decoder, which is dropped afterwards."""

    suited_backbone: ClassVar = "vit"
    field_trials: ClassVar = {"decoder_width": {"decoder_width": 32}}
    needs: ClassVar = (Input, Images)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ("mae >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first by painting hidden patches", 86)}
    paper: ClassVar = "He et al., Masked autoencoders are scalable vision learners, CVPR 2022"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16, size=0.25, decoder_width=16)

    def ablations(self, data: Data) -> Ablations:
        return {"most of its mask": (replace(self, mask=0.1), data)}

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        begun = model.as_predictor(data) if model is not None else None
        odd = [] if begun is None else _without_patches(begun.network)
        return f"{begun.lineage.title} reads {', '.join(odd)} without patches. {HINT}" if begun and odd else None

    def begin(self, data: Data, model: Model | None, seed: int) -> MAELearner:
        learner = super().begin(data, model, seed)
        if odd := _without_patches(learner.network):
            raise NeedsError(f"{self} hides patches, and its backbone reads {', '.join(odd)} without. {HINT}")
        first = learner.take(learner.everything[:1])
        painters = []
        for name, part in _parts(learner.network).items():
            positions, values = part.patch_values(first[name]).shape[1:]
            if positions < FEWEST_PATCHES:
                height, width = first[name].shape[2:]
                raise NeedsError(
                    f"{self} hides some patches and sees others, and the images of {name!r} are one patch of "
                    f"{height} × {width} pixels. Read larger ones: image_size=16."
                )
            hidden = self.decoder_width // WIDTH_OF_A_HEAD * WIDTH_OF_A_HEAD
            rows, columns = part.grid
            painters.append(Painter(part.width, values, (rows, columns), hidden, self.decoder_depth))
        learner.painters = nn.ModuleList(painters)
        return learner

    def draw(self, learner: MAELearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return self.masked(learner, learner.views.weak(rows, rng), rng)

    def masked(self, learner: MAELearner, inputs: Inputs, rng: torch.Generator) -> Batch:
        """The inputs, and a random mask of the patches of each."""
        masks = {}
        for name, part in _parts(learner.network).items():
            positions = int(torch.Size(part.grid).numel())
            masks[name] = PatchMask.random(len(inputs[name]), positions, self.mask, rng).to(learner.device)
        return {"inputs": dict(inputs), "masks": masks}

    def loss(self, learner: MAELearner, batch: Batch) -> Loss:
        losses = [(painted - wanted).square().mean() for painted, wanted in self.painted(learner, batch)]
        return torch.stack(losses).mean(), {}

    def painted(self, learner: MAELearner, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Of each input the values of hidden patches as they are painted, and as they are."""
        pairs = []
        for (name, part), painter in zip(_parts(learner.network).items(), learner.painters, strict=True):
            patches, mask = part.patch_values(batch["inputs"][name]), batch["masks"][name]
            painted = painter(part.visible(patches, mask), mask)
            wanted = mask.hidden_of(patches).float()
            pairs.append((painted.float(), normalised(wanted) if self.normalise else wanted))
        return pairs

    def pretext(self, learner: MAELearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of the variance of hidden pixels that is painted; 0: no better than their mean."""
        pairs = self.painted(learner, self.masked(learner, inputs, rng))
        error = sum(float((painted - wanted).square().sum()) for painted, wanted in pairs)
        variance = sum(float((wanted - wanted.mean()).square().sum()) for _, wanted in pairs)
        return {"explained_variance": 1 - error / max(variance, EPSILON)}


HINT = 'Take backbone="vit", as it does by itself.'


def _parts(network: Network) -> dict[str, PatchBackbone]:
    return {
        name: part for name, part in zip(network.names, network.parts, strict=True) if isinstance(part, PatchBackbone)
    }


def _without_patches(network: Network) -> list[str]:
    parts = zip(network.names, network.parts, strict=True)
    return [f"{name!r} by {part.name}" for name, part in parts if not isinstance(part, PatchBackbone)]
