"""wav2vec 2.0: what is hidden in a sound, told apart from what else is hidden there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot, pad

from manyways.data.data import Data
from manyways.methods.bases.frames import FrameLearner, FrameMethod, whole
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Inputs

FIRST_GUMBEL, LAST_GUMBEL = 2.0, 0.5
"""Temperatures of the Gumbel softmax at the start and the end, those of the paper."""
FEWEST_USED = 2.0
"""Perplexity of a codebook below which its entries tell nothing apart."""


class Quantised(NamedTuple):
    """Frames as entries of codebooks: their vectors [frames, width], and the entries' probabilities and choice.

    probabilities: the softmax without noise; chosen: one-hot; both [frames, codebooks, entries].
    """

    vectors: Tensor
    probabilities: Tensor
    chosen: Tensor


class Quantiser(nn.Module):
    """Codebooks from each of which a frame chooses an entry, by the Gumbel softmax (Jang et al. 2017) in training."""

    def __init__(self, width: int, codebooks: int, entries: int, vector: int) -> None:
        super().__init__()
        self.logits = nn.Linear(width, codebooks * entries)
        self.entries = nn.Parameter(torch.empty(codebooks, entries, vector // codebooks).uniform_())
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def forward(self, frames: Tensor, noise: Tensor | None = None, temperature: float = 1.0) -> Quantised:
        """The entries of `frames` [frames, width].

        noise: from the Gumbel distribution [frames, codebooks, entries]; the entries are chosen with it, and the
        gradient is that of the softmax at the `temperature`. None: the entries with the largest logits.
        """
        logits = self.logits(frames).float().unflatten(1, self.entries.shape[:2])
        noisy = logits if noise is None else (logits + noise) / temperature
        chosen = one_hot(noisy.argmax(2), logits.shape[2]).to(logits.dtype)
        if noise is not None:
            soft = noisy.softmax(2)
            chosen = chosen - soft.detach() + soft
        vectors = torch.einsum("fge,gew->fgw", chosen, self.entries.float()).flatten(1)
        return Quantised(vectors, logits.softmax(2), chosen)


def perplexities(probabilities: Tensor) -> Tensor:
    """Exp of the entropy of the mean use of each codebook's entries [codebooks], of [frames, codebooks, entries]."""
    mean = probabilities.mean(0)
    return (-(mean * (mean + 1e-7).log()).sum(1)).exp()


class Wav2VecLearner(FrameLearner):
    """A learner of sounds, the vector in the place of hidden frames, the quantiser, and the maps of both sides."""

    hidden_frame: nn.Parameter
    quantiser: Quantiser
    of_context: nn.Linear
    of_entries: nn.Linear


