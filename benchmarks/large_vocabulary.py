"""What a large vocabulary and adapters cost, both sides in turn: the vocabulary projection and its
softmax, forward and backward, whole against in chunks; the logits after different prompts, as a
slice against by index; sampling with adapters beside the weights against merged.

    python -m benchmarks.large_vocabulary MODEL_FOLDER [--rounds 3]
"""

import argparse
import statistics
from pathlib import Path

import torch
from torch import nn

from benchmarks.real_weights import ENGINE, seconds
from r1repro.generation.rollouts import Sampling, sample
from r1repro.stages.models import load_trained
from r1repro.training import adapters
from r1repro.training.logprobs import LabelLogps

TOKENS, ROWS, LENGTH = 960, 64, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    model = load_trained(args.folder, ENGINE, 0)
    with torch.no_grad():  # adapters that change something
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=1e-3)
    softmax(adapters.inner(model).get_output_embeddings(), args.rounds)
    prompts(adapters.inner(model), args.rounds)
    sampling(model, args.rounds)


def softmax(head: nn.Module, rounds: int) -> None:
    """Prints the ratios of a whole softmax to one in chunks, the head's products included."""
    hidden = torch.randn(TOKENS, head.weight.shape[1], dtype=head.weight.dtype, requires_grad=True)
    labels = torch.randint(0, len(head.weight), (TOKENS,))

    def whole() -> None:
        logps = head(hidden).float().log_softmax(-1)
        with torch.no_grad():
            (logps.exp() * logps).sum(-1)
        logps.gather(1, labels[:, None]).mean().backward()

    def chunked() -> None:
        LabelLogps.apply(head(hidden), labels, 1.0, True)[0].mean().backward()

    told("projection and whole softmax, seconds against those in chunks", whole, chunked, rounds)


def prompts(model: nn.Module, rounds: int) -> None:
    """Prints the ratios of the last logits as a slice to those by index."""
    ids = torch.tensor([[5 + row] * 8 for row in range(ROWS)])

    def read(last: int | torch.Tensor) -> None:
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False, logits_to_keep=last)

    told(
        "logits after the prompts as a slice, seconds against those by index",
        lambda: read(1), lambda: read(torch.tensor([ids.shape[1] - 1])), rounds,
    )  # fmt: skip


def sampling(model: nn.Module, rounds: int) -> None:
    """Prints the ratios of adapters beside the weights to merged ones, the merge included."""
    inner, prompts = adapters.inner(model), [[5 + row] * 8 for row in range(ROWS)]

    def beside() -> None:
        sample(inner, prompts, Sampling(LENGTH), end_ids=[-1], pad_id=0, seed=0)

    def merged() -> None:
        with adapters.merged(model):
            beside()

    told(
        "adapters beside the weights, seconds against those of merged ones", beside, merged, rounds
    )


def told(what, slow, fast, rounds) -> None:  # type: ignore[no-untyped-def]
    pairs = [(seconds(slow, 1), seconds(fast, 1)) for _ in range(rounds)]
    each = ", ".join(f"{a:.2f} : {b:.2f}" for a, b in pairs)
    print(f"{what}: {statistics.median(a / b for a, b in pairs):.2f} ({each})", flush=True)


if __name__ == "__main__":
    main()
