import pytest

from r1repro.config import compose
from r1repro.reports import settings

SIZES = {"cold_start_data": 1_234, "rejection_sampling": 5_678}


def tables(config):
    return {
        "base": settings.base(config),
        "r1_zero": settings.r1_zero(config),
        "dev1": settings.dev1(config, SIZES),
        "dev2": settings.dev2(config),
        "rejection_sampling": settings.rejection_sampling(config, SIZES),
        "dev3": settings.dev3(config, SIZES),
        "reward_model": settings.reward_model(config),
        "r1": settings.r1(config),
        "students": settings.students(config, SIZES),
    }


@pytest.mark.parametrize("overrides", [[], ["scale=smoke"], ["scale=gpu", "model=qwen2.5-1.5b"]])
def test_every_setting_of_ours_stands_beside_the_papers(overrides):
    config = compose(overrides)
    for name, table in tables(config).items():
        assert table.columns == ("This run", "The paper")
        assert all(row.cells[1] for row in table.rows), name
        if config.model.made_here or name != "base":
            assert all(row.cells[0] for row in table.rows), name
        labels = [row.label for row in table.rows]
        assert len(set(labels)) == len(labels), name


def test_the_settings_are_those_of_the_run():
    config = compose(["stage.dev2.steps=77", "stage.dev3.epochs=9", "stage.qwen_rl.steps=66"])
    found = {name: {r.label: r.cells for r in t.rows} for name, t in tables(config).items()}
    assert found["dev2"]["RL steps"] == ("77", "not stated")
    assert found["dev3"]["Epochs"] == ("9", "2 to 3")
    assert found["students"]["RL alone: steps × completions"][0].startswith("Qwen 66 × ")
    assert found["dev1"]["Examples"] == ("1,234", "thousands")
    assert "Examples" not in {row.label for row in settings.dev1(config, {}).rows}
    page = settings.later(config, SIZES)._repr_html_()
    assert page.count("<details>") == 7 and "5,678" in page
