"""Rollout tokens per second: our sampler against `generate()`.

The mini world's base (built if it is not there), 512 prompts (32 x 16), temperature 1, cap 128:
completions of mixed length. Both sides in turn; the last line is the median of the rounds' ratios.

    python benchmarks/rollouts.py [--rounds 5] [hydra overrides]
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.config import compose
from r1repro.generation.rollouts import Sampling, sample
from r1repro.notebook import open_run
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import templates, worlds

QUESTIONS, GENERATIONS, CAP = 32, 16, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    config = compose(args.overrides)
    base = open_run(overrides=args.overrides, build_missing=True).stage("base").folder / "model"
    model, tokenizer = load_model(base, config.engine).eval(), load_tokenizer(base)
    stream = worlds.of(config.task).train(0)
    problems = [next(stream) for _ in range(QUESTIONS)]
    texts = [templates.render("mini", p) for p in problems for _ in range(GENERATIONS)]
    speeds = measured(model, tokenizer, texts, CAP, args.rounds)
    print(f"ratio: {statistics.median(ours / theirs for ours, theirs in speeds):.1f}")


def measured(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    cap: int,
    rounds: int,
) -> list[tuple[float, float]]:
    """Tokens a second of (our sampler, `generate()`) in each round; prints as it goes."""
    prompts = [tokenizer.encode(text) for text in texts]
    padded = tokenizer(list(texts), return_tensors="pt", padding=True).to(model.device)

    def ours(seed: int) -> list[int]:
        found = sample(
            model,
            prompts,
            Sampling(cap),
            end_ids=[tokenizer.eos_token_id],
            pad_id=tokenizer.pad_token_id,
            seed=seed,
        )
        return [len(rollout.token_ids) for rollout in found]

    def generate(seed: int) -> list[int]:
        torch.manual_seed(seed)
        with torch.inference_mode():
            output = model.generate(
                **padded,
                max_new_tokens=cap,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        said = output[:, padded["input_ids"].shape[1] :]
        ended = (said == tokenizer.eos_token_id).int()
        first = torch.where(ended.any(1), ended.argmax(1) + 1, said.shape[1])
        return first.tolist()

    ours(0), generate(0)  # warm-up
    print(f"{len(prompts)} prompts, cap {cap}, device {model.device}")
    speeds = []
    for number in range(1, rounds + 1):
        speed = {}
        for name, side in (("sampler", ours), ("generate", generate)):
            started = time.perf_counter()
            lengths = side(number)
            seconds = time.perf_counter() - started
            speed[name] = sum(lengths) / seconds
            print(
                f"round {number} {name:9} {seconds:6.2f} s  {speed[name]:7.0f} tokens/s  "
                f"mean length {statistics.mean(lengths):.1f}, longest {max(lengths)}"
            )
        speeds.append((speed["sampler"], speed["generate"]))
    return speeds


if __name__ == "__main__":
    main()