@dataclass(frozen=True, kw_only=True)
class Wav2Vec(FrameMethod[Wav2VecLearner]):
    """Learn features of sound without labels: spans of frames are hidden, and told from others hidden in the clip.

    The context network sees the frames that are left; at each hidden one its output must be nearer to what a quantiser
    makes of the true frame than of the distractors. The frames are those of log-mel spectra, not of raw sound.
    """

    masked: Annotated[float, Interval("(0, 1]")] = 0.65
    """Share of a clip's frames that spans would hide if none overlapped; about half are hidden then."""
    span: Count = 10
    """Frames of 20 ms in a hidden span."""
    distractors: Count = 100
    """Hidden frames of the same clip that the true one is told from, or as many as there are."""
    codebooks: Count = 2
    """Codebooks, of each of which a frame is given an entry."""
    entries: Annotated[int, Interval("[2, inf)")] = 320
    """Entries of a codebook."""
    projection: Count = 128
    """Width of the vectors that are compared; they are dropped afterwards."""
    temperature: Positive = 0.1
    """Divides the cosine similarities."""
    diversity: NotNegative = 0.1
    """Weight of the loss that has all entries used equally often."""

    suggests: ClassVar = ("wav2vec >> fine-tune", "wav2vec >> linear-probe")
    recommends: ClassVar = {"any": Recommendation("features of sound are learned first, by what is hidden", 48)}
    paper: ClassVar = "Baevski et al., wav2vec 2.0: self-supervised learning of speech representations, NeurIPS 2020"
    own_backbone: ClassVar = "audio-transformer"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=8, size=0.25, span=2, entries=8, projection=16)

    def fewest_frames(self) -> int:
        return self.span + 2

    def shorten(self) -> str:
        return "a shorter span, such as span=3"

    def begin(self, data: Data, model: Model | None, seed: int) -> Wav2VecLearner:
        learner = super().begin(data, model, seed)
        width, vector = learner.network.width, -(-self.projection // self.codebooks) * self.codebooks
        learner.hidden_frame = nn.Parameter(torch.empty(width).uniform_())
        learner.quantiser = Quantiser(width, self.codebooks, self.entries, vector)
        learner.of_context, learner.of_entries = nn.Linear(width, vector), nn.Linear(vector, vector)
        return learner

    def draw(self, learner: Wav2VecLearner, step: int, rng: torch.Generator) -> Batch:
        batch = super().draw(learner, step, rng)
        temperature = FIRST_GUMBEL * (LAST_GUMBEL / FIRST_GUMBEL) ** learner.progress(step)
        return {**batch, **self.hide(learner, batch["inputs"], rng), "temperature": temperature}

    def hide(self, learner: Wav2VecLearner, inputs: Inputs, rng: torch.Generator) -> dict[str, Tensor]:
        """The frames that are hidden, and of each the noise of its entries and the order of its distractors."""
        (waves,) = inputs.values()
        counts = learner.backbone.counts(waves).cpu()
        hidden = spans(counts, self.masked, self.span, rng)
        uniform = torch.rand(int(hidden.sum()), self.codebooks, self.entries, generator=rng).clamp_(1e-10, 1 - 1e-7)
        order = torch.rand(len(uniform), int(hidden.sum(1).max()), generator=rng)
        drawn = {"hidden": hidden, "noise": -(-uniform.log()).log(), "order": order}
        return {name: part.to(learner.device) for name, part in drawn.items()}

    def loss(self, learner: Wav2VecLearner, batch: Batch) -> Loss:
        choices = self.choices(learner, batch["inputs"], batch, batch["noise"], batch["temperature"])
        if not len(choices.right):
            return learner.hidden_frame.sum() * 0, {}
        contrast = cross_entropy(choices.scores, choices.right)
        count = self.codebooks * self.entries
        perplexity = perplexities(choices.quantised.probabilities).sum()
        parts = {
            "accuracy": (choices.scores.argmax(1) == choices.right).float().mean(),
            "perplexity": perplexity / self.codebooks,
        }
        return contrast + self.diversity * (count - perplexity) / count, parts

    def choices(
        self, learner: Wav2VecLearner, inputs: Inputs, drawn: Mapping[str, Tensor], noise: Tensor | None,
        temperature: float,
    ) -> "Choices":  # fmt: skip
        """The choices at the hidden frames: which of those of the clip is the one that belongs there."""
        frames = learner.frames(inputs)
        hidden = _padded(drawn["hidden"], frames.features.shape[1]) & whole(frames)
        seen = torch.where(hidden[..., None], learner.hidden_frame.to(frames.features.dtype), frames.features)
        context = learner.backbone.context(replace(frames, features=seen)).features[hidden]
        quantised = learner.quantiser(frames.features[hidden], noise, temperature)
        guesses = learner.of_context(context).float()
        truths = learner.of_entries(quantised.vectors.to(context.dtype)).float()
        scores, right = contrasts(guesses, truths, quantised.chosen.argmax(2), hidden, drawn["order"], self.distractors)
        return Choices(scores / self.temperature, right, quantised)

    def pretext(self, learner: Wav2VecLearner, inputs: Inputs, rng: torch.Generator) -> dict[str, float]:
        choices = self.choices(learner, inputs, self.hide(learner, inputs, rng), None, 1.0)
        if not len(choices.right):
            return {}
        used = choices.quantised.chosen.mean(0)
        return {
            "accuracy": float((choices.scores.argmax(1) == choices.right).float().mean()),
            "chance": float((1 / choices.scores.isfinite().sum(1)).mean()),
            "perplexity": float(perplexities(choices.quantised.chosen).mean()),
            "entries_used": float((used > 0).float().mean()),
        }

    def cautions(self, scores: Mapping[str, float], rows: int) -> list[str]:
        sentences = super().cautions(scores, rows)
        if scores.get("perplexity", self.entries) < FEWEST_USED:
            sentences.append(
                f"The codebooks have collapsed: frames are told apart by {scores['perplexity']:.1f} of {self.entries} "
                "entries. Raise diversity, or take fewer entries."
            )
        return sentences

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "differences of similarity": (replace(self, temperature=1e6), data)}


