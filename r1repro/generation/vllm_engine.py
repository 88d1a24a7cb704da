"""vLLM with fixed weights behind our sampler's interface; TRL drives vLLM during training."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from transformers import GenerationConfig

from r1repro.generation.rollouts import Rollout, Sampling

PROMPT_ROOM = 4_096
"""Maximum prompt tokens; vLLM sizes its cache for the longest sequence."""


class VLLM:
    """A model folder served by vLLM, for completions of at most `max_tokens`.

    generation_config: read from the folder; None if it has none.
    """

    def __init__(self, folder: Path, precision: str, max_tokens: int):
        from vllm import LLM

        positions = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
        self.engine = LLM(
            model=str(folder),
            dtype=precision,
            max_model_len=min(positions, PROMPT_ROOM + max_tokens),
            # Input and output are token ids, so vLLM needs no tokenizer.
            skip_tokenizer_init=True,
        )
        exists = (folder / "generation_config.json").is_file()
        self.generation_config = GenerationConfig.from_pretrained(folder) if exists else None

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        end_ids: Sequence[int],
        pad_id: int,
        seed: int,
    ) -> list[Rollout]:
        """One completion for each prompt (token ids), with one seed per row derived from `seed`.

        The tokens differ from our sampler's; the distribution is the same up to rounding.
        """
        from vllm import SamplingParams

        rng = random.Random(seed)
        outputs = self.engine.generate(
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
        completions = [output.outputs[0] for output in outputs]
        return [Rollout(list(c.token_ids), c.finish_reason == "stop") for c in completions]
