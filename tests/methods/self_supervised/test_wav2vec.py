"""wav2vec 2.0: spans, the quantiser and the loss against those of transformers, and codebooks that collapse."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from manyways.errors import DataError
from manyways.methods.self_supervised.wav2vec import Quantiser, Wav2Vec, contrasts, perplexities, spans
from manyways.randomness import generator

from ..steps import Step
from .test_cpc import clips

TINY = {"batch_size": 6, "size": 0.25, "span": 2, "entries": 8, "projection": 16}


@pytest.mark.quick
def test_spans_hide_about_half_and_lie_within_their_clip() -> None:
    counts = torch.tensor([400] * 60 + [30, 11])
    hidden = spans(counts, 0.65, 10, generator(0))
    assert hidden.shape == (62, 400)
    assert not (hidden & (torch.arange(400) >= counts[:, None])).any()
    assert 0.44 < float(hidden[:60].float().mean()) < 0.54, "49% in the paper: spans overlap"
    assert not hidden[61].any(), "nothing would be left to tell it from"
    assert 10 <= int(hidden[60].sum()) <= 20
    runs = "".join("x" if each else " " for each in hidden[0].tolist()).split()
    assert min(map(len, runs)) >= 10
    assert not torch.equal(hidden, spans(counts, 0.65, 10, generator(1)))


@pytest.mark.quick
def test_perplexity_in_closed_form() -> None:
    one, every = torch.zeros(6, 2, 4), torch.full((6, 2, 4), 0.25)
    one[..., 1] = 1
    torch.testing.assert_close(perplexities(one), torch.ones(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(perplexities(every), torch.full((2,), 4.0))


def reference(method: Wav2Vec, learner: Any) -> Any:
    """transformers' model for pretraining with the quantiser and the maps of `learner`, without its networks."""
    transformers = pytest.importorskip("transformers")
    quantiser = learner.quantiser
    vector = learner.of_context.out_features
    config = transformers.Wav2Vec2Config(
        vocab_size=8, hidden_size=learner.network.width, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, conv_dim=(learner.network.width,), conv_stride=(1,), conv_kernel=(1,),
        num_feat_extract_layers=1, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=1,
        num_codevectors_per_group=method.entries, num_codevector_groups=method.codebooks, codevector_dim=vector,
        proj_codevector_dim=vector, contrastive_logits_temperature=method.temperature,
        diversity_loss_weight=method.diversity, feat_quantizer_dropout=0.0,
    )  # fmt: skip
    model = transformers.Wav2Vec2ForPreTraining(config)
    with torch.no_grad():
        model.quantizer.codevectors.copy_(quantiser.entries.reshape(1, -1, vector // method.codebooks))
        model.quantizer.weight_proj.load_state_dict(quantiser.logits.state_dict())
        model.project_hid.load_state_dict(learner.of_context.state_dict())
        model.project_q.load_state_dict(learner.of_entries.state_dict())
    return model


def as_many_hidden(batch: dict[str, Any]) -> dict[str, Any]:
    """`batch` with as many hidden frames in each clip: the reference would take some distractors twice."""
    hidden = batch["hidden"] & (batch["hidden"].cumsum(1) <= batch["hidden"].sum(1).min())
    kept = hidden[batch["hidden"]]
    return {**batch, "hidden": hidden, "noise": batch["noise"][kept], "order": batch["order"][kept]}


def test_the_loss_is_that_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All others hidden in the clip are distractors; both sum over hidden frames, and here it is their mean."""
    method = Wav2Vec(precision="float32", temperature=0.3, diversity=0.7, **(TINY | {"entries": 40}))
    learner = method.begin(clips(300), None, 0).train()
    learner.backbone.eval()  # without dropout, twice
    batch = as_many_hidden(method.draw(learner, 0, generator(0)))
    model = reference(method, learner).train()
    frames = learner.frames(batch["inputs"])
    hidden: Tensor = batch["hidden"]
    seen = torch.where(hidden[..., None], learner.hidden_frame, frames.features)
    context = learner.backbone.context(type(frames)(seen, frames.mask, frames.grid)).features

    class Body(nn.Module):
        def forward(self, *_: Any, **__: Any) -> Any:
            return SimpleNamespace(
                last_hidden_state=context, extract_features=frames.features, hidden_states=None, attentions=None
            )

    def same_noise(logits: Tensor, tau: float, hard: bool) -> Tensor:
        """The Gumbel softmax of those frames that are hidden, with the noise of the batch."""
        noise = torch.zeros(hidden.shape + batch["noise"].shape[1:])
        noise[hidden] = batch["noise"]
        soft = ((logits + noise.view_as(logits)) / tau).softmax(-1)
        return nn.functional.one_hot(soft.argmax(-1), logits.shape[-1]).float() - soft.detach() + soft

    monkeypatch.setattr(torch.nn.functional, "gumbel_softmax", same_noise)
    model.wav2vec2 = Body()
    model._get_feature_vector_attention_mask = lambda *_, **__: None
    model.set_gumbel_temperature(batch["temperature"])
    rows, positions = hidden.shape
    places = hidden.nonzero()[:, 1].view(rows, -1) + positions * torch.arange(rows)[:, None]
    each = places.shape[1]
    others = torch.zeros(rows * positions, each - 1, dtype=torch.int64)
    others[places.flatten()] = torch.stack([
        own[own != place] for own in places for place in own
    ])  # fmt: skip
    others = others.view(rows, positions, -1)
    output = model(
        torch.zeros(len(hidden), 1), mask_time_indices=hidden, sampled_negative_indices=others, return_dict=True
    )
    loss, parts = method.loss(learner, batch)
    torch.testing.assert_close(loss, output.loss / len(batch["noise"]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        parts["perplexity"] * method.codebooks, output.codevector_perplexity, rtol=1e-4, atol=1e-4
    )


def test_a_whole_step() -> None:
    """Every hidden frame told from the others of its clip, one by one."""
    method = Wav2Vec(precision="float32", backbone="audio-gru", **TINY)
    step = Step(method, clips(260, 140))
    learner, batch = step.by_hand, step.batch
    frames = learner.frames(batch["inputs"])
    seen = torch.where(batch["hidden"][..., None], learner.hidden_frame, frames.features)
    context = learner.backbone.context(type(frames)(seen, frames.mask, frames.grid)).features
    places = batch["hidden"].nonzero().tolist()
    logits = learner.quantiser.logits(torch.stack([frames.features[row, at] for row, at in places])).view(-1, 2, 8)
    soft = ((logits + batch["noise"]) / batch["temperature"]).softmax(2)
    entries = soft.argmax(2)
    hard = nn.functional.one_hot(entries, 8) - soft.detach() + soft
    vectors = torch.cat([hard[:, book] @ learner.quantiser.entries[book] for book in range(2)], dim=1)
    truths, losses = learner.of_entries(vectors), []
    for this, (row, at) in enumerate(places):
        others = [
            other for other, (own, _) in enumerate(places)
            if own == row and other != this and not torch.equal(entries[other], entries[this])
        ]  # fmt: skip
        guess = learner.of_context(context[row, at])
        scores = torch.stack([torch.cosine_similarity(guess, truths[each], dim=0) for each in (this, *others)])
        losses.append(-(scores / method.temperature).log_softmax(0)[0])
    mean = logits.softmax(2).mean(0)
    perplexity = (-(mean * (mean + 1e-7).log()).sum(1)).exp().sum()
    loss = torch.stack(losses).mean() + method.diversity * (16 - perplexity) / 16
    step.descend(loss)
    step.agree(loss)


@pytest.mark.quick
def test_no_more_distractors_than_stated_and_none_with_the_same_entries() -> None:
    rng = generator(0)
    hidden = torch.zeros(2, 9, dtype=torch.bool)
    hidden[0, 1:8] = hidden[1, 2:4] = True
    vectors, codes = torch.randn(9, 5, generator=rng), torch.arange(9)[:, None] % 6
    scores, right = contrasts(vectors, vectors, codes, hidden, torch.rand(9, 7, generator=rng), 3)
    assert right.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert scores.isfinite().sum(1).tolist() == [4] * 7 + [2] * 2
    torch.testing.assert_close(scores[torch.arange(9), right], torch.ones(9))
    every, _ = contrasts(vectors, vectors, codes, hidden, torch.rand(9, 7, generator=rng), 100)
    assert every.isfinite().sum(1).tolist() == [6, *[7] * 5, 6, 2, 2], "the first and the last of a clip are one entry"


@pytest.mark.quick
def test_without_noise_a_frame_is_its_largest_logit_and_with_noise_the_gradient_is_soft() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(6, 2, 4, 10)
    frames = torch.randn(5, 6)
    plain = quantiser(frames)
    assert torch.equal(plain.chosen.argmax(2), plain.probabilities.argmax(2))
    assert not plain.chosen.requires_grad
    noisy = quantiser(frames, torch.zeros(5, 2, 4), 0.7)
    torch.testing.assert_close(noisy.vectors, plain.vectors)
    noisy.vectors.sum().backward()
    assert quantiser.logits.weight.grad is not None
    assert quantiser.logits.weight.grad.abs().sum() > 0


def test_it_learns_what_is_hidden_with_all_of_its_codebooks() -> None:
    method = Wav2Vec(batch_size=32, size=0.5, span=3, entries=16, projection=32)
    told = method.fit(Wav2Vec.example_data(), budget=80, seed=0).lineage.facts["pretext"]
    assert told["accuracy"] > 1.5 * told["chance"]
    assert told["perplexity"] > 2
    assert 0 < told["entries_used"] <= 1


@pytest.mark.quick
def test_codebooks_that_collapse_are_named() -> None:
    learned = {"accuracy": 0.5, "chance": 0.1, "spread": 0.5, "perplexity": 1.2}
    assert Wav2Vec().cautions({**learned, "perplexity": 90.0}, 1000) == []
    (caution,) = Wav2Vec().cautions(learned, 1000)
    assert caution.startswith("The codebooks have collapsed: frames are told apart by 1.2 of 320 entries.")


def test_clips_shorter_than_a_span_are_refused_or_counted() -> None:
    with pytest.raises(DataError, match=r"wav2vec learns from clips of 12 frames \(240 ms\) or more"):
        Wav2Vec().fit(clips(200), budget=1)
    model = Wav2Vec(**(TINY | {"span": 6})).fit(clips(260, 60), budget=1)
    assert "12 of 24 clips have fewer than 8 frames" in model.lineage.facts["caution"]
    assert np.isfinite(model.embed(clips(260, 60))).all()


def test_the_gumbel_softmax_cools_down() -> None:
    method = Wav2Vec(**TINY)
    learner = method.begin(clips(200), None, 0)
    learner.steps = 10
    warm, cold = (method.draw(learner, step, generator(step))["temperature"] for step in (0, 9))
    assert warm == 2.0
    assert 0.5 < cold < 0.7
