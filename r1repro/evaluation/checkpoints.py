"""The registry of checkpoints: what each is, what it is trained from, drawn as and compared with.

No other code derives from a name what a checkpoint is.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

from r1repro.config import Config, lab
from r1repro.tasks import prompting, templates
from r1repro.tasks.templates import Form
from r1repro.tasks.world import World

# The Okabe-Ito palette, which is safe for colour-vision deficiencies.
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY, GREY, INK = "#56B4E9", "#6b7280", "#222222"


@dataclass(frozen=True)
class Checkpoint:
    """A model that the pipeline evaluates.

    label, colour, marker: the same in every figure and table.
    parent: the checkpoint whose weights it starts from; "" for a base.
    trained: the stage with its weights, if that has another name.
    paper: what the paper says of it, for context.
    benchmarks: the paper's figures in per cent, by the measure of PAPER_BENCHMARKS.
    chat: whether its prompts use its family's chat template, as from the cold start on.
    student, arm: keys of STUDENTS and ARMS; "" for the teacher's checkpoints.
    switch: its key under `ablation` in the configuration, if it exists only when switched on.
    plain: for an ablation, the checkpoint that is trained alike but for one change.
    title: that change.
    curves: columns of metrics.parquet that show the effect of the change, if trained by RL.
    """

    label: str
    colour: str
    marker: str
    parent: str = ""
    trained: str = ""
    paper: str = ""
    benchmarks: tuple[float, ...] = ()
    chat: bool = False
    student: str = ""
    arm: str = ""
    switch: str = ""
    plain: str = ""
    title: str = ""
    curves: tuple[str, ...] = ()

    @property
    def override(self) -> str:
        """The override that switches it on; "" if it always exists."""
        return f"ablation.{self.switch}=true" if self.switch else ""

    @property
    def model(self) -> str:
        """The key of its model in the configuration."""
        return f"student.{self.student}" if self.student else "model"


MAIN = ("base", "r1_zero", "r1")
"""The checkpoints of the headline."""
CHAIN = ("r1_zero", "dev1", "dev2", "dev3", "r1")
"""The columns of the paper's table of stages (R1 v2, Table 3)."""
PAPER_BENCHMARKS = {
    "reasoning/pass@1": "AIME 2024, pass@1",
    "arithmetic/pass@1": "MATH-500, pass@1",
    "general/score": "AlpacaEval 2.0, LC win rate",
    "general/fact": "SimpleQA",
    "general/instruction": "IF-Eval, prompt strict",
}
"""The benchmarks of `Checkpoint.benchmarks` (R1 v2, Table 3), by our closest measure."""
STUDENTS = {"qwen": "Qwen", "llama": "Llama"}
ARMS = {
    "base": "Base",
    "rl": "RL alone",
    "rl_equal_flops": "RL up to distillation’s FLOPs",
    "distilled": "Distilled",
    "distilled_rl": "Distilled, then RL",
}
"""A student's kinds of training.

RL's policy is saved when it has spent distillation's FLOPs, or at its end; the measured costs
decide whether the FLOPs count as equal (tables.arms).
"""
CONTROL = "r1_zero_permuted"
"""RL whose reward does not depend on the answer."""

_LEARNED = ("pass_at_1", "format_valid")


def within_sentence(words: str) -> str:
    """A label as written within a sentence: lower case, unless it begins with an acronym."""
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def _student(student: str, colour: str, marker: str) -> dict[str, Checkpoint]:
    """The checkpoints of a student by name."""
    base, rl, distilled = f"{student}_base", f"{student}_rl", f"{student}_distilled"
    made = (
        (base, "base", "", "", "Qwen2.5 and Llama 3, 1.5B to 70B parameters (v2, B.4.3)"),
        (rl, "rl", base, "", "Qwen2.5-32B: AIME 2024 47.0, MATH-500 91.6 % (v2, Table 16)"),
        (f"{rl}_equal_flops", "rl_equal_flops", base, rl, "FLOPs were not matched"),
        (
            distilled, "distilled", base, "",
            "Qwen2.5-32B: AIME 2024 72.6, MATH-500 94.3 % (v2, Table 16)",
        ),
        (f"{distilled}_rl", "distilled_rl", distilled, "", "further gains, no figures (v1, 3.2)"),
    )  # fmt: skip
    return {
        name: Checkpoint(
            f"{STUDENTS[student]}: {within_sentence(ARMS[arm])}", colour, marker, parent, trained,
            paper, chat=arm in ("distilled", "distilled_rl"), student=student, arm=arm,
        )
        for name, arm, parent, trained, paper in made
    }  # fmt: skip


