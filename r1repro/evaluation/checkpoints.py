"""The checkpoints of the whole pipeline by name, and which of them are compared with which."""

from collections.abc import Container, Iterable
from dataclasses import dataclass

MAIN = ("base", "r1_zero", "r1")
"""What the headline tells of."""
CHAIN = ("r1_zero", "dev1", "dev2", "dev3", "r1")
"""The columns of the paper's table of stages (R1 v2, Table 3)."""
WAYS = ("base_best", "base_plain", "base_begun", "base_few_shot")
"""The base asked otherwise: in each family's best way, chosen on the validation problems, and in
three fixed ways."""
RFT = "base_rft"
"""RL's rival at equal samples: the base fine-tuned once on its own right ones."""
FORCED = "base_forced"
"""The base made to go on whenever it gives up: no way of asking."""
BASES = (*WAYS, FORCED, RFT)
STUDENTS = {"qwen": "Qwen", "llama": "Llama"}
ARMS = {
    "base": "Base",
    "rl": "RL alone",
    "rl_equal_flops": "RL up to distillation’s FLOPs",
    "distilled": "Distilled",
    "distilled_rl": "Distilled, then RL",
}
"""What a student went through, after the underscore of its checkpoint's name.

RL is kept when it has spent distillation's FLOPs, or at its end: whether they are equal is for the
measured costs to say (tables.arms).
"""


def arm_label(arm: str) -> str:
    """What a student went through, as it stands within a sentence."""
    return within_sentence(ARMS[arm])


def within_sentence(words: str) -> str:
    """A label of ARMS as it stands within a sentence."""
    return words if words.startswith("RL") else words[0].lower() + words[1:]


@dataclass(frozen=True)
class Ablation:
    """A checkpoint made as `plain` but for one thing, and what the paper saw of that.

    switch: its key under `ablation` in the configuration; curves: the columns of metrics.parquet
    that show what was left out or added, where it was trained by RL.
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
        "The paper has no such control. Groups that are paid alike teach nothing, as in R1-Zero, "
        "and in the others nothing tells a right answer from a wrong one: whatever changes here is "
        "no effect of the reward.",
        ("pass_at_1", "format_valid"),
    ),
    "r1_zero_format_only": Ablation(
        "r1_zero",
        "format_only",
        "With the reward for the format alone",
        "The paper has no such control. Accuracy is measured and not paid for: what rises here "
        "comes with the format.",
        ("pass_at_1", "format_valid"),
    ),
    "r1_zero_equal_weights": Ablation(
        "r1_zero",
        "equal_weights",
        "With the paper's sum of rewards",
        "The paper pays accuracy and format each by itself, with equal weights (v2, Eq. 4). Here "
        "R1-Zero is paid for the format of right answers alone.",
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
            "stops where 40 steps were right hardly more often than the 40 before, by less than "
            "half a point, at the latest after five times the steps of RL alone.",
            ("pass_at_1", "format_valid"),
        )
        for student, family in STUDENTS.items()
    },
}
WAYS_OF_STUDENTS = (
    ("base", "distilled", "what distillation gives a student"),
    ("rl", "distilled", "distillation against RL alone, each as long as it was trained"),
    ("rl_equal_flops", "distilled", "distillation against RL up to as many FLOPs"),
    ("distilled", "distilled_rl", "what RL adds to a distilled student"),
)
"""Of each student: (before, after) by the names of ARMS, and why they are compared."""
PAIRS: dict[tuple[str, str], str] = {
    ("base", "r1_zero"): "what RL alone does to the base",
    ("r1_zero", "dev1"): "what a cold start from the base has and lacks beside R1-Zero",
    ("dev1", "dev2"): "what reasoning RL adds to the cold start",
    ("dev2", "dev3"): "what SFT of the base on Dev2's answers and general data keeps and adds",
    ("dev3", "r1"): "what RL for all scenarios adds",
    ("r1_zero", "dev2"): "whether RL after a cold start ends higher than RL alone",
    ("r1_zero", "r1"): "what the stages after R1-Zero are worth together",
    ("base", "base_best"): "what the best way of asking gives over the template",
    ("base", "base_plain"): "what the template costs or gives",
    ("base", "base_begun"): "what a begun think tag gives",
    ("base", "base_few_shot"): "what worked examples give",
    ("base_forced", "r1_zero"): "what RL adds to persistence alone",
    ("base_best", "r1_zero"): "what RL adds to the best way of asking the base",
    ("base_rft", "r1_zero"): "RL against one round of fine-tuning on the base's right samples",
    ("base", "r1_zero_permuted"): "what RL does without a signal",
    ("base_best", "r1_zero_permuted"): "the same against the best way of asking the base",
    ("base", "r1_zero_format_only"): "what RL does for the format alone",
    ("base_best", "r1_zero_format_only"): "the same against the best way of asking the base",
    ("base_best", "r1_zero_equal_weights"): "what the paper's sum of rewards adds to it",
    ("dev1", "dev2_no_language_reward"): "what reasoning RL does without the language reward",
    **{
        (ablation.plain, name): f"what changes {ablation.title[0].lower()}{ablation.title[1:]}"
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
"""The paired differences that are made, (before, after), and why each."""


def names(evaluated: Iterable[str]) -> list[str]:
    """Checkpoints in the order of the pipeline, those not known here last."""
    known = ["base", *BASES, *CHAIN, *ABLATIONS, *(f"{s}_{arm}" for s in STUDENTS for arm in ARMS)]
    evaluated = list(evaluated)
    return [n for n in known if n in evaluated] + [n for n in evaluated if n not in known]


def pairs(evaluated: Container[str]) -> list[tuple[str, str]]:
    """Those of PAIRS whose both sides are there."""
    return [(a, b) for a, b in PAIRS if a in evaluated and b in evaluated]


def key(before: str, after: str) -> str:
    """How a difference is called in differences.json."""
    return f"{after} - {before}"
