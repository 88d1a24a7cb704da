"""All settings, with the type and the range of each.

Their values are in conf/; one with a default here is an option that no scale sets.
"""

from dataclasses import dataclass
from typing import Annotated

from r1repro.config.engine import PLAIN_ENGINE, EngineConfig, LaunchConfig
from r1repro.config.objective import LABS, PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.config.ranges import (
    Count,
    Fraction,
    OneOf,
    Rate,
    Seed,
    Temperature,
    Weight,
    Within,
)

CAPS = ("max_completion_tokens", "raised_cap")
"""The settings that bound a stage's completions, in tokens."""
LONGEST_PROMPT = 64
"""Positions, in tokens, reserved for a prompt with its template."""
GGUF = ".gguf"
"""Suffix of a model in a single file, which is converted to a folder before it is loaded."""


@dataclass(frozen=True, kw_only=True)
class OriginConfig:
    """Where a model comes from and how it is prompted; without `hub` and `path` it is trained here.

    hub: a model on the Hugging Face hub: NAME@COMMIT, or NAME for its latest commit.
    path: a folder in HF format or a GGUF file; takes precedence over `hub`.
    chat: prompt template from the cold start on, one of tasks/prompts/; earlier stages use the
        paper's template for base models.
    """

    name: str
    hub: str | None = None
    path: str | None = None
    chat: str = "mini"

    @property
    def made_here(self) -> bool:
        """Whether the base is trained from random weights."""
        return self.path is None and self.hub is None


