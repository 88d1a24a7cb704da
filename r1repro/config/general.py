"""The settings of general data from a person's own files."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GeneralConfig:
    """General data of your own, for pretrained models; null takes the mini world's general items.

    sft: a file of questions with answers, for fine-tuning; its questions are also the general ones
        of RL. pairs: a file of questions with a better and a worse answer, for the reward model.
    prompt, completion, chosen, rejected: their fields, text or chats.
    """

    sft: str | None = None
    pairs: str | None = None
    prompt: str = "prompt"
    completion: str = "completion"
    chosen: str = "chosen"
    rejected: str = "rejected"


NO_GENERAL = GeneralConfig()
