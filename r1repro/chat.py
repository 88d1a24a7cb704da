"""Chat with a checkpoint: every prompt is independent, as in the evaluation.

The loop is the command `chat` in commands.py.
"""

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from r1repro import hub
from r1repro.config import Config, EngineConfig, OriginConfig
from r1repro.errors import R1ReproError, offered
from r1repro.evaluation import checkpoints
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.runner.graph import graph
from r1repro.runner.workspace import Workspace
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Completion, Problem
from r1repro.text.language import language_of
from r1repro.text.visible import visible

TOP_P = 0.95
LONGEST = 100_000
"""Most characters of an answer that are shown."""


@dataclass(frozen=True)
class Speaker:
    """A checkpoint to chat with: its name, model, tokenizer and prompt template."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    template: str

    def answer(self, prompt: str, sampling: Sampling, seed: int) -> Completion:
        """One completion; R1ReproError if the prompt leaves no room for one in the context."""
        problem = Problem("chat", "chat", language_of(prompt), 1, prompt, "")
        asked = len(self.tokenizer.encode(templates.render(self.template, problem)))
        positions = self.model.config.max_position_embeddings
        if asked >= positions:
            raise R1ReproError(
                f"the prompt has {asked:,} tokens with its template and {self.name} takes fewer "
                f"than {positions:,}: shorten it"
            )
        room = replace(sampling, max_tokens=min(sampling.max_tokens, positions - asked))
        (batch,) = ask(
            self.model, self.tokenizer, [problem], room,
            form=templates.asked(self.template), samples=1, rollout_batch=1, seed=seed,
        )  # fmt: skip
        ((_, _, said),) = batch
        return said


def speaker(name: str, place: Path, template: str, engine: EngineConfig) -> Speaker:
    """Load the checkpoint in a folder returned by `find`."""
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    return Speaker(name, load_model(place, engine).eval(), load_tokenizer(place), template)


def find(config: Config, checkpoint: str, typed: str = "") -> tuple[Path, str]:
    """(model folder, template) of a stage name, a result folder or any model folder.

    A result's folder uses the template of its stage, any other folder the paper's. `typed`: the
    overrides as typed, for the command that an error suggests. Raises R1ReproError if there is no
    such model.
    """
    stages = graph(config)
    if checkpoint in stages:
        result = Workspace(config).load(checkpoint, whole=True)
        if result is None:
            raise R1ReproError(
                f"stage {checkpoint} is not built at scale={config.scale}, seed={config.seed}: "
                f"build it with `{' '.join(filter(None, ('r1repro run', typed)))} "
                f"--until {checkpoint}`"
            )
        return _policy(result.folder / "model", checkpoint), checkpoints.form(config, checkpoint)
    folder = Path(checkpoint).expanduser().resolve()
    if not folder.is_dir():
        raise R1ReproError(
            f"there is no stage {checkpoint} and no folder of that name: the stages are "
            f"{offered(checkpoint, stages, '`r1repro plan` lists')}"
        )
    inner = folder / "model"
    place = _policy(inner if inner.is_dir() else folder, checkpoint)
    return place, _form(place)


def _policy(place: Path, checkpoint: str) -> Path:
    """The folder, if it holds a language model in Hugging Face format; else R1ReproError."""
    wanted = "give a stage that trains a policy, such as base or r1, or a model folder"
    if missing := hub.missing_weights(place):
        raise R1ReproError(f"{checkpoint} is not a model ({place} has no {missing}): {wanted}")
    try:
        kinds = json.loads((place / "config.json").read_text(encoding="utf-8"))["architectures"]
        speaks = any(kind.endswith("ForCausalLM") for kind in kinds)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise R1ReproError(
            f"{checkpoint} is not a model ({place / 'config.json'} names no architecture): {wanted}"
        ) from error
    if speaks:
        return place
    raise R1ReproError(f"{checkpoint} is a {' '.join(kinds)}, which generates no text: {wanted}")


def _form(place: Path) -> str:
    """The template of the result that a folder belongs to, else the paper's."""
    above = [p / "manifest.json" for p in place.parents[:3] if (p / "manifest.json").is_file()]
    try:
        manifest = json.loads(above[0].read_text(encoding="utf-8"))
        one, settings = checkpoints.about(manifest["stage"]), manifest["config"]
        # A stage's key has its model as a whole, or these settings of it.
        whole, names = settings.get(one.model) or {}, ("path", "hub", "chat")
        found = (settings.get(f"{one.model}.{name}") or whole.get(name) for name in names)
        path, hub, chat = (str(value) if value else None for value in found)
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        return "r1_zero"
    model = OriginConfig(name=one.model, path=path, hub=hub, chat=chat or "mini")
    return templates.form(model, one.chat)


def examples(config: Config) -> list[str]:
    """A validation question of each family and language of the mini world; else none."""
    if not config.task.is_mini:
        return []
    kinds = {(one.task, one.language): one.prompt for one in worlds.of(config.task).validation}
    return [*kinds.values()]


def prompts(known: Sequence[str] = ()) -> Iterator[str]:
    """Non-blank prompts, one per line: typed at a terminal, else read from standard input.

    known: questions of the kind that the model was trained on, shown at a terminal.
    """
    if not sys.stdin.isatty():
        read = (line.decode("utf-8", errors="replace").strip() for line in sys.stdin.buffer)
        yield from filter(None, read)
        return
    print("each prompt is independent of the others; Ctrl-D quits", file=sys.stderr)
    if known:
        print("\n  ".join(["trained on questions such as:", *known]), file=sys.stderr)
    with suppress(ImportError):
        import readline  # noqa: F401  (enables line editing)
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        if prompt := line.encode("utf-8", errors="replace").decode("utf-8").strip():
            yield prompt


def shown(name: str, said: Completion) -> str:
    """An answer for the terminal, without control characters.

    Every line is indented, so that no answer can imitate the header of the next one.
    """
    left = len(said.text) - LONGEST
    lines = textwrap.indent(visible(said.text[:LONGEST]).strip("\n"), "  ", lambda line: True)
    more = f"\n{left:,} more characters are not shown" if left > 0 else ""
    cut = "" if said.finished else ", cut off"
    return f"{name} · {len(said.token_ids)} tokens{cut}\n{lines}{more}\n"