@dataclass(frozen=True, kw_only=True)
class ModelConfig(OriginConfig):
    """A trained model and its shape, from which `r1repro plan` estimates without the weights."""

    architecture: Annotated[str, OneOf(("qwen2", "qwen3", "llama"))]
    hidden_size: Count
    layers: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    intermediate_size: Count
    max_position: Count
    vocabulary: Count
    tied: bool = True


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Which problems, and how many of each split.

    train, test: data sets of r1repro/tasks/datasets.py, those of `test` joined by "+"; null is the
        mini world. Without `test`, some of the training problems are held out.
    path, test_path: your own files instead. prompt, answer, level: their fields. language: the
        language of their questions.
    max_level: hardest level of the mini world (6 to 8 are longer chains of larger numbers, and
        countdown from four numbers); for word problems the most steps, up to 3.
    """

    name: str
    world_seed: Seed
    validation_problems: Count
    test_problems: Count
    train: str | None = None
    test: str | None = None
    path: str | None = None
    test_path: str | None = None
    prompt: str = "question"
    answer: str = "answer"
    level: str | None = None
    language: Annotated[str, OneOf(("en", "zh"))] = "en"
    max_level: Annotated[int, Within(1, 8, "a level from 1 to 8")]

    @property
    def is_mini(self) -> bool:
        """Whether the problems are those of the mini world."""
        return self.train is None and self.path is None


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """Pretraining for `tokens` tokens with Muon (matrices) and AdamW (all other parameters)."""

    tokens: Count
    batch_tokens: Count
    lr_matrices: Rate
    lr_rest: Rate
    warmup_fraction: Fraction
    weight_decay: Fraction
    log_every: Count
    save_every: Count


@dataclass(frozen=True, kw_only=True)
class RLConfig:
    """GRPO with the KL term in the loss: `questions` x `generations` completions per step.

    The reward is the weighted sum of the rewards that have a weight here. `objective` selects
    variants; beta, epsilon and steps_per_generation are their coefficients.
    format_of_right: reward accuracy only if the answer is in its tag, and format only for correct
        answers; false rewards the two independently, as in the paper.
    overlong_weight: weight of DAPO's penalty for completions close to the cap; R1 has none.
    rollout_batch: completions sampled at a time, which bounds the KV cache.
    micro_batch_tokens: tokens per forward and backward pass.
    snapshot_every: steps between policies kept for the held-out curve; 0 keeps none.
    raised_at: from the first rollout after so many updates the cap is `raised_cap` tokens (R1 v2,
        2.1); null never raises it.
    """

    steps: Count
    questions: Count
    generations: Annotated[
        int, Within(2, 2**40, "at least 2, since an advantage compares the answers of one group")
    ]
    max_completion_tokens: Count
    lr_matrices: Rate
    lr_rest: Rate
    beta: Annotated[float, Within(0, 100, "zero or more")]
    epsilon: Annotated[float, Within(0, 1000, "zero or more")]
    temperature: Temperature
    steps_per_generation: Count
    reference_sync_steps: Count
    format_of_right: bool
    accuracy_weight: Weight
    format_weight: Weight
    language_weight: Weight
    preference_weight: Weight
    rollout_batch: Count
    micro_batch_tokens: Count
    save_every: Count
    sample_every: Count
    snapshot_every: Annotated[int, Within(0, 2**40, "0, which keeps none, or more")] = 0
    raised_at: Count | None = None
    raised_cap: Count | None = None
    overlong_weight: Weight = 0.0
    objective: ObjectiveConfig = PLAIN_OBJECTIVE

    def cap(self, step: int) -> int:
        """The cap, in tokens, on the completions of update `step` (counted from 0)."""
        sampled = step - step % self.updates_per_generation
        if self.raised_at is None or self.raised_cap is None or sampled < self.raised_at:
            return self.max_completion_tokens
        return self.raised_cap

    @property
    def last_cap(self) -> int:
        """The cap of the last update, which is the largest."""
        return self.cap(self.steps - 1)

    @property
    def updates_per_generation(self) -> int:
        """Updates per generation of completions: its parts times the passes over them."""
        return self.steps_per_generation * self.objective.passes

    @property
    def batches(self) -> int:
        """Batches of `questions` that are sampled; every pass learns from each."""
        return self.steps // self.objective.passes

    def rollout_parts(self, rows: int) -> int:
        """Equal parts, of whole groups, in which a process samples its `rows` completions."""
        groups = max(1, rows // self.generations)
        fitting = (n for n in range(1, groups) if groups % n == 0)
        return next((n for n in fitting if rows // n <= self.rollout_batch), groups)


@dataclass(frozen=True, kw_only=True)
class AllScenarioConfig(RLConfig):
    """RL on reasoning prompts, with general prompts mixed in towards the end.

    general_from: share of the steps before the first general prompt (R1: 1,300 of 1,700).
    general_share: share of general prompts in each later step.
    """

    general_from: Fraction
    general_share: Fraction


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """Supervised fine-tuning on completions, with a cosine schedule to a tenth of the rate.

    rows_at_once: most rows per forward pass; gradients are accumulated over a batch.
    """

    epochs: Count
    batch_size: Count
    rows_at_once: Count
    lr_matrices: Rate
    lr_rest: Rate
    log_every: Count
    save_every: Count


@dataclass(frozen=True, kw_only=True)
class RFTConfig(SFTConfig):
    """Rejection-sampling fine-tuning of the base on as many samples as R1-Zero draws.

    keep_all: train on all samples; for scale=smoke, where no answer is correct.
    """

    keep_all: bool


@dataclass(frozen=True, kw_only=True)
class SamplesConfig:
    """A data set of `questions` x `samples` samples of a policy, at most `kept` per question.

    keep_all: keep all samples; for scale=smoke, where no answer is correct.
    """

    questions: Count
    samples: Count
    kept: Count
    temperature: Temperature
    max_completion_tokens: Count
    rollout_batch: Count
    keep_all: bool


@dataclass(frozen=True, kw_only=True)
class RejectionConfig(SamplesConfig):
    """Rejection sampling; `general_share` of the data set is general (R1: 200k of 800k)."""

    # With 1 no reasoning problem would be left: the largest float below it.
    general_share: Annotated[float, Within(0, 1 - 2**-53, "from 0 to below 1")]


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig(SFTConfig):
    """The preference reward model: pairs from `samples` answers to each general prompt."""

    questions: Count
    samples: Count
    temperature: Temperature
    max_completion_tokens: Count
    rollout_batch: Count


def rows_together(settings: SFTConfig, processes: int = 1) -> int:
    """Rows per forward pass: the largest equal part of a process's batch up to rows_at_once."""
    share = settings.batch_size // processes
    most = min(share, settings.rows_at_once)
    return next(rows for rows in range(most, 0, -1) if share % rows == 0)


