"""Real models: SmolLM2-135M-Instruct, and Qwen2.5-Coder-0.5B-Instruct where its file is named.

R1REPRO_QWEN_GGUF is the path of a GGUF file of the latter.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.real import smollm2

QWEN = "R1REPRO_QWEN_GGUF"


def _file(name: str) -> Path:
    if name == "smollm2":
        return smollm2.fetched()
    if QWEN not in os.environ:
        pytest.skip(f"{QWEN} names no GGUF file of Qwen2.5-Coder-0.5B-Instruct")
    return Path(os.environ[QWEN])


@pytest.fixture(scope="session", params=["smollm2", pytest.param("qwen", marks=pytest.mark.long)])
def real(request, tmp_path_factory):
    """name, GGUF `file`, converted `folder` and `tokenizer` of a model."""
    from r1repro import gguf
    from r1repro.stages.models import load_tokenizer

    file = _file(request.param)
    folder = gguf.converted(file, tmp_path_factory.mktemp(request.param))
    tokenizer = load_tokenizer(folder)
    return SimpleNamespace(name=request.param, file=file, folder=folder, tokenizer=tokenizer)


@pytest.fixture(scope="session")
def model(real):
    """The model in float32, in eval mode."""
    from r1repro.stages.models import load_model

    return load_model(real.folder).eval()
