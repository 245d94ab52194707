"""Promises about models that write: what they say follows from the prompt, the temperature and the seed."""

from manyways.testing.trial import OTHER_SEED, SEED, Trial, require, skip

PROMPTS = ("1", "12+34=", "a longer prompt, with words in it")
LONGEST = 8


def writes_what_follows_from_its_arguments(trial: Trial) -> None:
    """At temperature 0 it says the same every time; above, what the seed says; never more than it is asked for."""
    model = trial.reference
    if "generate" not in model.gives:
        skip("its model writes nothing")
    texts = model.generate(PROMPTS, longest=LONGEST)
    require(len(texts) == len(PROMPTS), f"{len(PROMPTS)} prompts got {len(texts)} answers.")
    require(texts == model.generate(PROMPTS, longest=LONGEST, seed=OTHER_SEED), "at temperature 0 the seed matters.")
    drawn = model.generate(PROMPTS, longest=LONGEST, temperature=1.0, seed=SEED)
    again = model.generate(PROMPTS, longest=LONGEST, temperature=1.0, seed=SEED)
    require(drawn == again, f"at temperature 1 one seed gives {drawn} and {again}.")
    others = model.generate(PROMPTS, longest=LONGEST, temperature=1.0, seed=OTHER_SEED)
    require(drawn != others, "at temperature 1 two seeds give the same answers.")
    short = model.generate(PROMPTS, longest=1)
    begun = all(whole.startswith(first.rstrip("\ufffd")) for first, whole in zip(short, texts, strict=True))
    require(begun, f"one token is {short}, which {texts} do not begin with.")
