"""Settings of a run beside those of the paper: R1 v2 (arXiv 2501.12948) unless said otherwise."""

from collections.abc import Mapping
from pathlib import Path

from r1repro.config import Config, ModelConfig, RLConfig, SamplesConfig, SFTConfig, StudentsConfig
from r1repro.evaluation.checkpoints import STUDENTS, of_student
from r1repro.reports.markup import Html, Row, Table, folded, joined

Line = tuple[str, str, str]
"""The name of a setting, this run's value and the paper's."""
_UNSAID = "not stated"
_BASE = "DeepSeek-V3-Base, 671B parameters, 37B active"


def base(config: Config) -> Table:
    """The base and what it has read, section 2."""
    model, tokens, context, languages = config.model, "", "", ""
    if model.made_here:
        tokens, context = f"{config.stage.base.tokens:,}", f"{model.max_position:,}"
        languages = "English and Chinese"
    return _beside(
        ("Base model", _base(model), _BASE),
        ("Tokens seen", tokens, "14.8T"),
        ("Context", context, "32,768 in R1-Zero's RL"),
        ("Languages", languages, "mostly English and Chinese"),
    )


def r1_zero(config: Config) -> Table:
    """R1-Zero, section 2.1."""
    grpo, held = config.stage.r1_zero, config.evaluation
    reward = f"accuracy + format, weights {grpo.accuracy_weight:g} and {grpo.format_weight:g}, "
    reward += f"by rule{'; format of right answers alone' if grpo.format_of_right else ''}"
    clip = f"{_UNSAID} (10 in the first RL stage of R1, 3.2.1)"
    asked = (
        f"T {held.temperature:g}, top-p {held.top_p:g}, {held.samples} samples for base "
        f"and R1-Zero, {held.samples_between} for the others, "
        f"at most {held.max_completion_tokens} tokens, on the {held.split} problems"
    )
    return _beside(
        ("Base model", _base(config.model), _BASE),
        ("SFT before RL", "none", "none"),
        ("Reward", reward, "accuracy + format, equal weights, by rule"),
        *_rl(grpo, steps="10,400", clip=clip, cap="32,768 tokens, 65,536 from step 8,200"),
        ("Evaluation", asked, "T 0.6, top-p 0.95, 64 samples on AIME (D.1; v1, 3 says 4 to 64)"),
    )


def dev1(config: Config, sizes: Mapping[str, int]) -> Table:
    """Cold start and its SFT, B.3.2 and B.4.2."""
    made, several = config.stage.cold_start_data, "thousands of prompts, several samples each"
    return _beside(
        *_sampled(made, "R1-Zero", several, heat="1"),
        ("Written by", "R1-Zero, rules", "R1-Zero, DeepSeek-V3, people"),
        *_examples(sizes, "cold_start_data", "thousands"),
        *_sft(config.stage.dev1),
    )


def dev2(config: Config) -> Table:
    """Reasoning RL, section 3.2.1."""
    grpo = config.stage.dev2
    paid = f"{grpo.accuracy_weight:g} : {grpo.format_weight:g} : {grpo.language_weight:g}"
    return _beside(
        *_rl(grpo, steps=_UNSAID, clip="10", cap="32,768 tokens"),
        ("Accuracy : format : language", paid, f"added up, weights {_UNSAID}"),
    )


def rejection_sampling(config: Config, sizes: Mapping[str, int]) -> Table:
    """Rejection sampling, B.3.3 and Table 5."""
    made = config.stage.rejection_sampling
    share = made.general_share
    own = "your own file" if config.general.sft else "templates"
    dropped = "wrong, mixed, repeated, long paragraphs, code, unsound"
    return _beside(
        *_sampled(made, "Dev2", f"{_UNSAID}, multiple samples", heat=_UNSAID),
        ("Judged by", "rules", "rules; DeepSeek-V3 where no rule applies"),
        ("Dropped", dropped, "wrong, mixed, long paragraphs, code"),
        ("Reasoning : general", f"{1 - share:.2f} : {share:.2f}", "626,933 : 177,812"),
        ("General data from", own, "DeepSeek-V3's SFT data, and V3"),
        *_examples(sizes, "rejection_sampling"),
    )


def dev3(config: Config, sizes: Mapping[str, int]) -> Table:
    """The second SFT, B.4.2."""
    return _beside(*_examples(sizes, "rejection_sampling"), *_sft(config.stage.dev3))


def reward_model(config: Config) -> Table:
    """The reward models, section 3.1."""
    judge = config.stage.reward_model
    drawn = f"{judge.questions:,} questions, {2 * judge.samples} answers each, at most one pair"
    return _beside(
        ("Pairs judged by", "a declared rule", "DeepSeek-V3, four calls, clear cases"),
        ("Models", "one, pairs", "helpful (pairs), safe (point-wise)"),
        ("Data", drawn, "66,000 pairs; 106,000 prompts"),
        ("Starts from", "Dev3, scalar head", "R1's architecture, scalar head"),
        ("Epochs", f"{judge.epochs}", "1"),
        ("Batch", f"{judge.batch_size} pairs", "256"),
        ("Learning rate", _rates(judge.lr_matrices, judge.lr_rest), "6e-6"),
    )


def r1(config: Config) -> Table:
    """RL for all scenarios, section 3.2.2."""
    rl = config.stage.r1
    late = f"the last {1 - rl.general_from:.0%}, in {rl.general_share:.0%} of the questions"
    return _beside(
        *_rl(rl, steps="1,700", heat="0.7", clip="as Dev2", cap="as Dev2"),
        ("Steps with general prompts", late, "the last 400"),
        ("Preference reward", "sigmoid of the score, 0 to 1", "the model's score"),
        ("Its weight", f"{rl.preference_weight:g}", _UNSAID),
        ("Weight of language", f"{rl.language_weight:g}", _UNSAID),
    )


