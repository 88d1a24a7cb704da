"""Settings of a run beside those of the paper."""

from collections.abc import Mapping
from pathlib import Path

from r1repro.config import Config, RLConfig, SamplesConfig, SFTConfig, StudentsConfig
from r1repro.reports.tables import Row, Table


def r1_zero(config: Config) -> Table:
    """Settings of R1-Zero here and in the paper (v2 §2.1 unless noted)."""
    model, grpo, held = config.model, config.stage.r1_zero, config.evaluation
    base = config.stage.base
    batch = grpo.questions * grpo.generations
    return _beside(
        (
            "Base model",
            (f"from {Path(model.path).name}" if model.path else f"{model.hub}")
            if not model.made_here
            else f"{model.architecture}, {model.layers} layers of width {model.hidden_size}, "
            f"random weights, {base.tokens:,} tokens",
            "DeepSeek-V3-Base, 671B parameters, 37B active",
        ),
        ("SFT before RL", "none", "none"),
        (
            "Reward",
            f"accuracy + format, weights {grpo.accuracy_weight:g} and {grpo.format_weight:g}, "
            "by rule" + ("; format of right answers alone" if grpo.format_of_right else ""),
            "accuracy + format, equal weights, by rule",
        ),
        ("RL steps", f"{grpo.steps:,}", "10,400"),
        (
            "Batch",
            f"{grpo.questions} questions × {grpo.generations} = {batch:,} completions",
            "32 questions × 16 = 512 completions",
        ),
        (
            "Learning rate",
            f"{grpo.lr_matrices:g} (Muon, matrices), {grpo.lr_rest:g} (AdamW, rest)",
            "3e-6",
        ),
        ("KL coefficient β", f"{grpo.beta:g}, in the {grpo.objective.kl_in}", "0.001, in the loss"),
        ("Clip ε", f"{grpo.epsilon:g}", "not stated (10 in the first RL stage of R1, v2 §3.2.1)"),
        (
            "Reference replaced",
            f"every {grpo.reference_sync_steps} steps",
            "every 400 steps",
        ),
        ("Updates a rollout", f"{grpo.updates_per_generation}", "16"),
        ("Rollout temperature", f"{grpo.temperature:g}", "1.0"),
        (
            "Longest completion",
            f"{grpo.max_completion_tokens} tokens",
            "32,768 tokens, 65,536 from step 8,200",
        ),
        (
            "Evaluation",
            f"T {held.temperature:g}, top-p {held.top_p:g}, {held.samples} samples for base "
            f"and R1-Zero, {held.samples_between} for the others, "
            f"at most {held.max_completion_tokens} tokens, on the {held.split} problems",
            "T 0.6, top-p 0.95, 64 samples on AIME (v2 §D.1; v1 §3 says 4 to 64)",
        ),
    )


def later(config: Config, sizes: Mapping[str, int]) -> Table:
    """The stages after R1-Zero in short, beside the paper's (R1 v2, sections as named).

    sizes: the examples in each data set, by stage; those not known are left out.
    """
    stage = config.stage
    cold, rejection, judge = stage.cold_start_data, stage.rejection_sampling, stage.reward_model
    every, share = stage.r1, rejection.general_share

    def examples(name: str) -> str:
        return f"; {sizes[name]:,} examples" if name in sizes else ""

    return _beside(
        (
            "Cold-start data",
            f"{cold.questions:,} questions × {cold.samples} samples of R1-Zero at "
            f"T {cold.temperature:g}, {_kept(cold, 'right and readable ones')} rewritten by rule"
            f"{examples('cold_start_data')}",
            "thousands of prompts, samples of R1-Zero at T 1.0, right and readable ones rewritten "
            "by DeepSeek-V3 and people (B.3.2)",
        ),
        ("Dev1: SFT of the base", _sft(stage.dev1), f"{_PAPER_SFT} (B.4.2)"),
        (
            "Dev2: reasoning RL",
            f"{_rl(stage.dev2)}, language reward with weight {stage.dev2.language_weight:g}",
            "batches of 32 × 16, lr 3e-6, T 1.0, β 0.001, clip ε 10, language reward added; steps "
            "not stated (§3.2.1)",
        ),
        (
            "Rejection sampling",
            f"{rejection.questions:,} questions × {rejection.samples} samples of Dev2, "
            f"{_kept(rejection, 'right, unmixed and readable ones')}, and {share:.0%} general data"
            f"{examples('rejection_sampling')}",
            "samples of the first RL stage, about 600,000 kept, and about 200,000 of other tasks "
            "(B.3.3; Table 5: 804,745)",
        ),
        ("Dev3: SFT of the base", _sft(stage.dev3), f"{_PAPER_SFT} (B.4.2)"),
        (
            "Reward model",
            f"at most one pair of answers for each of {judge.questions:,} general prompts, graded "
            f"by rule; {judge.epochs} epochs in batches of {judge.batch_size}",
            "66,000 pairs judged by DeepSeek-V3 for helpfulness, 106,000 prompts labelled for "
            "safety; batch 256, lr 6e-6, 1 epoch (§3.1)",
        ),
        (
            "R1: RL for all scenarios",
            f"{_rl(every)}; general prompts ({every.general_share:.0%} of a step) and preference "
            f"reward in the last {1 - every.general_from:.0%} of the steps",
            "1,700 steps at T 0.7; general data and preference rewards in the last 400 (§3.2.2)",
        ),
        (
            "Students, distilled",
            f"on {_lesson(config.student)}; Qwen: {_sft(stage.qwen_distilled)}; "
            f"Llama: {_sft(stage.llama_distilled)}",
            "six models of Qwen2.5 and Llama 3, SFT alone on 800,000 samples, 2 to 3 epochs, "
            "batch 64, lr 2e-5 to 1e-4 (B.4.3)",
        ),
        (
            "Students by RL",
            f"alone: Qwen {_rl(stage.qwen_rl)}; Llama {_rl(stage.llama_rl)}; after distillation: "
            f"Qwen {_rl(stage.qwen_distilled_rl)}; Llama {_rl(stage.llama_distilled_rl)}",
            "alone: Qwen2.5-32B, more than 10,000 steps, lr 2e-6 (B.4.1); after distillation: "
            "further gains, no figures (v1 §3.2)",
        ),
    )


def _beside(*rows: tuple[str, str, str]) -> Table:
    made = tuple(Row(name, (ours, theirs)) for name, ours, theirs in rows)
    return Table(("This run", "The paper"), made, "Setting")


_PAPER_SFT = "2 to 3 epochs, batch 128, lr 5e-5 → 5e-6 by cosine"


def _lesson(student: StudentsConfig) -> str:
    if student.traces is not None:
        return f"at most {student.traces_rows:,} traces of {Path(student.traces).name}"
    if student.teacher is not None:
        who = Path(student.teacher).name
        return f"{who}'s right answers to the questions of rejection sampling, and its general data"
    return "the data of Dev3"


def _sft(settings: SFTConfig) -> str:
    return (
        f"{settings.epochs} epochs in batches of {settings.batch_size}, lr "
        f"{settings.lr_matrices:g} (Muon) and {settings.lr_rest:g} (AdamW), cosine to a tenth"
    )


def _rl(settings: RLConfig) -> str:
    return (
        f"{settings.steps:,} steps of {settings.questions} × {settings.generations}, lr "
        f"{settings.lr_matrices:g}, T {settings.temperature:g}, β {settings.beta:g}, "
        f"clip ε {settings.epsilon:g}"
    )


def _kept(made: SamplesConfig, ones: str) -> str:
    return "every one, whatever it says (keep_all)" if made.keep_all else ones