class Choices(NamedTuple):
    """Choices among hidden frames: scores [choices, candidates], the places of the right ones, the entries of each."""

    scores: Tensor
    right: Tensor
    quantised: Quantised


def spans(counts: Tensor, masked: float, span: int, rng: torch.Generator) -> Tensor:
    """The frames that are hidden, bool [rows, largest count]: spans of `span` that begin anywhere, and may overlap.

    Args:
        counts: The frames of each row, int64 [rows]; rows of no more than `span` + 1 hide none.
        masked: Share of the frames that would be hidden if no spans overlapped.
        span: Frames in a span.
        rng: The source of randomness.
    """
    longest = int(counts.max())
    places = torch.arange(longest)
    rounding, keys = torch.rand(len(counts), generator=rng), torch.rand(len(counts), longest, generator=rng)
    number = (masked * counts / span + rounding).long().clamp_min(1)
    number = torch.where(counts > span + 1, torch.minimum(number, counts // span), 0)
    keys = torch.where(places <= (counts - span)[:, None], keys, 2.0)
    begins = keys.argsort(1).argsort(1) < number[:, None]
    so_far = pad(begins.long().cumsum(1), (span, 0))
    return so_far[:, span:] > so_far[:, :longest]


def contrasts(
    guesses: Tensor, truths: Tensor, codes: Tensor, hidden: Tensor, order: Tensor, distractors: int
) -> tuple[Tensor, Tensor]:
    """Cosines of each guess with the true vector and those of its clip, [frames, candidates], and the true places.

    Args:
        guesses: What the context says of the hidden frames [frames, width], row by row.
        truths: What the quantiser says of them [frames, width].
        codes: The entries of each [frames, codebooks]: one with the same entries is no distractor.
        hidden: The places of the frames, bool [rows, positions].
        order: Random numbers [frames, most frames of a row]: the distractors are those with the lowest.
        distractors: The number of distractors, at most.
    """
    rows, _ = hidden.nonzero(as_tuple=True)
    places = (hidden.cumsum(1) - 1)[hidden]
    most = int(places.max()) + 1 if len(places) else 1

    def by_row(values: Tensor) -> Tensor:
        empty = values.new_zeros(len(hidden), most, values.shape[1])
        return empty.index_put((rows, places), values)

    scores = torch.bmm(by_row(normalize(guesses, dim=1)), by_row(normalize(truths, dim=1)).transpose(1, 2))
    scores = scores[rows, places]
    there = torch.arange(most, device=hidden.device) < hidden.sum(1)[rows, None]
    itself = torch.arange(most, device=hidden.device) == places[:, None]
    same = (by_row(codes)[rows] == codes[:, None]).all(2)
    others = there & ~itself & ~same
    if most - 1 > distractors:
        keys = torch.where(others, order[:, :most], 2.0)
        others &= keys.argsort(1).argsort(1) < distractors
    return scores.masked_fill(~(others | itself), float("-inf")), places


def _padded(hidden: Tensor, positions: int) -> Tensor:
    return pad(hidden, (0, positions - hidden.shape[1]))
