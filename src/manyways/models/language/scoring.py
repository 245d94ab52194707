"""Scores of answers: their probability, or the scalar head of a reward model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.errors import ModelError
from manyways.models.language.forward import answer_log_probabilities, body, hidden_states, plain
from manyways.models.language.packing import Answer, Group, Packed, answer_lengths, pack
from manyways.models.language.probe import packs

TOKENS_AT_ONCE, LOGITS_AT_ONCE = 8192, 1 << 26


@torch.no_grad()
def of_each_answer(
    network: Any, groups: Sequence[Group], padding: int, value: Callable[[Any, Packed], Tensor]
) -> Tensor:
    """`value(network, batch)` of every answer, float32 [answers] on the CPU, in the order of `groups`.

    Groups of like length go through the network together, about as many tokens as `tokens_at_once` says.
    """
    device, packed = next(network.parameters()).device, packs(network)
    first = torch.tensor([0, *(len(group.answers) for group in groups)]).cumsum(0)
    values = torch.empty(int(first[-1]))
    for rows in _batches(groups, tokens_at_once(network)):
        batch = pack([groups[row] for row in rows], padding, packed).to(device)
        places = torch.cat([torch.arange(int(first[row]), int(first[row + 1])) for row in rows])
        values[places] = value(network, batch).float().cpu()
    return values


def tokens_at_once(network: Any) -> int:
    """Number of tokens that are read together: 8,192, or as many as have 67 million logits."""
    vocabulary: int = plain(network).get_input_embeddings().num_embeddings
    return max(1, min(TOKENS_AT_ONCE, LOGITS_AT_ONCE // vocabulary))


def _batches(groups: Sequence[Group], tokens: int) -> list[list[int]]:
    order = sorted(range(len(groups)), key=lambda row: (-len(groups[row]), row))
    batches: list[list[int]] = []
    for row in order:
        if not batches or (len(batches[-1]) + 1) * len(groups[batches[-1][0]]) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches


def mean_log_probabilities(network: Any, batch: Packed) -> Tensor:
    """The mean log p of each answer's tokens, float32 [answers]."""
    return answer_log_probabilities(network, batch) / answer_lengths(batch).clamp_min(1)


def answer_scores(network: Any, batch: Packed) -> Tensor:
    """Scalar outputs of `network` at the last token of each answer, float32 [answers]."""
    states = hidden_states(network, batch)[batch.ends]
    with torch.autocast(states.device.type, enabled=False):  # differences of scores are all that counts
        scores: Tensor = plain(network).score(states.float())
    return scores[:, 0]


def scored(groups: Sequence[Group], padding: int) -> list[Group]:
    """`groups` up to the token at which transformers reads a score: the last that is no padding.

    A tokenizer that pads with its end token so loses the end of its answers.
    """
    return [
        Group(group.prompt, [Answer(_until_padding(answer.ids, padding)) for answer in group.answers])
        for group in groups
    ]


def _until_padding(ids: Sequence[int], padding: int) -> list[int]:
    kept = list(ids)
    while kept and kept[-1] == padding:
        kept.pop()
    return kept


def with_scalar_head(network: Any, padding: int) -> Any:
    """The body of a causal language model, shared with it, under a new scalar head: a sequence classifier of one label.

    padding: the token that fills lines up.

    Raises:
        ModelError: transformers has no such classifier for it.
    """
    import transformers

    base = body(network)
    stated = {name: value for name, value in base.config.to_dict().items() if name not in ("id2label", "label2id")}
    config = type(base.config).from_dict(stated | {"num_labels": 1, "pad_token_id": padding})
    kind = f"no sequence classifier for the architecture {config.model_type!r}"
    try:
        with torch.device("meta"):  # only its frame is wanted, the body is there already
            auto: Any = transformers.AutoModelForSequenceClassification
            classifier = auto.from_config(config)
    except ValueError as error:
        raise ModelError(f"transformers has {kind}, so it cannot become a reward model.") from error
    head = getattr(classifier, "score", None)
    if not isinstance(head, nn.Linear) or classifier.base_model_prefix != plain(network).base_model_prefix:
        raise ModelError(f"transformers has {kind} that reads its last token, so it cannot become a reward model.")
    setattr(classifier, classifier.base_model_prefix, base)
    classifier.score = nn.Linear(head.in_features, 1, bias=head.bias is not None)
    nn.init.normal_(classifier.score.weight, std=getattr(config, "initializer_range", 0.02))
    return classifier


def scores_of_pairs(values: Tensor) -> dict[str, float]:
    """Share of pairs in which the first answer is worth more, and by how much; values float [2 · pairs], two by two."""
    margins = values[0::2] - values[1::2]
    return {"preference_accuracy": float((margins > 0).float().mean()), "margin": float(margins.mean())}


def pseudo_values_of_pairs(metric: str, values: Tensor) -> NDArray[np.float64] | None:
    """The contribution of each pair to `metric`, one of those of `scores_of_pairs` [pairs]; None for another."""
    margins = (values[0::2] - values[1::2]).double().numpy()
    return {"preference_accuracy": (margins > 0).astype(np.float64), "margin": margins}.get(metric)


def scores_of_judged(values: Tensor, good: NDArray[np.bool_]) -> dict[str, float]:
    """The same over all pairs of a desirable and an undesirable answer (ties count half); NaN where one kind lacks."""
    if good.all() or not good.any():
        return {"preference_accuracy": float("nan"), "margin": float("nan")}
    from sklearn.metrics import roc_auc_score

    flags = torch.from_numpy(good)
    return {
        "preference_accuracy": float(roc_auc_score(good, values.numpy())),
        "margin": float(values[flags].mean() - values[~flags].mean()),
    }