def _plateau(student: str, marker: str) -> Checkpoint:
    return Checkpoint(
        f"{STUDENTS[student]}: RL alone to a plateau", INK, marker, f"{student}_base",
        student=student, switch="rl_plateau", plain=f"{student}_rl", curves=_LEARNED,
        title=f"With RL alone to a plateau, student {STUDENTS[student]}",
        paper="The paper's RL alone on a 32B base ran for more than 10,000 steps (v2, F). Here it "
        "stops when pass@1 over 40 steps is less than half a point above that over the 40 before, "
        "and after five times the steps of RL alone at the latest.",
    )  # fmt: skip


CHECKPOINTS: dict[str, Checkpoint] = {
    "base": Checkpoint(
        "Base", GREY, "s", paper="DeepSeek-V3-Base, 671B parameters, 37B active (v2, 2)",
    ),
    # The base with other prompts: the best for each family on the validation problems, and fixed
    # ones; base_forced is made to continue whenever it gives up.
    "base_best": Checkpoint("Base, best prompt", GREY, "p", "base", "base"),
    "base_plain": Checkpoint("Base, question alone", GREY, "<", "base", "base"),
    "base_begun": Checkpoint("Base, think tag opened", GREY, ">", "base", "base"),
    "base_few_shot": Checkpoint("Base, after worked examples", GREY, "*", "base", "base"),
    "base_forced": Checkpoint(
        "Base, made to go on", GREY, "d", "base", "base", switch="base_forced",
    ),
    "base_rft": Checkpoint(  # the baseline at RL's number of samples
        "Base, fine-tuned on its right samples", SKY, "h", "base", switch="base_rft",
    ),
    "base_rft_best": Checkpoint(
        "Base, fine-tuned, best prompt", SKY, "H", "base", "base_rft", switch="base_rft",
    ),
    "r1_zero": Checkpoint(
        "R1-Zero", BLUE, "o", "base", benchmarks=(77.9, 95.9, 24.7, 30.3, 46.6),
        paper="RL alone: AIME 2024 15.6 (at step 200) to 71.0 %, later 77.9 %; mixes languages "
        "(v1, 2.2.4; v2, 2.3)",
    ),
    "dev1": Checkpoint(
        "Dev1", ORANGE, "v", "base", benchmarks=(59.0, 94.2, 50.1, 17.8, 71.7), chat=True,
        paper="SFT on thousands of readable answers: follows instructions better, reasons worse "
        "than R1-Zero (v2, 4)",
    ),
    "dev2": Checkpoint(
        "Dev2", SKY, "D", "dev1", benchmarks=(74.0, 95.9, 55.8, 28.2, 72.0), chat=True,
        paper="RL with a language reward: regains reasoning, preference moves little (v2, 4)",
    ),
    "dev3": Checkpoint(
        "Dev3", PURPLE, "P", "base", benchmarks=(78.1, 95.4, 62.1, 24.9, 78.1), chat=True,
        paper="SFT on 800,000 examples, a quarter general: gains outside mathematics (v2, 4)",
    ),
    "r1": Checkpoint(
        "R1", GREEN, "^", "dev3", benchmarks=(79.8, 97.3, 87.6, 30.1, 83.3), chat=True,
        paper="RL for all scenarios: preference gains most (v2, 4)",
    ),
    "r1_zero_permuted": Checkpoint(
        "R1-Zero, rewards permuted", INK, "x", "base", switch="permuted_rewards", plain="r1_zero",
        title="With the rewards of each group permuted within it", curves=_LEARNED,
        paper="The paper has no such control. Groups with equal rewards give no gradient, as in "
        "R1-Zero, and in the others the reward does not depend on the answer: whatever changes "
        "here is not an effect of the reward.",
    ),
    "r1_zero_format_only": Checkpoint(
        "R1-Zero, format reward alone", INK, "+", "base", switch="format_only", plain="r1_zero",
        title="With the reward for the format alone", curves=_LEARNED,
        paper="The paper has no such control. Accuracy is measured but not rewarded: what rises "
        "here comes with the format.",
    ),
    "r1_zero_equal_weights": Checkpoint(
        "R1-Zero, the paper’s sum of rewards", INK, "1", "base", switch="equal_weights",
        plain="r1_zero", title="With the paper's sum of rewards", curves=(*_LEARNED, "length"),
        paper="The paper rewards accuracy and format independently, with equal weights (v2, "
        "Eq. 4). Here R1-Zero is rewarded for the format of right answers only.",
    ),
    "dev2_no_language_reward": Checkpoint(
        "Dev2 without language reward", INK, "X", "dev1", switch="no_language_reward",
        plain="dev2", chat=True, title="Without the language-consistency reward",
        curves=("language_share", "pass_at_1"),
        paper="The paper (v2 B.6, Fig. 7, a distilled 7B model): without the reward language "
        "consistency falls over the steps, with it it stays; mathematics is comparable, code "
        "slightly worse with it.",
    ),
    "dev3_reasoning_only": Checkpoint(
        "Dev3 on reasoning data only", INK, "<", "base", switch="reasoning_only", plain="dev3",
        chat=True, title="Without the general data of the second SFT",
        paper="The paper has no such ablation; from Dev2 to Dev3, where general data comes in, it "
        "has IF-Eval 72.0 → 78.1 and AIME 2024 74.0 → 78.1 (v2 Table 3).",
    ),
    "dev3_unfiltered": Checkpoint(
        "Dev3 on unfiltered samples", INK, "2", "base", switch="unfiltered_sft", plain="dev3",
        chat=True, title="On as many of Dev2’s samples, drawn before any filter",
        paper="The paper filters its samples (v1, 2.3.3) and has no such ablation. It finds human "
        "data worse than the teacher's (v2, F) and gives no figures.",
    ),
    "r1_preference_throughout": Checkpoint(
        "R1, preference from step 1", INK, ">", "dev3", switch="preference_throughout",
        plain="r1", chat=True, title="With the preference reward from the first step",
        curves=("preference", "pass_at_1"),
        paper="The paper (v2 B.5, Fig. 6): with more steps of a preference reward its value rises "
        "while Codeforces performance falls, so it came in only for the last 400 of 1,700 steps.",
    ),
    # A base of half the width, and R1-Zero from it.
    "small_base": Checkpoint(
        "Small base", GREY, "8", switch="small_base",
        paper="a dense model of 7B parameters and a mixture of experts of 16B (v2, G.1)",
    ),
    "small_base_best": Checkpoint(
        "Small base, best prompt", GREY, "H", "small_base", "small_base", switch="small_base",
    ),
    "small_zero": Checkpoint(
        "R1-Zero from the small base", SKY, "3", "small_base", switch="small_base",
        paper="RL fails to raise AIME, and longer answers become repetition (v2, G.1)",
    ),
    # Another checkpoint's weights, with another prompt or other decoding.
    "r1_zero_greedy": Checkpoint(
        "R1-Zero, greedy", BLUE, "4", "r1_zero", "r1_zero", switch="greedy",
    ),
    "r1_greedy": Checkpoint("R1, greedy", GREEN, "4", "r1", "r1", chat=True, switch="greedy"),
    "r1_zero_few_shot": Checkpoint(
        "R1-Zero, after worked examples", BLUE, "*", "r1_zero", "r1_zero", switch="few_shot",
    ),
    "r1_few_shot": Checkpoint(
        "R1, after worked examples", GREEN, "*", "r1", "r1", chat=True, switch="few_shot",
    ),
    "qwen_rl_plateau": _plateau("qwen", "o"),
    "llama_rl_plateau": _plateau("llama", "s"),
    **_student("qwen", BLUE, "o"),
    **_student("llama", VERMILION, "s"),
}  # fmt: skip
"""Every checkpoint by name, in the order of tables."""
ABLATIONS = {name: each for name, each in CHECKPOINTS.items() if each.plain}
EVALUATIONS = {f"evaluate_{name}": name for name in CHECKPOINTS}
"""The checkpoint that a stage evaluates, by the stage's name."""
BASES = {name: each for name, each in CHECKPOINTS.items() if not each.parent}
BASE_OF = {each.model: name for name, each in BASES.items() if not each.switch}
"""The untrained checkpoint of each model."""


