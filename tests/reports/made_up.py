"""Made-up results of a run, in the shape in which the stages store theirs."""

import json

import numpy as np
import pandas as pd

from r1repro import artifacts
from r1repro.artifacts import StageResult
from r1repro.config import Config
from r1repro.runner.workspace import Workspace

HOSTILE = {
    "script": "<script>alert('pwned')</script><img src=x onerror=alert(1)><think>3</think>",
    "surrogate": "before \udcff after",
    "bidi": "abc \u202e txet neddih \u202c \u2066 isolate \u200f mark",
    "long": "9" * 100_000,
    "template": "{{ config }} {% raw %} &lt;b&gt; </pre></details>",
    "control": "nul \x00 bell \x07 escape \x1b[31m",
    "chinese": "<think>先算 3 + 4 = 7，等等，不对，再算 3 + 4 = 7。</think>\n<answer>7</answer>",
}


GENERAL = ("translation", "fact", "instruction", "greeting", "refusal")
SKILLS = {
    "base": (0.3, 0.2), "r1_zero": (0.75, 0.15), "dev1": (0.6, 0.2), "dev2": (0.7, 0.2),
    "dev3": (0.72, 0.6), "r1": (0.75, 0.8),
    **{
        f"{student}_{arm}": (skill, 0.3)
        for student in ("qwen", "llama")
        for arm, skill in (
            ("base", 0.25), ("rl", 0.4), ("rl_equal_flops", 0.35), ("distilled", 0.6),
            ("distilled_rl", 0.65),
        )
    },
    "base_best": (0.35, 0.2), "base_rft": (0.5, 0.2), "base_rft_best": (0.55, 0.2),
    "base_plain": (0.32, 0.2),
    "base_begun": (0.3, 0.2), "base_forced": (0.4, 0.2), "base_few_shot": (0.33, 0.2),
}  # fmt: skip
"""Of each checkpoint, for reasoning and for general problems."""
ABLATIONS = {
    "r1_zero_permuted": (0.25, 0.1), "r1_zero_format_only": (0.32, 0.2),
    "r1_zero_equal_weights": (0.4, 0.2),
    "dev2_no_language_reward": (0.7, 0.2), "dev3_reasoning_only": (0.72, 0.2),
    "r1_preference_throughout": (0.6, 0.85),
    "qwen_rl_plateau": (0.45, 0.02), "llama_rl_plateau": (0.45, 0.02),
    "r1_zero_greedy": (0.75, 0.15), "r1_greedy": (0.75, 0.8),
    "r1_zero_few_shot": (0.6, 0.15), "r1_few_shot": (0.6, 0.8), "dev3_unfiltered": (0.6, 0.6),
    "small_base": (0.2, 0.1), "small_base_best": (0.25, 0.1), "small_zero": (0.3, 0.1),
}  # fmt: skip


BEST = {
    "arithmetic": {"way": "plain", "temperature": 0.0, "pass@1": 0.4},
    "countdown": {"way": "few_1", "temperature": 0.6, "pass@1": 0.3},
}


def checkpoint(name: str) -> pd.DataFrame:
    """evaluation.parquet of a checkpoint of SKILLS or ABLATIONS: reasoning and general rows."""
    reasoning, general = (SKILLS | ABLATIONS)[name]
    seed = 1 + [*SKILLS, *ABLATIONS].index(name)
    samples = 8 if name in ("base", "r1_zero", "r1") else 4
    rows = [evaluation(reasoning, samples=samples, seed=seed), general_rows(general, seed=seed)]
    return pd.concat(rows, ignore_index=True)


