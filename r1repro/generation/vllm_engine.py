"""vLLM for weights that stay as they are, behind our sampler's call; in training TRL drives it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from transformers import GenerationConfig

from r1repro.generation.sampler import Rollout, Sampling

PROMPT_ROOM = 4_096
"""Tokens of a sequence that are kept for its prompt: the cache is laid out for the longest."""


class VLLM:
    """The model of a folder in vLLM, for completions of at most `max_tokens`.

    generation_config: the folder's, None where it has none, as a model's.
    """

    def __init__(self, folder: Path, precision: str, max_tokens: int):
        from vllm import LLM

        positions = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
        self.engine = LLM(
            model=str(folder),
            dtype=precision,
            max_model_len=min(positions, PROMPT_ROOM + max_tokens),
            # Token ids go in and come out; vLLM would read the tokenizer by AutoTokenizer.
            skip_tokenizer_init=True,
        )
        found = (folder / "generation_config.json").is_file()
        self.generation_config = GenerationConfig.from_pretrained(folder) if found else None

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        end_ids: Sequence[int],
        pad_id: int,
        seed: int,
    ) -> list[Rollout]:
        """One completion for each prompt (token ids), each row seeded by itself from `seed`.

        Other tokens than our sampler's, from the same distribution up to rounding.
        """
        from vllm import SamplingParams

        rng = random.Random(seed)
        found = self.engine.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts],
            [
                SamplingParams(
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_tokens,
                    stop_token_ids=list(end_ids),
                    seed=rng.getrandbits(63),
                    detokenize=False,
                )
                for _ in prompts
            ],
            use_tqdm=False,
        )
        said = [output.outputs[0] for output in found]
        return [Rollout(list(one.token_ids), one.finish_reason == "stop") for one in said]
