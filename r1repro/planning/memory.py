"""Bytes that one process takes, computed from a model's shape and the settings.

Exact are parameters, weights, gradients and optimizer state. The rest is computed from what the
code keeps at its fullest moment, every completion at its cap; the tests count on CPUs what really
is kept. Nothing here is measured on a card.
"""

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from r1repro.config import BaseConfig, EngineConfig, RLConfig
from r1repro.generation.sampler import ROOM
from r1repro.training.optimizer import TOGETHER, split_parameters

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""
SFT_CHUNK = 256
"""Completion tokens whose logits TRL's SFT makes at a time."""


@dataclass(frozen=True)
class Counts:
    """Parameters of a model, tied ones once.

    matrices: those that Muon moves, `largest` of them at a time.
    rest: all others, in `rest_tensors` tensors, that AdamW moves.
    linear: weights of the layers' linear projections, in `projections` matrices; an adapter of
        rank 1 on all of them has `adapter` parameters.
    """

    total: int
    matrices: int
    largest: int
    rest: int
    rest_tensors: int
    linear: int
    projections: int
    adapter: int


def count(shape: PreTrainedConfig) -> Counts:
    """Counted on the model itself, made on the `meta` device, which holds no numbers."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
    matrices, rest = split_parameters(model)
    alike = Counter(tuple(sorted(parameter.shape)) for parameter in matrices)
    together = [
        math.prod(shape) * min(number, max(1, TOGETHER // math.prod(shape)))
        for shape, number in alike.items()
    ]
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear) and m is not head]
    return Counts(
        total=sum(p.numel() for p in model.parameters()),
        matrices=sum(p.numel() for p in matrices),
        largest=max(together, default=0),
        rest=sum(p.numel() for p in rest),
        rest_tensors=len(rest),
        linear=sum(m.weight.numel() for m in linear),
        projections=len(linear),
        adapter=sum(m.in_features + m.out_features for m in linear),
    )


@dataclass(frozen=True)
class Memory:
    """Bytes in one process: held throughout, and beside that in each phase of the stage.

    rollouts: the cache of keys and values, and the logits of the next token.
    update: gradients, activations and logits of the largest micro-batch.
    step: gradients, and what the optimizer works with.
    """

    weights: int
    optimizer: int = 0
    reference: int = 0
    rollouts: int = 0
    update: int = 0
    step: int = 0

    @property
    def held(self) -> int:
        """Weights, optimizer state and the reference."""
        return self.weights + self.optimizer + self.reference

    @property
    def peak(self) -> int:
        """The fullest phase."""
        return self.held + max(self.rollouts, self.update, self.step)


def weights(counts: Counts, engine: EngineConfig) -> int:
    """Whole models are in float32; with LoRA frozen ones in engine.precision, adapters in float32.

    Quantized projections: bitsandbytes' NF4 with doubly quantized constants (Dettmers et al. 2023),
    half a byte a weight, a byte a block of 64, four bytes a 256 of these.
    """
    if engine.lora_rank == 0:
        return 4 * counts.total
    width = WIDTHS[engine.precision]
    frozen = width * counts.total
    if engine.quantized:
        blocks = counts.linear // 64
        frozen += counts.linear // 2 + blocks + 4 * (blocks // 256) - width * counts.linear
    return frozen + 4 * trained(counts, engine)


def trained(counts: Counts, engine: EngineConfig) -> int:
    """Parameters that move: all, or the adapters."""
    return counts.adapter * engine.lora_rank if engine.lora_rank else counts.total


def gradients(counts: Counts, engine: EngineConfig) -> int:
    """One float32 for each parameter that moves."""
    return 4 * trained(counts, engine)


def optimizer(counts: Counts, engine: EngineConfig) -> int:
    """Muon keeps one float32 a parameter; AdamW two, and a step count a tensor."""
    if engine.lora_rank:
        return 8 * trained(counts, engine) + 4 * 2 * counts.projections
    return 4 * counts.matrices + 8 * counts.rest + 4 * counts.rest_tensors


def step(counts: Counts, engine: EngineConfig) -> int:
    """What Muon works with on a card, for the matrices that it moves at a time.

    A float32 a weight, the stack of these, and the four of it in bfloat16 that the iteration holds.
    """
    return 0 if engine.lora_rank else (4 + 4 + 4 * 2) * counts.largest


def rollouts(
    shape: PreTrainedConfig, rows: int, prompt: int, said: int, engine: EngineConfig
) -> int:
    """Keys and values at the end of `rows` rollouts, and what stands beside them at the fullest.

    layers x 2 x key-value heads x head size x rows x tokens x bytes; beside these either the old
    place of a layer that grows or, a row, the logits of a token and three times that in float32.
    """
    width = WIDTHS[engine.precision]
    room = prompt + ROOM
    room += -(-max(0, prompt + said - room) // (ROOM + 1)) * (ROOM + 1)
    layer = 2 * shape.num_key_value_heads * head_size(shape) * rows * room * width
    drawing = rows * shape.vocab_size * (width + 3 * 4)
    return shape.num_hidden_layers * layer + max(layer, drawing)


def logits(shape: PreTrainedConfig, tokens: int, engine: EngineConfig) -> int:
    """Of `tokens` completion tokens at the start of the backward pass.

    tokens x vocabulary x (3 x 4 bytes, for log-probabilities, their gradient and that of the
    logits, and where the precision is another, the logits themselves)
    """
    width = WIDTHS[engine.precision]
    return tokens * shape.vocab_size * (3 * 4 + (width if width < 4 else 0))


def backward(shape: PreTrainedConfig, tokens: int, said: int, engine: EngineConfig) -> int:
    """Activations and logits of `tokens` tokens, of which `said` are completions, at their fullest.

    That is at the start of the backward pass. With gradient checkpointing each layer's input is
    kept, and beside these are first the logits and then all of one layer, made again, with the
    gradients of its two widest activations.
    """
    layer, predicted = tokens * _layer(shape, engine), logits(shape, said, engine)
    if not engine.gradient_checkpointing:
        return shape.num_hidden_layers * layer + predicted
    stream = 4 if engine.lora_rank == 0 else WIDTHS[engine.precision]
    inputs = shape.num_hidden_layers * tokens * shape.hidden_size * stream
    return inputs + max(predicted, layer + tokens * 2 * 4 * shape.intermediate_size)


def _layer(shape: PreTrainedConfig, engine: EngineConfig) -> int:
    """Bytes a token and layer that the backward pass needs, by scaled_dot_product_attention.

    In float32 the inputs of the two norms and what these make of them; in the precision of the
    computation the inputs of the seven projections, queries, keys and values repeated for every
    head, what attention gives, and the parts of the gated product.
    """
    width = WIDTHS[engine.precision]
    hidden, wide = shape.hidden_size, shape.intermediate_size
    queries = shape.num_attention_heads * head_size(shape)
    return 16 * hidden + width * (5 * hidden + 5 * queries + 4 * wide)


def casts(counts: Counts, shape: PreTrainedConfig, engine: EngineConfig) -> int:
    """Copies of float32 weights in the precision of autocast, kept until the backward pass."""
    width = WIDTHS[engine.precision]
    head = shape.vocab_size * shape.hidden_size
    if engine.lora_rank or engine.sharded or width == 4:
        return 0
    return width * (counts.linear + head)


def gathered(counts: Counts, shape: PreTrainedConfig, engine: EngineConfig) -> int:
    """Weights that a process has whole for a moment where they are shared out, with gradients.

    The table of tokens and the head all the time, of the layers the one that is computed and the
    next; gradients are in float32 until they are summed.
    """
    if not engine.sharded:
        return 0
    width, layer = WIDTHS[engine.precision], counts.linear // shape.num_hidden_layers
    tables = counts.total - counts.linear
    return width * (tables + 2 * layer) + 4 * (tables + layer)


def head_size(shape: PreTrainedConfig) -> int:
    """Of one attention head; older descriptions leave it out."""
    return getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads


def grpo(
    shape: PreTrainedConfig,
    counts: Counts,
    settings: RLConfig,
    engine: EngineConfig,
    processes: int,
    prompt: int,
    judge: bool = False,
) -> Memory:
    """A stage of GRPO, prompts of `prompt` tokens.

    The reference is a copy in float32, with LoRA a second adapter; `judge` adds a reward model.
    Whole models are copied to be sampled in another precision than float32, and where they are
    shared out. What vLLM reserves for its own copy and cache is not in here.
    """
    row = prompt + settings.max_completion_tokens
    rows = settings.questions * settings.generations // processes
    micro = max(1, min(rows, settings.micro_batch_tokens // row))
    parts = processes if engine.sharded else 1
    grads, width = gradients(counts, engine) // parts, WIDTHS[engine.precision]
    # TRL gathers a shared reference at once, and lays it out whole at first, in float32
    judging = 4 * counts.total if engine.sharded and settings.beta > 0 else 0
    sampled = 0
    if engine.rollouts == "own":
        batch = rows * settings.steps_per_generation
        batch //= settings.rollout_parts(batch)
        sampled = rollouts(shape, batch, prompt, settings.max_completion_tokens, engine)
        if engine.lora_rank == 0 and (width < 4 or engine.sharded):
            sampled += width * counts.total
    return Memory(
        weights=weights(counts, engine) // parts,
        optimizer=optimizer(counts, engine) // parts,
        # as many float32 as there are gradients
        reference=(grads if settings.beta > 0 else 0) + (width * counts.total if judge else 0),
        rollouts=max(sampled, judging),
        # several processes add what they exchange gradients in
        update=grads * (2 if processes > parts else 1)
        + casts(counts, shape, engine)
        + gathered(counts, shape, engine)
        + backward(shape, micro * row, micro * settings.max_completion_tokens, engine),
        step=grads + step(counts, engine),
    )


def fine_tuning(
    shape: PreTrainedConfig,
    counts: Counts,
    rows: int,
    row: int,
    engine: EngineConfig,
    processes: int = 1,
) -> Memory:
    """Supervised fine-tuning on `rows` of `row` tokens at once; TRL makes logits in chunks."""
    parts = processes if engine.sharded else 1
    grads = gradients(counts, engine) // parts
    return Memory(
        weights=weights(counts, engine) // parts,
        optimizer=optimizer(counts, engine) // parts,
        update=grads * (2 if processes > parts else 1)
        + casts(counts, shape, engine)
        + gathered(counts, shape, engine)
        + backward(shape, rows * row, min(SFT_CHUNK, rows * row), engine),
        step=grads + step(counts, engine),
    )


def pretraining(
    shape: PreTrainedConfig, counts: Counts, settings: BaseConfig, engine: EngineConfig
) -> Memory:
    """Pretraining from random weights: every token of a batch is predicted."""
    grads, tokens = gradients(counts, engine), settings.batch_tokens
    return Memory(
        weights=weights(counts, engine),
        optimizer=optimizer(counts, engine),
        update=grads + casts(counts, shape, engine) + backward(shape, tokens, tokens, engine),
        step=grads + step(counts, engine),
    )


def sampling(
    shape: PreTrainedConfig, counts: Counts, rows: int, prompt: int, said: int, engine: EngineConfig
) -> Memory:
    """Sampling alone, in engine.precision: `rows` at once."""
    return Memory(
        weights=WIDTHS[engine.precision] * counts.total,
        rollouts=rollouts(shape, rows, prompt, said, engine),
    )
