"""Learning from the frames of sounds, without labels: those that follow, or those that are hidden."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.storage import chunks_of, row_bytes
from manyways.data.targets import Target, Targets
from manyways.errors import DataError, ParameterError
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.sampled import AUTO
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.method import Ablations
from manyways.methods.needs import Input, Sound
from manyways.models.backbones._frames import FrameBackbone
from manyways.models.backbones.tokens import Tokens
from manyways.models.model import Model
from manyways.models.network import Inputs, Network
from manyways.models.predictor import Predictor
from manyways.training.learner import RowLearner

MILLISECONDS = 20
"""From one frame to the next."""


class FrameLearner(RowLearner):
    """A learner of sounds, one input, whose backbone makes frames, and the context of each, of them."""

    short: int = 0
    """The number of training clips that are too short to learn from."""

    @property
    def backbone(self) -> FrameBackbone:
        """The backbone of the sound."""
        (part,) = self.network.parts
        if not isinstance(part, FrameBackbone):
            raise ParameterError(f"The backbone {part.name!r} makes no frames of sound.")
        return part

    def frames(self, inputs: Inputs) -> Tokens:
        """The frames of encoded sounds, each by itself."""
        return self.backbone.frames(inputs[self.network.names[0]])

    def frame_counts(self) -> Tensor:
        """The number of frames of each training clip, int64 [rows], without the silence that fills it up."""
        (name,) = self.network.names
        store, rows = self.rows.stores[name], self.rows.rows
        parts = [
            self.backbone.counts(torch.from_numpy(np.ascontiguousarray(store[rows[at]])))
            for at in chunks_of(len(rows), row_bytes=row_bytes(store))
        ]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)


FrameLearnerT = TypeVar("FrameLearnerT", bound=FrameLearner)


@dataclass(frozen=True, kw_only=True)
class FrameMethod(SelfSupervised[FrameLearnerT], Generic[FrameLearnerT]):
    """A method that learns features of sound from its own frames.

    A clip must be longer than what one is told from: those that are not teach nothing, which is said; where none is
    long enough, the data are refused.
    """

    augment: bool = True
    """True to see clips moved in time and made louder or softer."""

    needs: ClassVar = (Input, Sound)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})

    own_backbone: ClassVar[str]
    """The backbone where none is named."""
    needs_causal: ClassVar[bool] = False
    """True if the context of a frame must not reach beyond it."""

    @classmethod
    def example_data(cls) -> Data:
        """Tones that rise or fall, in noise: 240 of a third of a second."""
        rng, time = np.random.default_rng(0), np.arange(2400) / 8000
        kinds = np.arange(240) % 3
        start, slope = rng.uniform(300, 900, 240), np.array([-900.0, 0.0, 2400.0])[kinds] * rng.uniform(0.5, 1, 240)
        waves = np.sin(2 * np.pi * (start[:, None] * time + slope[:, None] * time**2 / 2))
        waves += rng.normal(0, 0.1, waves.shape)
        columns = [
            Column("sound", "audio", (waves * 8000).astype(np.int16), 8000),
            Column("label", "category", np.array(["falls", "stays", "rises"], object)[kinds]),
        ]
        return Data.from_columns(columns, {"input": ["sound"], "label": ["label"]}, name="tones")

    @abstractmethod
    def fewest_frames(self) -> int:
        """The number of frames that a clip must have to learn anything from it."""

    @abstractmethod
    def shorten(self) -> str:
        """The fields to set for shorter clips, as one would type them."""

    def begin(self, data: Data, model: Model | None, seed: int) -> FrameLearnerT:
        learner = super().begin(data, model, seed)
        self._check_backbone(learner.network.parts[0])
        counts, fewest = learner.frame_counts(), self.fewest_frames()
        learner.short = int((counts < fewest).sum())
        if learner.short == len(counts):
            longest = int(counts.max()) if len(counts) else 0
            raise DataError(
                f"{self.method_name()} learns from clips of {fewest} frames ({fewest * MILLISECONDS} ms) or more, and "
                f"the longest here has {longest} ({longest * MILLISECONDS} ms). Set {self.shorten()}, or take longer "
                "clips."
            )
        return learner

    def start_backbones(
        self, data: Data, model: Model | None, target: Target | Targets | None = None
    ) -> tuple[Network, InputEncoding, Predictor | None]:
        if model is None and self.backbone == AUTO:
            return replace(self, backbone=self.own_backbone).start_backbones(data, model, target)
        return super().start_backbones(data, model, target)

    def _check_backbone(self, part: nn.Module) -> None:
        if not isinstance(part, FrameBackbone) or (self.needs_causal and not part.causal):
            what = "frames, each in the context of those before it" if self.needs_causal else "frames of sound"
            raise ParameterError(
                f"{self.method_name()} needs a backbone that makes {what}, and {getattr(part, 'name', '')!r} makes "
                f"none. Leave backbone at auto, which is {self.own_backbone!r} here, or begin with that."
            )

    def draw(self, learner: FrameLearnerT, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return {"inputs": learner.views.weak(rows, rng) if self.augment else rows}

    def facts(self, learner: FrameLearnerT, steps: int) -> dict[str, Any]:
        stated = super().facts(learner, steps)
        if not learner.short:
            return stated
        fewest = self.fewest_frames()
        caution = (
            f"{learner.short:,} of {len(learner.rows):,} clips have fewer than {fewest} frames "
            f"({fewest * MILLISECONDS} ms) and taught nothing: set {self.shorten()}."
        )
        return {**stated, "caution": " ".join([*([stated["caution"]] if "caution" in stated else []), caution])}

    def unlearned(self) -> str:
        return f"Train longer, or set {self.shorten()}: what lies too far ahead cannot be told."

    def ablations(self, data: Data) -> Ablations:
        return {"the order of its frames": (self, in_any_order(data))}


def in_any_order(data: Data) -> Data:
    """Return `data` with the pieces of 20 ms of each sound in another order."""
    rng = np.random.default_rng(0)
    for column in data.inputs:
        waves = np.array(column.values[np.arange(len(column))], copy=True)
        piece = max(1, (column.rate or 8000) * MILLISECONDS // 1000)
        pieces = waves.shape[1] // piece
        whole = waves[:, : pieces * piece].reshape(len(waves), pieces, piece)
        order = rng.random((len(waves), pieces)).argsort(1)
        waves[:, : pieces * piece] = np.take_along_axis(whole, order[..., None], 1).reshape(len(waves), -1)
        data = with_values(data, column.name, np.arange(len(waves)), waves)
    return data


def whole(frames: Tokens) -> Tensor:
    """The mask of `frames`, bool [rows, positions]."""
    everywhere = torch.ones(frames.features.shape[:2], dtype=torch.bool, device=frames.features.device)
    return everywhere if frames.mask is None else frames.mask
