"""Promises about what defines a method: without it, it learns something else."""

from manyways.methods.chain import Chain
from manyways.testing.trial import SEED, STEPS, Trial, difference, require, skip


def signal_changes_what_is_learned(trial: Trial) -> None:
    """Without the signal that defines the method, which it names, other weights are learned."""
    if isinstance(trial.method, Chain):
        skip("the stages of a chain are tried by themselves")
    ablations = trial.method.ablations(trial.learned_from)
    require(bool(ablations), "it names none; write ablations(), which says what it is without its signal.")
    for what, (method, data) in ablations.items():
        made = method.fit(data, trial.start, budget=STEPS, seed=SEED)
        changed = difference(trial.reference, made) is not None
        require(changed, f"without {what} the weights are bitwise the same: nothing is learned from them.")
