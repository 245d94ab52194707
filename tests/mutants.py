"""Faults that tests must find: `python tests/mutants.py` puts in one after the other, and runs the tests named for it.

A fault that no test notices lives, and is listed; so does one whose tests fail without it. Words after the command pick
faults by name. The sources are copied: nothing in the working tree is changed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in `file` under src/manyways, becomes `new`; one of `tests` fails then."""

    name: str
    file: str
    old: str
    new: str
    tests: str


FIXMATCH, TEACHER = "methods/semi_supervised/fixmatch.py", "methods/semi_supervised/mean_teacher.py"
ROUNDS, KTO = "methods/bases/relabelling.py", "methods/preference/kto.py"
TESTS_OF_FIXMATCH = "tests/methods/semi_supervised/test_fixmatch.py"
TESTS_OF_TEACHER = "tests/methods/semi_supervised/test_mean_teacher.py tests/methods/test_whole_steps.py"
TESTS_OF_ACTIVE = "tests/methods/active/test_active_learning.py"
TESTS_OF_PAIRS = "tests/methods/metric_learning/test_sentence_pairs.py"
MOCO, TESTS_OF_MOCO = "methods/self_supervised/moco.py", "tests/methods/self_supervised/test_moco.py"

MUTANTS = (
    Mutant("FixMatch does not align classes", FIXMATCH,
           "aligned if self.align_classes else weak", "weak", TESTS_OF_FIXMATCH),
    Mutant("FixMatch takes its balance from hidden labels", FIXMATCH,
           "ClassBalance(learner.target, learner.labels_at(learner.labelled))",
           "ClassBalance(learner.target, torch.from_numpy(learner.target.encode(data.training, hidden=True)))",
           TESTS_OF_FIXMATCH),
    Mutant("FixMatch never moves its balance", FIXMATCH, "learner.balance.follow()\n", "\n", TESTS_OF_FIXMATCH),
    Mutant("PPO fixes gae_lambda", "methods/reinforcement/ppo.py",
           "self.discount, self.gae_lambda,", "self.discount, 1.0,",
           "tests/methods/reinforcement/test_ppo_formulas.py"),
    Mutant("MeanTeacher keeps the student", TEACHER,
           "return learner.teacher.network\n", "return learner.network\n", TESTS_OF_TEACHER),
    Mutant("MeanTeacher shows both the same view", TEACHER,
           '"teacher": learner.target.unmoved(learner.views, "weak", rows, rng),',
           '"teacher": learner.target.unmoved(learner.views, "weak", rows, torch.Generator().manual_seed(0)),',
           TESTS_OF_TEACHER),
    Mutant("ActiveLearning asks the first model", ROUNDS,
           "Turn(newest,", "Turn(trained[0],", TESTS_OF_ACTIVE),
    Mutant("ActiveLearning asks for validation rows", ROUNDS,
           "~data.labelled & (data.part[data.rows] == TRAINING)", "~data.labelled & (data.part[data.rows] < 2)",
           TESTS_OF_ACTIVE),
    Mutant("SelfTraining piles guesses up", "methods/semi_supervised/self_training.py",
           "        if not self.of_answers or turn.model is None:\n            return known",
           "        if turn.model is not None:\n            return self._with_guesses(known, turn.model)",
           "tests/methods/semi_supervised/test_self_training.py"),
    Mutant("PCGrad in a fixed order", "methods/multi_task/_combinations.py",
           "torch.randperm(len(gradients)).tolist()", "list(range(len(gradients)))",
           "tests/methods/multi_task/test_multi_task.py"),
    Mutant("EWC with half of λ", "methods/continual/ewc.py",
           "return loss + self.penalty * held", "return loss + self.penalty / 2 * held",
           "tests/methods/continual/test_ewc.py"),
    Mutant("KTO without its clamp", KTO,
           "mismatched.mean().clamp_min(0)", "mismatched.mean()", "tests/methods/preference/test_kto.py"),
    Mutant("Encoders fitted on all rows", "data/encoding.py",
           "fit_encoder(each, training.rows,", "fit_encoder(each, data.rows,", "tests/data/test_encoding.py"),
    Mutant("The same labels for every seed", "comparison/job.py",
           "data.with_labels(first, job.seed,", "data.with_labels(first, 0,",
           "tests/comparison/test_compare.py"),
    Mutant("CoSENT asks for the other order", "methods/metric_learning/sentence_pairs.py",
           "ordered = scores[:, None] < scores[None]", "ordered = scores[:, None] > scores[None]", TESTS_OF_PAIRS),
    Mutant("cached gradients go through another dropout", "methods/bases/sentences.py",
           "torch.set_rng_state(state)", "torch.get_rng_state()", TESTS_OF_PAIRS),
    Mutant("a batch may hold a text twice", "training/samplers/no_duplicates.py",
           "inside.isdisjoint(identities[place])", "place not in batch", TESTS_OF_PAIRS),
    Mutant("Matryoshka learns the whole width alone", "methods/bases/sentences.py",
           "dict.fromkeys((*self.matryoshka, features.shape[1]))", "[features.shape[1]]", TESTS_OF_PAIRS),
    Mutant("MoCo's queue forgets nothing", MOCO,
           "learner.oldest.copy_((learner.oldest + len(keys)) % length)", "pass", TESTS_OF_MOCO),
    Mutant("MoCo tells a row from itself", MOCO,
           "(query @ queue.T).masked_fill(same,", "(query @ queue.T).masked_fill(same & False,", TESTS_OF_MOCO),
    Mutant("keys are made by the encoder of queries", "training/average.py",
           "move_towards(self.network, network, decay)", "move_towards(self.network, network, 0.0)",
           "tests/training/test_average.py"),
    Mutant("VICReg looks at the columns of one view", "methods/self_supervised/vicreg.py",
           "covariance_loss(a) + covariance_loss(b)", "2 * covariance_loss(a)",
           "tests/methods/self_supervised/test_vicreg.py"),
    Mutant("pretext tasks are scored in training mode", "methods/bases/self_supervised.py",
           "        learner.eval()", "        learner.train()", "tests/methods/bases/test_self_supervised.py"),
    Mutant("DER compares logits of other rows", "methods/continual/der.py",
           'mse_loss(outputs[new : new + count], batch["kept_logits"])',
           'mse_loss(outputs[new + count :], batch["kept_logits"])', "tests/methods/continual/test_der.py"),
    Mutant("iCaRL keeps the first rows", "methods/continual/icarl.py",
           "return rows[herding(features_of(learner, learner.network, rows), quota)]", "return rows[:quota]",
           "tests/methods/continual/test_icarl.py"),
    Mutant("DANN tells domains apart by its features", "methods/transfer/dann.py",
           "reversed_gradient(features, self.weight *", "reversed_gradient(features, -self.weight *",
           "tests/methods/transfer/test_dann.py"),
    Mutant("Reptile takes one inner step", "methods/meta/reptile.py",
           "descend_in_turn(weights, losses,", "descend_in_turn(weights, losses[:1],",
           "tests/methods/meta/test_reptile.py"),
    Mutant("BADGE looks at features alone", "methods/bases/acquisition/badge.py",
           "products = (errors @ errors[row]) * (features @ features[row])", "products = features @ features[row]",
           "tests/methods/bases/test_strategies.py"),
    Mutant("a curriculum's hard rows first are easy ones", "training/samplers/curriculum.py",
           "values = -values", "values = +values", "tests/training/test_curriculum.py"),
)  # fmt: skip


def main(words: list[str]) -> int:
    """Try the faults whose names hold one of `words`, or all; 1 if any lives."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    with tempfile.TemporaryDirectory() as place:
        source = Path(shutil.copytree(ROOT / "src", Path(place) / "src"))
        sound = {tests: run(tests, source) for tests in sorted({mutant.tests for mutant in chosen})}
        living = [mutant.name for mutant in chosen if not (sound[mutant.tests] and dies(mutant, source))]
    print(f"{len(chosen) - len(living)} of {len(chosen)} die; living: {', '.join(living) or 'none'}.")
    return int(bool(living))


def dies(mutant: Mutant, source: Path) -> bool:
    """True if a test fails with the fault in the copy at `source`, which is mended again."""
    file = source / "manyways" / mutant.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    dead = not run(mutant.tests, source)
    file.write_text(text, encoding="utf-8")
    print(f"{'dies ' if dead else 'LIVES'}  {mutant.name}", flush=True)
    return dead


def run(tests: str, source: Path) -> bool:
    """True if the tests pass with the package at `source`."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
