"""Names of the pipeline's checkpoints, and which pairs are compared."""

from collections.abc import Container, Iterable
from dataclasses import dataclass

MAIN = ("base", "r1_zero", "r1")
"""The checkpoints of the headline."""
CHAIN = ("r1_zero", "dev1", "dev2", "dev3", "r1")
"""The columns of the paper's table of stages (R1 v2, Table 3)."""
WAYS = ("base_best", "base_plain", "base_begun", "base_few_shot")
"""The base with other prompts: the best of each family, chosen on the validation problems, and
three fixed ones."""
RFT = "base_rft"
"""The baseline at RL's number of samples: the base fine-tuned once on its own right ones."""
FORCED = "base_forced"
"""The base forced to continue whenever it gives up."""
BASES = (*WAYS, FORCED, RFT)
STUDENTS = {"qwen": "Qwen", "llama": "Llama"}
ARMS = {
    "base": "Base",
    "rl": "RL alone",
    "rl_equal_flops": "RL up to distillation’s FLOPs",
    "distilled": "Distilled",
    "distilled_rl": "Distilled, then RL",
}
"""A student's training, by the suffix of its checkpoint's name.

RL's policy is saved when it has spent distillation's FLOPs, or at its end; the measured costs
decide whether the FLOPs count as equal (tables.arms).
"""


def arm_label(arm: str) -> str:
    """A student's training, as written within a sentence."""
    return within_sentence(ARMS[arm])


def within_sentence(words: str) -> str:
    """A label of ARMS, as written within a sentence."""
    return words if words.startswith("RL") else words[0].lower() + words[1:]


@dataclass(frozen=True)
class Ablation:
    """A checkpoint trained as `plain` with one change, and the paper's finding on that change.

    switch: its key under `ablation` in the configuration; curves: columns of metrics.parquet that
    show the effect of the change, if trained by RL.
    """

    plain: str
    switch: str
    title: str
    paper: str
    curves: tuple[str, ...] = ()


