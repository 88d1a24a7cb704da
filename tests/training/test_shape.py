"""Model shapes from the configuration and from config.json."""

import json
from dataclasses import replace

import pytest

from r1repro.config import ModelConfig
from r1repro.errors import R1ReproError
from r1repro.training.shape import ARCHITECTURES, described, read
from tests.laptop import laptop


def test_every_architecture_that_is_accepted_is_known():
    (accepted,) = ModelConfig.__annotations__["architecture"].__metadata__
    assert set(ARCHITECTURES) == set(accepted.names)


def test_a_folder_goes_before_what_is_configured(tmp_path):
    described(laptop(ModelConfig, architecture="llama", layers=7)).save_pretrained(tmp_path)
    found = read(replace(laptop(ModelConfig), path=str(tmp_path)))
    assert (found.model_type, found.num_hidden_layers) == ("llama", 7)


def test_a_folder_that_describes_no_known_model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such model"}))
    with pytest.raises(R1ReproError, match=r"config\.json describes no model"):
        read(replace(laptop(ModelConfig), path=str(tmp_path)))