def of_student(student: str) -> dict[str, str]:
    """The checkpoints of a student, by key of ARMS."""
    found = {e.arm: name for name, e in CHECKPOINTS.items() if e.student == student and e.arm}
    return {arm: found[arm] for arm in ARMS}


def arms_of(inputs: Iterable[str]) -> dict[str, str]:
    """`of_student` of the student that checkpoints among a stage's inputs belong to."""
    found = (CHECKPOINTS[name].student for name in inputs if name in CHECKPOINTS)
    return of_student(next(filter(None, found)))


STUDENT_PAIRS = {
    (of_student(student)[before], of_student(student)[after]): why
    for student in STUDENTS
    for before, after, why in (
        ("base", "distilled", "the effect of distillation on a student"),
        ("rl", "distilled", "distillation against RL alone, each at its full training"),
        ("rl_equal_flops", "distilled", "distillation against RL up to the same FLOPs"),
        ("distilled", "distilled_rl", "what RL adds to a distilled student"),
    )
}
"""Compared pairs of the students' ARMS."""
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
    ("base_rft_best", "r1_zero"): "the same against the best prompt of the fine-tuned base",
    ("base", CONTROL): "the effect of RL without a reward signal",
    ("base_best", CONTROL): "the same against the best prompt of the base",
    ("base", "r1_zero_format_only"): "the effect of RL with the format reward alone",
    ("base_best", "r1_zero_format_only"): "the same against the best prompt of the base",
    ("base_best", "r1_zero_equal_weights"): "what RL by the paper's reward adds to the best prompt",
    ("dev1", "dev2_no_language_reward"): "the effect of reasoning RL without the language reward",
    **{
        (ablation.plain, name): f"the effect of training {within_sentence(ablation.title)}"
        for name, ablation in ABLATIONS.items()
    },
    ("small_base", "small_zero"): "what RL alone does to a smaller base",
    ("small_base_best", "small_zero"): "what RL adds to the best prompt of the smaller base",
    ("r1_zero", "r1_zero_greedy"): "greedy decoding of R1-Zero against sampling",
    ("r1", "r1_greedy"): "greedy decoding of R1 against sampling",
    ("r1_zero", "r1_zero_few_shot"): "the effect of worked examples in R1-Zero's prompt",
    ("r1", "r1_few_shot"): "the effect of worked examples in R1's prompt",
    **STUDENT_PAIRS,
    **{
        (name, of_student(ablation.student)["distilled"]): "distillation against RL to a plateau"
        for name, ablation in ABLATIONS.items()
        if ablation.student
    },
}
"""The paired differences (before, after), and the question each answers."""

