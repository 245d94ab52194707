"""Next-sentence prediction: does one text follow another, or in which order do they stand?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders.pair import frame_of
from manyways.data.encoders.text import TextEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.passages import Passages, passages_of, split
from manyways.errors import DataError, ModelError
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised, effective_rank, spread
from manyways.methods.bases.sentences import text_reader
from manyways.methods.fields import Interval
from manyways.methods.method import Ablations
from manyways.methods.needs.texts import TextInOrder
from manyways.models.backbones.base import Backbone
from manyways.models.model import Model
from manyways.models.network import Inputs, Network, is_checkpoint, make_network
from manyways.models.sentence_folder import TEXT, open_checkpoint
from manyways.randomness import generator
from manyways.training.learner import RowLearner

LONGEST = 256
"""Tokens of two texts together that a new network reads at most."""
LOOKED_AT = 512
"""Pairs on which the pretext task is scored."""
Ids = list[int]


class NextSentenceLearner(RowLearner):
    """A learner of texts in their order.

    Attributes:
        pieces: The tokens of each text, without special ones.
        starts: The numbers of the texts that another follows, int64.
        held_out: The texts of the validation rows; None where they are too few.
        head: The layer that tells from the features of two texts whether they stand as they were.
    """

    pieces: list[Ids]
    starts: NDArray[np.int64]
    held_out: Passages | None
    head: nn.Linear

    @property
    def name(self) -> str:
        """The name of the column of texts."""
        return self.network.names[0]

    @property
    def encoder(self) -> TextEncoder:
        """The encoder of the texts."""
        encoder = self.encoding.encoders[self.name]
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"Texts are read as tokens; {encoder.kind} has none.")
        return encoder

    def logits(self, tokens: Tensor, second: Tensor) -> Tensor:
        """Logits [pairs, 2] for two texts in one, of which the later begins at `second`: changed, or as they were.

        Both are read together, then the tokens of each are averaged by themselves, as a mean over both would not tell
        which came first. The head sees u, v, |u − v| and u·v (Conneau et al., EMNLP 2017).
        """
        part = self.network.parts[0]
        read = part.tokens(tokens)
        places = torch.arange(read.features.shape[1], device=tokens.device)
        there = torch.ones_like(read.features[..., 0], dtype=torch.bool) if read.mask is None else read.mask
        later = places[None] >= second[:, None]
        u, v = (replace(read, mask=there & side).mean() for side in (~later, later))
        logits: Tensor = self.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1)).float()
        return logits

    def tokens_of(self, texts: list[str]) -> list[Ids]:
        """The tokens of `texts`, without special ones, no more than fit."""
        most, encoder = self.encoder.text.length, replace(self.encoder, keeps_end=False)
        return [each.ids[:most] for each in encoder.tokenizer.encode_batch(texts, add_special_tokens=False)]


@dataclass(frozen=True, kw_only=True)
class NextSentence(SelfSupervised[NextSentenceLearner]):
    """Learn features of texts from their order: tell if the second of two follows the first.

    Both are read as one text with a mark between. It reads running text, whose paragraphs (or sentences, where there is
    one) follow each other, or a column of texts in the order of its rows. Later work found that it adds little to
    masked tokens; its own accuracy stands in the lineage, on the validation rows where there are some.
    """

    batch_size: Annotated[int, Interval("[2, inf)")] = 32
    """Pairs of texts in a batch."""
    task: Literal["next", "order"] = "next"
    """next: half of the pairs have any other text in the place of the second (BERT); order: half of them are the two
    the other way round (sentence order prediction, ALBERT), which topics do not give away."""

    needs: ClassVar = (TextInOrder,)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ()
    paper: ClassVar = (
        "Devlin et al., BERT, NAACL 2019; Lan et al., ALBERT: A lite BERT for self-supervised learning, ICLR 2020"
    )

    @classmethod
    def example_data(cls) -> Data:
        """A journal: morning, noon and night follow each other, with whatever was seen."""
        rng = np.random.default_rng(0)
        times, things = ("morning", "noon", "night"), [f"thing{at}" for at in range(30)]
        texts = [" ".join(rng.permutation([times[at % 3], *rng.choice(things, 3)])) for at in range(260)]
        return Data.from_columns([Column("says", "text", as_objects(texts))], {"input": ["says"]}, name="journal")

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16, size=0.5)

    def ablations(self, data: Data) -> Ablations:
        rng, rows = np.random.default_rng(0), data.rows[data.part[data.rows] == 0]
        name = data.roles["text"][0] if data.has("text") else data.inputs[0].name
        texts = data.columns[name].take(rows)
        if data.has("text"):
            texts = as_objects(["\n\n".join(rng.permutation(split(str(text)))) for text in texts])
        return {"the order of its texts": (self, with_values(data, name, rows, rng.permutation(texts)))}

    def begin(self, data: Data, model: Model | None, seed: int) -> NextSentenceLearner:
        learned_from = passages_of(data.training)
        if len(learned_from.starts) < 2:
            raise DataError(
                f"{data.name} has {len(learned_from.starts)} training texts that another follows, and two are the "
                "least. Give running text with several paragraphs or sentences, or rows in their order: split off test "
                "rows by blocks or by group, not at random."
            )
        name = data.roles["text"][0] if data.has("text") else data.inputs[0].name
        if model is not None:
            self._refuse_another_network()
            part, encoder = text_reader(model, data, type(self).__name__)
        else:
            part, encoder = self._reader(learned_from.texts)
        network = Network({name: part}).requires_grad_(True)
        encoding = InputEncoding({name: replace(encoder, column=name)})
        learner = NextSentenceLearner(network, data, encoding, seed)
        learner.pieces, learner.starts = learner.tokens_of(learned_from.texts), learned_from.starts
        held_out = passages_of(data.validation) if len(data.validation) else None
        learner.held_out = held_out if held_out is not None and len(held_out.starts) > 1 else None
        learner.head = nn.Linear(4 * network.token_width, 2)
        return learner

    def _reader(self, texts: list[str]) -> tuple[Backbone, TextEncoder]:
        """The backbone of a checkpoint or a new one, and the encoder of its texts."""
        if is_checkpoint(self.backbone):
            return open_checkpoint(self.backbone)
        encoder = TextEncoder.fit([Column(TEXT, "text", as_objects(texts))], np.arange(len(texts)))
        if not isinstance(encoder, TextEncoder):
            raise ModelError(f"Texts are read as tokens; {encoder.kind} has none.")
        encoder = replace(encoder, text=replace(encoder.text, length=min(LONGEST, 2 * encoder.text.length + 2)))
        return make_network({TEXT: encoder.spec}, backbone=self.backbone, size=self.size).parts[0], encoder

    def checkpoints(self, data: Data) -> dict[str, str]:
        return {TEXT: self.backbone} if is_checkpoint(self.backbone) else {}

    def draw(self, learner: NextSentenceLearner, step: int, rng: torch.Generator) -> Batch:
        starts = learner.pick(learner.starts, self.examples_per_step(learner), step)
        return self._pairs(learner, learner.pieces, starts, rng)

    def _pairs(
        self, learner: NextSentenceLearner, pieces: Sequence[Ids], starts: NDArray[np.int64], rng: torch.Generator
    ) -> Batch:
        """Pairs that begin with the texts `starts`, half of them changed by the task; labels are 1 for the others."""
        right = torch.rand(len(starts), generator=rng) < 0.5
        others = torch.randint(len(pieces) - 1, (len(starts),), generator=rng).numpy()
        others = others + (others >= starts + 1)  # any text but the one that follows
        first, second = [], []
        for start, other, true in zip(starts.tolist(), others.tolist(), right.tolist(), strict=True):
            ordered = (start, start + 1) if true else (start + 1, start) if self.task == "order" else (start, other)
            first.append(pieces[ordered[0]])
            second.append(pieces[ordered[1]])
        tokens, begin = framed(learner.encoder, first, second)
        device = learner.device
        return {"tokens": tokens.to(device), "second": begin.to(device), "labels": right.long().to(device)}

    def loss(self, learner: NextSentenceLearner, batch: Batch) -> Loss:
        logits = learner.logits(batch["tokens"], batch["second"])
        accuracy = (logits.argmax(1) == batch["labels"]).float().mean()
        return cross_entropy(logits, batch["labels"]), {"accuracy": accuracy}

    def pretext(self, learner: NextSentenceLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of pairs that are told right; chance is one half."""
        right = learner.logits(inputs["tokens"], inputs["second"]).argmax(1) == inputs["labels"]
        return {"accuracy": float(right.float().mean()), "chance": 0.5}

    def scores_of(self, learner: NextSentenceLearner) -> dict[str, float]:
        """The accuracy on pairs of validation texts, or of training texts where there are none, and the spread."""
        pieces, starts = learner.pieces, learner.starts
        if learner.held_out is not None:
            pieces, starts = learner.tokens_of(learner.held_out.texts), learner.held_out.starts
        starts = starts[np.unique(np.linspace(0, len(starts) - 1, min(LOOKED_AT, len(starts))).astype(np.int64))]
        rng, modes = generator(learner.seed, 7), {part: part.training for part in learner.modules()}
        learner.eval()
        scores: dict[str, float] = {}
        features = []
        with torch.no_grad():
            for chosen in np.array_split(starts, -(-len(starts) // 64)):
                batch = self._pairs(learner, pieces, chosen, rng)
                features.append(learner.network.features({learner.name: batch["tokens"]}).float().cpu())
                for name, score in self.pretext(learner, batch, rng).items():
                    scores[name] = scores.get(name, 0.0) + score * len(chosen) / len(starts)
        for module, mode in modes.items():
            module.training = mode
        every = torch.cat(features)
        return {**scores, "pairs": float(len(starts)), "spread": spread(every), "effective_rank": effective_rank(every)}

    def cautions(self, scores: Mapping[str, float], rows: int) -> list[str]:
        return super().cautions(scores, int(scores.get("pairs", rows)))

    def examples_per_step(self, learner: NextSentenceLearner) -> int:
        return min(self.rows_in_batch(learner), len(learner.starts))


def framed(encoder: TextEncoder, first: Sequence[Ids], second: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Two texts as one, with the tokenizer's marks before, between and behind.

    Where they do not fit, the longer one loses its end.

    Returns:
        Tokens, int64 [pairs, tokens], and the place of the first token of the second text, int64 [pairs].
    """
    before, between, after = marks(encoder)
    room = encoder.text.length - len(before) - len(between) - len(after)
    lines, begin = [], []
    for one, other in zip(first, second, strict=True):
        kept = max(room - len(other), room // 2)
        head = one[:kept]
        lines.append(torch.tensor([*before, *head, *between, *other[: room - len(head)], *after]))
        begin.append(len(before) + len(head) + len(between))
    return nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=encoder.text.padding), torch.tensor(begin)


def marks(encoder: TextEncoder) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The tokens before, between and behind two texts; a tokenizer that has none between begins the second anew."""
    tokenizer = replace(encoder, keeps_end=False).tokenizer
    before, between, after = frame_of(tokenizer)
    if between:
        return before, between, after
    single = tokenizer.encode("a")
    begin = tuple(single.ids[: single.sequence_ids.index(0)])
    return begin, begin, after
