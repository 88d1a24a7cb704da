"""Real weights on this machine: our rollouts and GRPO step beside the stock ones, and what a token
costs by rows and length.

Word problems, both sides in turn: in R1-Zero's template, in which these models rarely end before
the cap, or with `--template qwen` as a chat, whose answers differ in length. The limit beside the
cost of a token is that of reading one: a forward pass over as many tokens at once, without a cache.

    python -m benchmarks.real_weights MODEL_FOLDER [--rounds 3] [--cap 96] [--stock-rows 8 16 32]
        [--template qwen] [--rollouts-only]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from transformers import PreTrainedModel

from benchmarks import gpu_speed, grpo_step, rollouts
from r1repro.config import EngineConfig, compose
from r1repro.generation.rollouts import Sampling, sample
from r1repro.planning import memory
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import templates, worlds

ENGINE = EngineConfig(precision="bfloat16", lora_rank=32, lora_alpha=32)
ROWS, LENGTHS = (8, 32, 96), (32, 160)
STOCK_ROWS = [8, 16, 32]  # the activations of 64 rows exceed 24 GB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cap", type=int, default=96)
    parser.add_argument("--stock-rows", type=int, nargs="+", default=STOCK_ROWS)
    parser.add_argument("--template", default="r1_zero", choices=templates.names())
    parser.add_argument("--rollouts-only", action="store_true")
    args = parser.parse_args()
    words = ["scale=pocket", "model=smollm2-135m-instruct", "task=word_problems_en"]
    # Its settings alone; the weights are those of the folder.
    config = compose([*words, "task.max_level=1"])
    settings = replace(
        config.stage.r1_zero, questions=8, generations=8, max_completion_tokens=args.cap,
        lr_matrices=0.0, lr_rest=0.0, save_every=10**6, sample_every=10**6, steps=grpo_step.STEPS,
    )  # fmt: skip
    problems = list(islice(worlds.of(config.task).train(0), grpo_step.STEPS * settings.questions))
    model, tokenizer = load_model(args.folder, ENGINE).eval(), load_tokenizer(args.folder)
    if args.rollouts_only:
        asked = [templates.render(args.template, one) for one in problems[: settings.questions]]
        texts = [text for text in asked for _ in range(settings.generations)]
        rollouts.measured(model, tokenizer, texts, args.cap, args.rounds)
        return
    prompt = tokenizer.encode(templates.render(args.template, problems[0]))
    print("\n".join(cost(model, prompt, tokenizer.pad_token_id, args.rounds)), flush=True)
    del model
    found = gpu_speed.of_folder(
        args.folder, problems, settings, args.stock_rows, args.template, ENGINE, args.rounds
    )
    print(json.dumps(found, indent=1))


def cost(model: PreTrainedModel, prompt: Sequence[int], pad_id: int, rounds: int) -> list[str]:
    """A Markdown table: milliseconds of a sampled token and of a read one, and their ratio."""
    flops = 2 * memory.count(model.config).total
    lines = ["rows|length|sampled, ms a token|tokens/s|read, ms a token|ratio|GFLOP/s sampled"]
    lines += ["|".join(["---"] * 7)]
    for rows in ROWS:
        # Prompts that differ, since equal neighbours are read once.
        prompts = [[*prompt, 5 + row] for row in range(rows)]
        ids = torch.tensor(prompts)

        def read(ids: torch.Tensor = ids) -> None:
            with torch.inference_mode():
                last = torch.tensor([ids.shape[1] - 1])  # as the sampler asks; see its comment
                model(input_ids=ids, use_cache=False, logits_to_keep=last)

        a_read = seconds(read, rounds) / ids.numel()
        for length in LENGTHS:

            def sampled(length: int = length, prompts: list[list[int]] = prompts) -> None:
                sample(model, prompts, Sampling(length), end_ids=[-1], pad_id=pad_id, seed=0)

            # The prompts are read as well, which is no part of a sampled token.
            whole = seconds(sampled, rounds) - a_read * ids.numel()
            each = whole / (rows * length)
            cells = (
                str(rows), str(length), f"{1e3 * each:.2f}", f"{1 / each:,.0f}",
                f"{1e3 * a_read:.2f}", f"{each / a_read:.1f}", f"{flops / each / 1e9:,.0f}",
            )  # fmt: skip
            lines.append("|".join(cells))
    return lines


def seconds(run: Callable[[], None], rounds: int) -> float:
    """The median time of `rounds` runs after one that is not counted."""
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


if __name__ == "__main__":
    main()
