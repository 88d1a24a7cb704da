"""Composing conf/ and overrides to a configuration, and its views: saved, read, as keys.

It is composed and validated once, before anything runs; notebooks and stages `load` it.
"""

import difflib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, get_type_hints

from r1repro import row_files
from r1repro.config import groups, models
from r1repro.config.groups import GROUPS, ROOT, check_choice
from r1repro.config.ranges import SAID, Setting, changed, refused
from r1repro.config.schema import GGUF, Config
from r1repro.config.validate import check_places, validate
from r1repro.errors import R1ReproError, offered

SEEDS = ("seed", "base_seed")
"""Settings that may differ between the runs of a joint report."""
# Settings that change no result, as does every save_every.
RESULT_FREE = (
    "runs",
    "scale",
    "engine.vllm_server",
    "engine.report_to",
    *(f"launch.{name}" for name in ("cluster", "partition", "hours", "cpus", "memory")),
)
LATER = (
    "problems", "general_items", "objective", "raised_at", "raised_cap", "overlong_weight", "lam",
    "critic_lr",
)  # fmt: skip
"""Settings that came after results were stored: they enter a key only if not the default."""
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def compose(overrides: Sequence[str] = ()) -> Config:
    """Compose conf/ with overrides such as `scale=smoke`, `seed=3` or `model.path=/a b/c`.

    They are Hydra's, except that free text, such as a path, is taken as typed. Raises R1ReproError
    with the key, its value and what is accepted.
    """
    groups.check_root()
    chosen, typed = [], {}
    for text in overrides:
        key, value = _read(text)
        if key in GROUPS:
            chosen.append(text)
        else:
            typed[key] = value
    config = _chosen(chosen)
    for key, value in typed.items():
        config = changed(config, key, value)
    config = _resolved(config)
    config = changed(config, "engine.precision", models.precision(config))
    check_places(config)  # first, since a mistyped path makes what goes with it look wrong
    validate(config)
    return config


def _chosen(overrides: list[str]) -> Config:
    """conf/ with these choices of its groups."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    groups.register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
            composed = hydra_compose("config", overrides=overrides)
        return _built(Config, OmegaConf.to_container(composed, resolve=True))
    except (HydraException, OmegaConfBaseException, TypeError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise R1ReproError(f"the configuration cannot be composed: {reason}") from error


def _built(kind: Any, node: Any, prefix: str = "") -> Any:
    """The dataclass with the settings of a mapping, each checked.

    Raises TypeError for a setting that it lacks or does not know.
    """
    if not isinstance(node, dict):
        raise refused(prefix.rstrip(".") or "the configuration", node, "a group of settings")
    hints = get_type_hints(kind, include_extras=True)
    made = {}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if name not in hints:
            raise TypeError(f"{key} is not a setting")
        if is_dataclass(hint := hints[name]):
            made[name] = _built(hint, value, f"{key}.")
        else:
            made[name] = Setting.of(hint).checked(key, value)
    return kind(**made)


def sweep(overrides: Sequence[str]) -> list[Config]:
    """One configuration per value of a comma list such as `seed=0,1,2`.

    Raises R1ReproError if the configurations differ in anything but one seed.
    """
    found: list[list[str]] = []
    for text in overrides:
        one = None if as_typed(text, _settings()) else _parsed(text)
        if one is None or not one.is_sweep_override():
            found.append([text])
            continue
        words = [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        if one.key_or_group not in SEEDS:
            raise R1ReproError(
                f"{text} varies {one.key_or_group}, and --multirun joins runs that "
                f"differ only in {' or '.join(SEEDS)}: run each value separately"
            )
        if doubled := sorted({word for word in words if words.count(word) > 1}):
            raise R1ReproError(f"{doubled[0]} is given twice: give each seed once")
        found.append(words)
    if sum(len(words) > 1 for words in found) > 1:
        raise R1ReproError(
            "seed and base_seed are both lists, which makes runs that share a base and are not "
            "independent: vary one of them"
        )
    return [compose(words) for words in itertools.product(*found)]


def _resolved(config: Config) -> Config:
    """With absolute paths: stages run from the checkout, typed ones are relative to here."""
    paths = ["model.path", "student.qwen.path", "student.llama.path"]
    paths += ["general.sft", "general.pairs"]
    if config.task.path is not None:
        paths += ["task.path", "task.test_path"]
        name = "own" if config.task.name == "mini" else config.task.name
        config = changed(config, "task.name", name)
    traces, teacher = config.student.traces or "", config.student.teacher
    if Path(traces).suffix in row_files.SUFFIXES:
        paths.append("student.traces")
    # Whether it names a folder or a file rather than a model of the hub.
    named = teacher is not None and (teacher.startswith(("/", ".", "~")) or teacher.endswith(GGUF))
    if named or (teacher is not None and Path(teacher).exists()):
        paths.append("student.teacher")
    for path in paths:
        typed = attrgetter(path)(config)
        if typed is not None:
            # Not Path.expanduser, which raises for a name that begins with ~ and is no user's.
            config = changed(config, path, str(Path(os.path.expanduser(typed)).resolve()))
    return config


def as_typed(text: str, known: Mapping[str, Setting]) -> tuple[str, str | None] | None:
    """(key, value) of an override `key=value` of free text; None for every other override.

    Hydra's grammar would read quotes, commas, brackets, `#`, `=` and `~` in paths and names. null
    is None. A value that is quoted once more, as that grammar wants it, is unquoted. Raises
    R1ReproError for an empty value.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or key in GROUPS or key not in known or known[key].kind is not str:
        return None
    if not value:
        none = f", or {key}=null for none" if known[key].optional else ""
        raise R1ReproError(f"`{text}` has no value: write {key}=VALUE{none}")
    if value.lower() == "null":
        return key, None
    if _QUOTED.fullmatch(value):
        quote, value = value[0], value[1:-1]
        value = re.sub(rf"\\([\\{quote}])", r"\1", value)
    return key, value