def general_rows(skill: float, problems: int = 60, samples: int = 4, seed: int = 0) -> pd.DataFrame:
    rows = evaluation(skill, problems, samples, seed + 1_000)
    number = rows["problem_id"].str[-5:]
    task = number.astype(int).map(lambda i: GENERAL[i // 4 % 5])
    return rows.assign(task=task, problem_id=task + ":" + number, level=1)


def evaluation(skill: float, problems: int = 120, samples: int = 8, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = []
    for i in range(problems):
        task = ("arithmetic", "countdown")[i % 2]
        language = ("en", "zh")[i // 2 % 2]
        level = 1 + i // 4 % 5
        chance = np.clip(random.beta(4 * skill, 4 * (1 - skill)) + 0.1 * (3 - level), 0, 1)
        for sample in range(samples):
            right = bool(random.random() < chance)
            tagged = bool(random.random() < 0.1 + 0.87 * skill)
            thought = (
                f"先算 {i} + 4 = {i + 4}，等等，检查。" if language == "zh"
                else f"first {i} + 4 = {i + 4}, wait, let me check."
            )  # fmt: skip
            given = str(i + 4 + (0 if right else random.integers(1, 4)))
            text = f"<think>{thought}</think>\n<answer>{given}</answer>" if tagged else given
            rows.append({
                "problem_id": f"{task}-{i:05d}", "task": task, "language": language,
                "level": level, "prompt": f"{i} + 4 = ?" if language == "en" else f"{i} 加 4？",
                "answer": str(i + 4), "sample": sample, "text": text,
                "tokens": int(random.integers(8, 40)), "finished": bool(random.random() < 0.98),
                "correct": right, "strict_correct": right and tagged, "format_valid": tagged,
                "extracted": given, "vote": given,
                "reflection_count": int(random.poisson(0.3 + skill)),
                "words": 5, "language_share": float(random.choice([1.0, 0.8, np.nan])),
                "mixed": bool(random.random() < 0.1), "repetition": float(random.random() * 0.1),
                "readable": bool(random.random() < 0.8 * skill),
                "sound": right and (sample == 0 or i % 4 > 0), "unworked": right and i % 8 == 0,
                "false_check": i % 20 == 0, "coverage": 1.0,
                "mode": "right" if right else ("guessed", "gave up")[i % 2],
                "worked": right or i % 2 == 0,
            })  # fmt: skip
    return pd.DataFrame(rows)


def pretraining_metrics(steps: int = 60) -> pd.DataFrame:
    step = np.arange(1, steps + 1) * 20
    return pd.DataFrame({
        "step": step, "tokens": step * 2048, "loss": 1.2 + 3 * np.exp(-step / 200), "lr": 5e-3,
        "tokens_per_s": 18_000.0, "seconds": step * 0.11,
    })  # fmt: skip


def sft_metrics(steps: int = 20) -> pd.DataFrame:
    step = np.arange(1, steps + 1) * 5
    return pd.DataFrame({
        "step": step, "loss": 1.2 * np.exp(-step / 40), "accuracy": 0.9, "lr": 4e-3,
        "tokens": step * 1_500.0, "tokens_per_s": 9_000.0, "seconds": step * 0.2,
        "flops": step * 3e9,
    })  # fmt: skip


def rl_metrics(steps: int = 110, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    step = np.arange(steps)
    rise = 1 - np.exp(-step / 40)
    noise = random.normal(0, 0.03, steps)
    return pd.DataFrame({
        "step": step, "reward": 0.4 + 1.2 * rise, "reward_accuracy": 0.25 + 0.5 * rise + noise,
        "reward_format": 0.1 + 0.88 * (1 - np.exp(-step / 12)), "accuracy": 0.25 + 0.5 * rise,
        "pass_at_1": (0.25 + 0.5 * rise + noise).clip(0, 1),
        "format_valid": (0.1 + 0.88 * (1 - np.exp(-step / 12)) + noise / 3).clip(0, 1),
        "entropy": 0.9 * np.exp(-step / 60) + 0.1, "kl": 0.02 * rise + 0.002 * np.abs(noise),
        "clip_fraction": 0.0, "clipped": 0.05 * np.exp(-step / 20),
        "zero_variance_groups": 0.1 + 0.4 * rise, "length": 24 + 8 * rise + 20 * noise,
        "length_correct": 22 + 9 * rise, "length_wrong": 28 + 6 * rise,
        "reflection_per_response": 0.3 + 0.2 * rise + noise,
        "language_share": 0.95 - 0.04 * rise + noise / 9,
        "tokens_per_s": 6000.0 + 900 * noise, "seconds": 2.3 * (step + 1), "seconds_rollout": 0.9,
        "seconds_reference": 0.4, "seconds_update": 1.0, "grad_norm": 0.5,
        "flops": 2e10 * (step + 1), "reward_deviation": 0.4, "reward_language": 0.95,
        "general/score": np.where(step < 0.75 * steps, np.nan, 0.2 + 0.5 * rise),
        "preference": np.where(step < 0.75 * steps, np.nan, rise + noise),
    })  # fmt: skip


def completions() -> pd.DataFrame:
    rows = []
    for step in (0, 10, 20, 50, 100):
        for i, text in enumerate((HOSTILE["chinese"], "17", "first 3 + 4 = 7")):
            rows.append({
                "step": step, "problem_id": f"arithmetic-{i}", "task": "arithmetic",
                "language": "zh" if i == 0 else "en", "level": 2, "prompt": "3 + 4 = ?",
                "answer": "7", "text": text, "correct": i != 1, "format_valid": i == 0,
                "reward": 1.0, "advantage": 0.3, "tokens": 12, "finished": True,
            })  # fmt: skip
    return pd.DataFrame(rows)


def make_results(config: Config, hostile: bool = False) -> dict[str, StageResult]:
    """Every stage that the report reads, where a run would find it; the comparison is empty."""
    evaluated = {name: checkpoint(name) for name in (*SKILLS, *ABLATIONS)}
    if hostile:
        # at the head of the transcripts: the first problem of each cell by id, sample 0
        base, trained = evaluated["base"], evaluated["r1_zero"]
        firsts = trained[trained["sample"] == 0].index
        chosen = firsts[[0, 8, 16, 2, 10, 18, 1]]
        for place, text in zip(chosen, HOSTILE.values(), strict=True):
            trained.loc[place, "text"] = text.encode("utf-8", "backslashreplace").decode()
        for rows in evaluated.values():
            rows.loc[chosen[0], "prompt"] = HOSTILE["script"]
        assert base.loc[chosen[0], "problem_id"] == trained.loc[chosen[0], "problem_id"]
        evaluated["r1"].loc[chosen[1], "text"] = HOSTILE["script"]
    trained_by_rl = ("r1_zero", "dev2", "r1", *(f"{s}_{a}" for s in ("qwen", "llama")
                     for a in ("rl", "distilled_rl")), "dev2_no_language_reward",
                     "r1_zero_permuted", "r1_zero_format_only",
                     "r1_zero_equal_weights",
                     "r1_preference_throughout", "qwen_rl_plateau", "llama_rl_plateau",
                     "small_zero")  # fmt: skip
    tables: dict[str, dict[str, pd.DataFrame]] = {"base": {"metrics": pretraining_metrics()}}
    for i, name in enumerate(trained_by_rl):
        tables[name] = {"metrics": rl_metrics(seed=i), "completions": completions()}
    for name in (
        "dev1", "dev3", "dev3_reasoning_only", "dev3_unfiltered", "qwen_distilled",
        "llama_distilled",
    ):  # fmt: skip
        tables[name] = {"metrics": sft_metrics()}
    for name in ("cold_start_data", "rejection_sampling"):
        tables[name] = {"dataset": completions()}
    tables |= {f"evaluate_{name}": {"evaluation": rows} for name, rows in evaluated.items()}
    tables["comparison"] = {}
    results, space = {}, Workspace(config)
    tables = {name: tables.get(name, {}) for name in space.stages}
    for i, (name, files) in enumerate(tables.items()):
        place, key = space.place(name), space.keys[name]
        place.mkdir(parents=True, exist_ok=True)
        for file, rows in files.items():
            rows.to_parquet(place / f"{file}.parquet")
        if "metrics" in files and name != "base":
            (place / "moved.json").write_text('{"weights": 0.1}')
        if name.endswith("_search"):
            (place / "best.json").write_text(json.dumps(BEST))
        manifest = {
            "key": key, "stage": name, "version": 1, "config": {}, "inputs": {}, "files": {},
            "code": "c0de" * 16, "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
            "hardware": {"processor": "made up", "cores": 2, "gpus": []}, "seconds": 60.0 + i,
        }  # fmt: skip
        artifacts.write_manifest(place, manifest)
        results[name] = StageResult(name, key, place, manifest)
    return results