@dataclass(frozen=True)
class StagesConfig:
    """Settings of each training stage, by its name."""

    base: BaseConfig
    r1_zero: RLConfig
    base_rft: RFTConfig
    cold_start_data: SamplesConfig
    dev1: SFTConfig
    dev2: RLConfig
    rejection_sampling: RejectionConfig
    dev3: SFTConfig
    reward_model: RewardModelConfig
    r1: AllScenarioConfig
    qwen_base: BaseConfig
    llama_base: BaseConfig
    qwen_distilled: SFTConfig
    llama_distilled: SFTConfig
    qwen_rl: RLConfig
    llama_rl: RLConfig
    qwen_distilled_rl: RLConfig
    llama_distilled_rl: RLConfig


@dataclass(frozen=True, kw_only=True)
class StudentsConfig:
    """The two students of distillation, each with its own base.

    traces: a stronger teacher's answers instead of Dev2's: a file, or a data set on the hub.
        traces_prompt, traces_completion: its fields. traces_rows: most rows. traces_tokens: most
        tokens of a row.
    teacher: a stronger teacher, a folder or a model on the hub, that answers the questions of
        rejection sampling; the same filters apply. teacher_chat: its prompt template, one of
        tasks/prompts/. teacher_tokens: most tokens of an answer; null for Dev2's cap.
    """

    name: str
    traces: str | None = None
    traces_prompt: str = "problem"
    traces_completion: str = "generations"
    traces_rows: Count = 20_000
    traces_tokens: Count = 8_192
    teacher: str | None = None
    teacher_chat: str = "qwen"
    teacher_tokens: Count | None = None
    qwen: ModelConfig
    llama: ModelConfig


@dataclass(frozen=True, kw_only=True)
class GeneralConfig:
    """General data of your own, for pretrained models; null takes the mini world's general items.

    sft: a file of questions with answers for fine-tuning; RL's general prompts are its questions.
    pairs: a file of questions with a better and a worse answer, for the reward model.
    prompt, completion, chosen, rejected: their fields, text or chats.
    """

    sft: str | None = None
    pairs: str | None = None
    prompt: str = "prompt"
    completion: str = "completion"
    chosen: str = "chosen"
    rejected: str = "rejected"


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """Which ablations run beside the plain sequence."""

    name: str
    base_rft: bool = False
    base_forced: bool = False
    permuted_rewards: bool = False
    format_only: bool = False
    equal_weights: bool = False
    no_language_reward: bool = False
    reasoning_only: bool = False
    preference_throughout: bool = False
    rl_plateau: bool = False
    greedy: bool = False
    few_shot: bool = False
    unfiltered_sft: bool = False
    small_base: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a checkpoint is sampled on the held-out problems; `split` "validation" is for trials.

    samples: per reasoning problem, for the base and R1-Zero; samples_between: for all other
        checkpoints. general_samples: per general item. search_samples: per validation problem in
        the search for the base's best prompt.
    curve_samples: per validation problem and policy kept by R1-Zero's training (stage
        r1_zero_curve); null omits the held-out curve.
    problems, general_items: most that are asked, spread evenly over the split; null asks all.
    """

    split: Annotated[str, OneOf(("test", "validation"))] = "test"
    samples: Count
    samples_between: Count
    general_samples: Count
    search_samples: Count
    curve_samples: Count | None = None
    problems: Count | None = None
    general_items: Count | None = None
    temperature: Temperature
    top_p: Annotated[float, Within(1e-6, 1, "above 0 and at most 1")]
    max_completion_tokens: Count
    rollout_batch: Count


@dataclass(frozen=True)
class Config:
    """All settings of a run. lab: run arms of the lab (conf/lab.yaml) instead of the sequence."""

    seed: Seed
    base_seed: Seed
    runs: str
    scale: str
    model: ModelConfig
    task: TaskConfig
    stage: StagesConfig
    student: StudentsConfig
    ablation: AblationConfig
    evaluation: EvaluationConfig
    engine: EngineConfig = PLAIN_ENGINE
    launch: LaunchConfig = LaunchConfig()
    general: GeneralConfig = GeneralConfig()
    lab: Annotated[str, OneOf(("none", *LABS, "all"))] = "none"