def _read(text: str) -> tuple[str, Any]:
    """(key, value) of an override. Raises R1ReproError for one that is not accepted."""
    known = _settings()
    typed = as_typed(text, known)
    if typed is not None:
        return typed[0], known[typed[0]].checked(*typed)
    override = _parsed(text)
    key = override.key_or_group
    if key in ("from", "until"):
        raise R1ReproError(
            f"`{text}` is not a setting: write `--{key} STAGE` after `r1repro run` or `plan`"
        )
    if override.is_add() or override.is_delete() or override.is_force_add():
        raise R1ReproError(
            f"`{text}` would add or delete a key: only key=value for a key that exists is accepted"
        )
    if override.is_sweep_override():
        raise R1ReproError(f"`{text}` has several values: give one, or use --multirun for seeds")
    value = override.value()
    if key in GROUPS:
        check_choice(key, value)
        return key, value
    if key not in known:
        raise _unknown(key, text)
    return key, known[key].checked(key, value)


def _parsed(text: str) -> Any:
    """The override as Hydra reads it. Raises R1ReproError for one that it rejects."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise _malformed(text) from error
    if not override.key_or_group:
        raise _malformed(text)
    return override


def _malformed(text: str) -> R1ReproError:
    """The error for an override that Hydra cannot read, by its key if it has one."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if equals and key in GROUPS:
        check_choice(key, value)
    if equals and key in _settings():
        return refused(key, value, SAID[_settings()[key].kind])
    if equals and re.fullmatch(r"\w[\w.]*", key):
        return _unknown(key, text)
    return R1ReproError(
        f"`{text}` is not a setting: write key=value, such as seed=3 or stage.r1_zero.steps=200"
    )


def _unknown(key: str, text: str) -> R1ReproError:
    known = list(_settings())
    inside = [name for name in known if name.startswith(key + ".")]
    if inside:
        names = offered(key, inside, "r1repro/config/schema.py has")
        return R1ReproError(f"`{key}` in `{text}` is a group of settings: its keys are {names}")
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return R1ReproError(f"`{key}` in `{text}` is not a setting: the nearest one is {nearest}")


@cache
def _settings() -> dict[str, Setting]:
    """Every setting by its dotted key."""

    def walk(kind: Any, prefix: str) -> Iterator[tuple[str, Setting]]:
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if is_dataclass(hint):
                yield from walk(hint, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", Setting.of(hint)

    return dict(walk(Config, ""))


def save(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML, atomically."""
    from omegaconf import OmegaConf

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    plain = asdict(
        config,
        dict_factory=lambda pairs: {
            name: literal(value) if isinstance(value, str) else value for name, value in pairs
        },
    )
    part.write_text(OmegaConf.to_yaml(OmegaConf.create(plain)), encoding="utf-8")
    part.replace(path)


def literal(text: str) -> str:
    """The text such that OmegaConf takes none of it for an interpolation `${...}`."""
    return _INTERPOLATION.sub(lambda found: 2 * found[1] + "\\${", text)


def load(path: Path | str) -> Config:
    """Read a file written by `save`; the files that it names may be gone.

    Raises R1ReproError if it is missing or malformed.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = Path(path)
    if not path.is_file():
        raise R1ReproError(
            f"no configuration at {path}: "
            "give the resolved.yaml of a run, or leave config_path empty"
        )
    try:
        config: Config = _built(Config, OmegaConf.to_container(OmegaConf.load(path), resolve=True))
    except (OmegaConfBaseException, yaml.YAMLError, TypeError, R1ReproError) as error:
        reason = " ".join(str(error).split())
        raise R1ReproError(
            f"{path} is not a configuration of this version ({reason}): compose it again"
        ) from error
    validate(config)
    return config


def values(config: Config, path: str) -> Any:
    """The value at a dotted path as plain data, without the settings that change no result."""
    return _plain(attrgetter(path)(config), path)


def unset(config: Config, path: str) -> bool:
    """Whether a dotted path is one of LATER, at the value at which it enters no key."""
    parent, _, name = path.rpartition(".")
    return _unset(attrgetter(parent)(config) if parent else config, name)


def _plain(node: Any, path: str) -> Any:
    if not is_dataclass(node):
        return node
    return {
        f.name: _plain(getattr(node, f.name), inside)
        for f in fields(node)
        if (inside := f"{path}.{f.name}") not in RESULT_FREE
        and f.name != "save_every"
        and not _unset(node, f.name)
    }


def _unset(node: Any, name: str) -> bool:
    return name in LATER and getattr(node, name) == getattr(type(node), name)


def only(config: Config, paths: Sequence[str]) -> Config:
    """The configuration with None for all but `paths` and the settings that change no result.

    Stages get this, so that a stage that uses a setting outside its key fails.
    """
    saving = (path for path in _settings() if path.endswith(".save_every"))
    return _only(config, "", (*paths, *RESULT_FREE, *saving))


def _only(node: Any, path: str, kept: Sequence[str]) -> Any:
    if any(path == keep or path.startswith(keep + ".") for keep in kept):
        return node
    if not is_dataclass(node) or not any(keep.startswith(path) for keep in kept):
        return None
    inner = {f.name: f"{path}.{f.name}".lstrip(".") for f in fields(node)}
    whole: Any = node
    return replace(whole, **{n: _only(getattr(node, n), p, kept) for n, p in inner.items()})


def runs_folder(config: Config) -> Path:
    """The folder of all results; a relative `runs` is resolved against the checkout."""
    return (ROOT / os.path.expanduser(config.runs)).resolve()