T = TypeVar("T")


def evaluated(results: Mapping[str, T]) -> dict[str, T]:
    """The results of evaluation stages among these, by the checkpoint or arm of the lab."""
    every = EVALUATIONS | {lab.evaluation(arm): stage for stage, arm in lab.trained().items()}
    return {every[name]: result for name, result in results.items() if name in every}


def about(name: str) -> Checkpoint:
    """The checkpoint of a name, or that of a stage evaluate_X; an unknown one is no student.

    An arm of the lab is asked as R1-Zero is.
    """
    arms = {lab.stage(arm): one.method for arm, one in lab.arms().items()}
    if name in arms:
        return replace(CHECKPOINTS["r1_zero"], label=arms[name])
    unknown = Checkpoint(name.replace("_", " ").capitalize(), GREY, ".", chat=True)
    return CHECKPOINTS.get(EVALUATIONS.get(name, name), unknown)


def label_of(name: str) -> str:
    """A checkpoint's label in figures and tables."""
    return about(name).label


def form(config: Config, name: str) -> str:
    """The template used to train and prompt a checkpoint."""
    # Not `config.models`: a stage sees only the settings in its key.
    return templates.form(attrgetter(about(name).model)(config), about(name).chat)


def ways(config: Config, world: World) -> dict[str, Form]:
    """Every prompting method for the untrained policy; see `prompting.ways`."""
    chat = "" if config.model.made_here or config.model.chat == "mini" else config.model.chat
    return prompting.ways(world, form(config, "base"), chat)


def names(evaluated: Iterable[str]) -> list[str]:
    """Checkpoints in the order of the pipeline, unknown ones last."""
    order = [*CHECKPOINTS]
    return sorted(evaluated, key=lambda name: order.index(name) if name in order else len(order))


def main(found: Mapping[str, T]) -> dict[str, T]:
    """The headline's checkpoints among these, in order."""
    return {name: found[name] for name in MAIN if name in found}


def pairs(evaluated: Container[str]) -> list[tuple[str, str]]:
    """The pairs of PAIRS with both sides evaluated."""
    return [(a, b) for a, b in PAIRS if a in evaluated and b in evaluated]


def key(before: str, after: str) -> str:
    """Key of a difference in differences.json."""
    return f"{after} - {before}"
