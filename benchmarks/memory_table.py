"""The memory that the hungriest stage takes at scale=gpu, by model: the table of docs/gpu.md.

python -m benchmarks.memory_table
"""

from dataclasses import replace

from r1repro.config import ModelConfig, compose, groups
from r1repro.planning.memory import count
from r1repro.planning.plan import CARDS, GIB, fits
from r1repro.planning.stage_memory import needs
from r1repro.planning.work import model_of_stage
from r1repro.runner.graph import graph
from r1repro.training.shape import described

ENGINES = {
    "LoRA": {},
    "QLoRA": {"quantized": True},
    "whole weights": {"lora_rank": 0},
    "shared out over 8": {"lora_rank": 0, "sharded": True},
}
"""What is turned of the engine that scale=gpu has for models of the hub."""
PROCESSES = 8


def hub_models() -> dict[str, ModelConfig]:
    """The models of conf/models.yaml that come from the hub, by name."""
    found = groups.table("model").items()
    return {name: ModelConfig(**shape) for name, shape in found if "hub" in shape}


def table() -> str:
    """Markdown: parameters, and for each engine the peak in GiB and the smallest card it fits."""
    config = compose(["scale=gpu", "model=qwen2.5-1.5b"])
    lines = [
        f"| model | parameters | {' | '.join(ENGINES)} |",
        f"|---|---|{'---|' * len(ENGINES)}",
    ]
    models = hub_models()
    sizes = {name: count(described(model)).total for name, model in models.items()}
    for name in sorted(sizes, key=lambda name: sizes[name]):
        cells = []
        for turned in ENGINES.values():
            engine = replace(config.engine, **turned)
            launch = replace(config.launch, processes=PROCESSES if engine.sharded else 1)
            chosen = replace(config, model=models[name], engine=engine, launch=launch)
            stages = [s for s in graph(chosen).values() if model_of_stage(s) == "model"]
            peak = max(need.peak for need in (needs(chosen, s) for s in stages) if need is not None)
            card = next((f"{card} GB" for card in CARDS if fits(peak, card)), "none")
            cells.append(f"{peak / GIB:,.1f} ({card})")
        lines.append(f"| {name} | {sizes[name]:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