ABLATIONS = {
    "r1_zero_permuted": Ablation(
        "r1_zero",
        "permuted_rewards",
        "With the rewards of each group permuted within it",
        "The paper has no such control. Groups with equal rewards give no gradient, as in R1-Zero, "
        "and in the others the reward does not depend on the answer: whatever changes here is not "
        "an effect of the reward.",
        ("pass_at_1", "format_valid"),
    ),
    "r1_zero_format_only": Ablation(
        "r1_zero",
        "format_only",
        "With the reward for the format alone",
        "The paper has no such control. Accuracy is measured but not rewarded: what rises here "
        "comes with the format.",
        ("pass_at_1", "format_valid"),
    ),
    "r1_zero_equal_weights": Ablation(
        "r1_zero",
        "equal_weights",
        "With the paper's sum of rewards",
        "The paper rewards accuracy and format independently, with equal weights (v2, Eq. 4). Here "
        "R1-Zero is rewarded for the format of right answers only.",
        ("pass_at_1", "format_valid", "length"),
    ),
    "dev2_no_language_reward": Ablation(
        "dev2",
        "no_language_reward",
        "Without the language-consistency reward",
        "The paper (v2 B.6, Fig. 7, a distilled 7B model): without the reward language consistency "
        "falls over the steps, with it it stays; mathematics is comparable, code slightly worse "
        "with it.",
        ("language_share", "pass_at_1"),
    ),
    "dev3_reasoning_only": Ablation(
        "dev3",
        "reasoning_only",
        "Without the general data of the second SFT",
        "The paper has no such ablation; from Dev2 to Dev3, where general data comes in, it has "
        "IF-Eval 72.0 → 78.1 and AIME 2024 74.0 → 78.1 (v2 Table 3).",
    ),
    "r1_preference_throughout": Ablation(
        "r1",
        "preference_throughout",
        "With the preference reward from the first step",
        "The paper (v2 B.5, Fig. 6): with more steps of a preference reward its value rises while "
        "Codeforces performance falls, so it came in only for the last 400 of 1,700 steps.",
        ("preference", "pass_at_1"),
    ),
    **{
        f"{student}_rl_plateau": Ablation(
            f"{student}_rl",
            "rl_plateau",
            f"With RL alone to a plateau, student {family}",
            "The paper's RL alone on a 32B base ran for more than 10,000 steps (v2, F). Here it "
            "stops when pass@1 over 40 steps is less than half a point above that over the 40 "
            "before, and after five times the steps of RL alone at the latest.",
            ("pass_at_1", "format_valid"),
        )
        for student, family in STUDENTS.items()
    },
}
WAYS_OF_STUDENTS = (
    ("base", "distilled", "the effect of distillation on a student"),
    ("rl", "distilled", "distillation against RL alone, each at its full training"),
    ("rl_equal_flops", "distilled", "distillation against RL up to the same FLOPs"),
    ("distilled", "distilled_rl", "what RL adds to a distilled student"),
)
"""Compared pairs of each student: (before, after) of ARMS, and the question they answer."""
PAIRS: dict[tuple[str, str], str] = {
    ("base", "r1_zero"): "what RL alone does to the base",
    ("r1_zero", "dev1"): "how the cold start from the base differs from R1-Zero",
    ("dev1", "dev2"): "what reasoning RL adds to the cold start",
    ("dev2", "dev3"): "what SFT of the base on Dev2's answers and general data changes",
    ("dev3", "r1"): "what RL for all scenarios adds",
    ("r1_zero", "dev2"): "whether RL after a cold start ends higher than RL alone",
    ("r1_zero", "r1"): "the total effect of the stages after R1-Zero",
    ("base", "base_best"): "the effect of the best prompt against the template",
    ("base", "base_plain"): "the effect of the plain prompt against the template",
    ("base", "base_begun"): "the effect of an opened think tag in the prompt",
    ("base", "base_few_shot"): "the effect of worked examples in the prompt",
    ("base_forced", "r1_zero"): "what RL adds to forced continuation",
    ("base_best", "r1_zero"): "what RL adds to the best prompt of the base",
    ("base_rft", "r1_zero"): "RL against one round of fine-tuning on the base's right samples",
    ("base", "r1_zero_permuted"): "the effect of RL without a reward signal",
    ("base_best", "r1_zero_permuted"): "the same against the best prompt of the base",
    ("base", "r1_zero_format_only"): "the effect of RL with the format reward alone",
    ("base_best", "r1_zero_format_only"): "the same against the best prompt of the base",
    ("base_best", "r1_zero_equal_weights"): "what RL by the paper's reward adds to the best prompt",
    ("dev1", "dev2_no_language_reward"): "the effect of reasoning RL without the language reward",
    **{
        (ablation.plain, name): f"the effect of training {within_sentence(ablation.title)}"
        for name, ablation in ABLATIONS.items()
    },
    **{
        (f"{student}_{before}", f"{student}_{after}"): why
        for student in STUDENTS
        for before, after, why in (
            *WAYS_OF_STUDENTS,
            ("rl_plateau", "distilled", "distillation against RL alone to a plateau"),
        )
    },
}
"""The paired differences (before, after), and the question each answers."""


def names(evaluated: Iterable[str]) -> list[str]:
    """Checkpoints in the order of the pipeline, unknown ones last."""
    known = ["base", *BASES, *CHAIN, *ABLATIONS, *(f"{s}_{arm}" for s in STUDENTS for arm in ARMS)]
    evaluated = list(evaluated)
    return [n for n in known if n in evaluated] + [n for n in evaluated if n not in known]


def pairs(evaluated: Container[str]) -> list[tuple[str, str]]:
    """The pairs of PAIRS with both sides evaluated."""
    return [(a, b) for a, b in PAIRS if a in evaluated and b in evaluated]


def key(before: str, after: str) -> str:
    """Key of a difference in differences.json."""
    return f"{after} - {before}"