def students(config: Config, sizes: Mapping[str, int]) -> Table:
    """Distillation and the students' RL, B.4.1 and B.4.3."""
    alone, after = "RL alone", "RL after distillation"

    def each(arm: str, text: str) -> str:
        """A setting of each student; text: its format, such as "{0.epochs}"."""
        stages = {words: of_student(name)[arm] for name, words in STUDENTS.items()}
        own = {words: getattr(config.stage, stage) for words, stage in stages.items()}
        return ", ".join(f"{words} {text.format(settings)}" for words, settings in own.items())

    steps, rate = "{0.steps} × {0.questions} × {0.generations}", "{0.lr_matrices:g}"
    return _beside(
        ("Learned from", _lesson(config.student), "the data of Dev3"),
        *_examples(sizes, "rejection_sampling"),
        ("Epochs", each("distilled", "{0.epochs}"), "2 to 3"),
        ("Batch", each("distilled", "{0.batch_size}"), "64"),
        ("Learning rate", each("distilled", rate), "2e-5 to 1e-4, by size"),
        (f"{alone}: steps × completions", each("rl", steps), "more than 10,000 (32B)"),
        (f"{alone}: learning rate", each("rl", rate), "2e-6 (32B)"),
        (f"{after}: steps × completions", each("distilled_rl", steps), "no figures"),
        (f"{after}: learning rate", each("distilled_rl", rate), _UNSAID),
    )


def later(config: Config, sizes: Mapping[str, int]) -> Html:
    """The tables of the stages after R1-Zero; sizes: examples in each data set, by stage."""
    return joined(
        folded("Dev1: cold start (B.3.2, B.4.2)", dev1(config, sizes)),
        folded("Dev2: reasoning RL (3.2.1)", dev2(config)),
        folded("Rejection sampling (B.3.3)", rejection_sampling(config, sizes)),
        folded("Dev3: the second SFT (B.4.2)", dev3(config, sizes)),
        folded("Reward model (3.1)", reward_model(config)),
        folded("R1: RL for all scenarios (3.2.2)", r1(config)),
        folded("Students (B.4.1, B.4.3)", students(config, sizes)),
    )


def _beside(*rows: Line) -> Table:
    made = [Row(name, (ours, theirs)) for name, ours, theirs in rows]
    return Table(("This run", "The paper"), made, "Setting")


def _base(model: ModelConfig) -> str:
    if not model.made_here:
        return f"from {Path(model.path).name}" if model.path else f"{model.hub}"
    shape = f"{model.layers} layers of width {model.hidden_size}"
    return f"{model.architecture}, {shape}, random weights"


def _rates(matrices: float, rest: float) -> str:
    return f"{matrices:g} (Muon, matrices), {rest:g} (AdamW, rest)"


def _rl(rl: RLConfig, steps: str, clip: str, cap: str, heat: str = "1.0") -> list[Line]:
    batch = f"{rl.questions} questions × {rl.generations} = {rl.questions * rl.generations:,}"
    longest = f"{rl.max_completion_tokens:,} tokens"
    if rl.last_cap > rl.max_completion_tokens:
        longest += f", {rl.last_cap:,} from step {rl.raised_at:,}"
    never = ", so never in this stage" if rl.reference_sync_steps > rl.steps else ""
    return [
        ("RL steps", f"{rl.steps:,}", steps),
        ("Batch", f"{batch} completions", "32 questions × 16 = 512 completions"),
        ("Learning rate", _rates(rl.lr_matrices, rl.lr_rest), "3e-6"),
        ("KL coefficient β", f"{rl.beta:g}, in the {rl.objective.kl_in}", "0.001, in the loss"),
        ("Clip ε", f"{rl.epsilon:g}", clip),
        ("Reference replaced", f"every {rl.reference_sync_steps} steps{never}", "every 400 steps"),
        ("Updates a rollout", f"{rl.updates_per_generation}", "16"),
        ("Rollout temperature", f"{rl.temperature:g}", heat),
        ("Longest completion", longest, cap),
    ]


def _sft(sft: SFTConfig) -> list[Line]:
    return [
        ("Starts from", "the base", "DeepSeek-V3-Base"),
        ("Epochs", f"{sft.epochs}", "2 to 3"),
        ("Batch", f"{sft.batch_size}", "128"),
        ("Learning rate", _rates(sft.lr_matrices, sft.lr_rest), "5e-5"),
        ("Which falls", "to a tenth, cosine", "to 5e-6, cosine"),
    ]


def _sampled(made: SamplesConfig, by: str, several: str, heat: str) -> list[Line]:
    kept = "every one is kept, whatever it says (keep_all)"
    most = kept if made.keep_all else f"at most {made.kept} kept of each"
    return [
        ("Sampled", f"{made.questions:,} questions × {made.samples} of {by}, {most}", several),
        ("Sampling temperature", f"{made.temperature:g}", heat),
        ("Longest completion", f"{made.max_completion_tokens:,} tokens", _UNSAID),
    ]


def _examples(sizes: Mapping[str, int], stage: str, theirs: str = "804,745") -> list[Line]:
    return [("Examples", f"{sizes[stage]:,}", theirs)] if stage in sizes else []


def _lesson(student: StudentsConfig) -> str:
    if student.traces is not None:
        return f"at most {student.traces_rows:,} traces of {Path(student.traces).name}"
    if student.teacher is not None:
        who = Path(student.teacher).name
        return f"{who}'s right answers to the questions of rejection sampling, and its general data"
    return "the data of Dev3"
