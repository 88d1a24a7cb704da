"""Stages that evaluate the base with other prompts: the baselines for the gain of RL.

base_search measures every prompt at every temperature on the validation problems, by family;
evaluate_base_best evaluates each family of the test problems with the best of them. The fine-tuned
base (base_rft) and the smaller base get the same search. The other stages use fixed prompts, also
R1-Zero and R1 after the base's worked examples.
"""

import json
from dataclasses import replace
from functools import partial
from itertools import chain, islice, product
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config
from r1repro.evaluation import checkpoints
from r1repro.evaluation.rows import row
from r1repro.generation.problem_samples import ask, samples_of
from r1repro.generation.rollouts import Sampling
from r1repro.rewards import soundness
from r1repro.rewards.correctness import judge
from r1repro.stages import samples
from r1repro.stages.evaluate import Part, measure, parts, sampling, some, write
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import prompting, templates, worlds
from r1repro.tasks.problem import Completion
from r1repro.tasks.templates import Asked, Form

TEMPERATURES = (0.0, 0.2, 0.6, 1.0)
"""Temperatures of the search; 0 is greedy."""
SEARCH = "search.parquet"
FORCED_ROUNDS = 24
"""Maximum number of times that an answer is continued; few have room for more."""


def search(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes search.parquet (a row per prompt, temperature and family) and best.json, by family."""
    settings = config.evaluation
    problems = some(worlds.of(config.task).validation, settings.problems)
    (policy,) = inputs.values()
    place = policy.folder / "model"
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    tokenizer = load_tokenizer(place)
    tried = list(product(_ways(config).items(), TEMPERATURES))
    tables = []
    for done, ((way, form), temperature) in enumerate(tried, start=1):
        batches = ask(
            model, tokenizer, problems,
            Sampling(settings.max_completion_tokens, temperature, settings.top_p), form=form,
            samples=1 if temperature == 0 else settings.search_samples,
            rollout_batch=settings.rollout_batch, seed=config.base_seed,
            kept=samples_of(folder, str(done)),
        )  # fmt: skip
        drawn = list(chain.from_iterable(batches))
        right = judge([p for p, _, _ in drawn], [said.text for _, _, said in drawn])
        table = pd.DataFrame({"family": [p.task for p, _, _ in drawn], "right": right})
        found = table.groupby("family")["right"].agg(**{"pass@1": "mean", "answers": "size"})
        tables.append(found.reset_index().assign(way=way, temperature=temperature))
        progress.update(done, len(tried), **{"pass@1": float(table["right"].mean())})
    found = pd.concat(tables)[["way", "temperature", "family", "pass@1", "answers"]]
    found.to_parquet(folder / SEARCH, index=False)
    (folder / prompting.BEST).write_text(json.dumps(chosen(found), indent=1), encoding="utf-8")


def chosen(search: pd.DataFrame) -> dict[str, dict[str, float | str]]:
    """Each family's best prompt and temperature; ties go to the first tried."""
    best = search.sort_values("pass@1", ascending=False, kind="stable").groupby("family").first()
    kept = best[["way", "temperature", "pass@1"]].rename(columns={"pass@1": "validation"})
    found: dict[str, dict[str, float | str]] = kept.to_dict("index")
    return found


def best(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Evaluate each family with its best prompt; inputs: the policy and its search."""
    policy, searched = inputs.values()
    found = prompting.read_best(searched.folder)
    forms = _ways(config)
    reasoning, general = parts(config, forms["plain"], forms["plain"])
    asked = [
        Part(
            [problem for problem in reasoning.problems if problem.task == family],
            forms[str(way["way"])],
            reasoning.samples,
            replace(sampling(config), temperature=float(way["temperature"])),
        )
        for family, way in found.items()
    ]
    write(config, policy.folder / "model", [*asked, general], folder, progress)


def one_way(way: str, config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    form, policy = _ways(config)[way], next(iter(inputs.values()))
    write(config, policy.folder / "model", parts(config, form, form), folder, progress)


plain = partial(one_way, "plain")
"""Evaluate with the question alone."""
begun = partial(one_way, "begun")
"""Evaluate with the template and an opened think tag."""


def few_shot(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Evaluate with the number of worked examples that was best on validation over all families."""
    one_way(_best_few(config, inputs), config, inputs, folder, progress)


def trained_few_shot(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Evaluate R1-Zero or R1 in its own form, after `few_shot`'s examples on reasoning problems."""
    name, trained = next(iter(inputs.items()))
    zero_shot = templates.asked(checkpoints.form(config, name))
    form = prompting.few_shot(worlds.of(config.task), zero_shot)[_best_few(config, inputs)]
    write(config, trained.folder / "model", parts(config, form, zero_shot), folder, progress)


def _best_few(config: Config, inputs: Inputs) -> str:
    tried = pd.read_parquet(inputs["base_search"].folder / SEARCH)
    tried = tried[tried["way"].str.startswith("few_")]
    if tried.empty:
        return "plain"  # only the mini world has worked examples
    apart = (tried["temperature"] - config.evaluation.temperature).abs()
    return str(tried[apart == apart.min()].groupby("way")["pass@1"].mean().idxmax())


def forced(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Evaluate the base when it is forced to continue whenever it gives up.

    The prompt opens the first step; an answer given without a solution is cut off and the work
    continued from its last line, up to the cap. This measures what persistence alone would give.
    General items get the template with an opened think tag.
    """
    place, forms = inputs["base"].folder / "model", _ways(config)
    reasoning, general = parts(config, forms["step"], forms["begun"])
    forced = _persisting(config, place, reasoning, progress)
    others = measure(config, place, [general], Progress(None), folder)
    rows = pd.concat([forced, others], ignore_index=True)
    rows.to_parquet(folder / "evaluation.parquet")


def _persisting(config: Config, place: Path, part: Part, progress: Progress) -> pd.DataFrame:
    settings = config.evaluation
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    tokenizer = load_tokenizer(place)
    cap = settings.max_completion_tokens
    # One entry per problem and sample, each with a unique id.
    asked = {
        f"{problem.id}#{problem.language}#{sample}": (problem, sample)
        for problem in part.problems
        for sample in range(part.samples)
    }
    so_far = {name: part.form(problem) for name, (problem, _) in asked.items()}
    done: dict[str, Completion] = {}
    for round_ in range(FORCED_ROUNDS):
        going = [replace(asked[name][0], id=name) for name in asked if name not in done]
        if not going:
            break
        batches = ask(
            model, tokenizer, going, part.sampling, form=lambda problem: so_far[problem.id],
            samples=1, rollout_batch=settings.rollout_batch, seed=config.base_seed + round_,
        )  # fmt: skip
        for problem, _, said in chain.from_iterable(batches):
            original = asked[problem.id][0]
            ids = tokenizer.encode(said.text, add_special_tokens=False)
            rest = soundness.before_giving_up(original, said.text) if len(ids) < cap else None
            if rest is not None and round_ + 1 < FORCED_ROUNDS:
                first = part.form(original)
                # If the opening was cut off with the guess, start from the opening again.
                rest = rest if rest.startswith(first.begun) else first.begun
                so_far[problem.id] = Asked(first.prompt.removesuffix(first.begun) + rest, rest)
                continue
            whole = len(ids) <= cap
            text = said.text if whole else tokenizer.decode(ids[:cap])
            said = Completion(original.id, text, tuple(ids[:cap]), said.finished and whole)
            done[problem.id] = said
        progress.update(len(done), len(asked))
    return pd.DataFrame(
        [row(problem, sample, done[name]) for name, (problem, sample) in asked.items()]
    )


def rft_data(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Data of rejection-sampling fine-tuning (RFT, DeepSeekMath 5.2.1) of the base.

    Samples as many completions as R1-Zero, on the same prompts. Writes dataset.parquet with each
    distinct right answer to a question once.
    """
    settings = samples.as_many(config.stage.r1_zero, config.stage.base_rft.keep_all)
    problems = list(islice(worlds.of(config.task).train(config.seed), settings.questions))
    place, template = inputs["base"].folder / "model", checkpoints.form(config, "base")
    answers, tokens = samples.draw(config, place, template, problems, settings, progress, folder)
    rows = samples.right(answers, settings.keep_all)
    samples.require(rows, "train the base for longer")
    pd.DataFrame(rows).assign(tokens_sampled=tokens).to_parquet(folder / "dataset.parquet")


def _ways(config: Config) -> dict[str, Form]:
    return checkpoints.ways(config, worlds.of(config.task))
