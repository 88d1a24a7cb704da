"""Composing conf/ and overrides to a configuration, and its views: saved, read, as keys.

It is composed and validated once, before anything runs; notebooks and stages `load` it.
"""

import difflib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args, get_type_hints

from r1repro import records
from r1repro.config import groups, precision
from r1repro.config.groups import GROUPS, ROOT, check_choice, refused
from r1repro.config.objective import CAME_LATER, PLAIN_OBJECTIVE
from r1repro.config.schema import GGUF, Config
from r1repro.config.texts import as_typed, literal
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
LATER = {
    "problems": None,
    "general_items": None,
    "objective": PLAIN_OBJECTIVE,
    "raised_at": None,
    "raised_cap": None,
    "overlong_weight": 0.0,
    **{name: getattr(PLAIN_OBJECTIVE, name) for name in CAME_LATER},
}
"""Settings that came after results were stored, with the values at which they enter no key."""


def compose(overrides: Sequence[str] = ()) -> Config:
    """Compose conf/ with overrides such as `scale=smoke`, `seed=3` or `model.path=/a b/c`.

    They are Hydra's, except that free text, such as a path, is taken as typed. Raises R1ReproError
    with the key, its value and what is accepted.
    """
    groups.check_root()
    accepted = _accepted_types()
    texts: dict[str, str | None] = {}
    others = []
    for text in overrides:
        typed = as_typed(text, _free(accepted))
        if typed is None:
            _check_override(text)
            others.append(text)
        else:
            key, value = typed
            _check_type(key, value, accepted[key])
            texts[key] = value
    config = _resolved(_composed(others, texts))
    config = changed(config, "engine.precision", precision.chosen(config))
    check_places(config)  # first, since a mistyped path makes what goes with it look wrong
    validate(config)
    return config


def _composed(overrides: list[str], texts: Mapping[str, str | None]) -> Config:
    """conf/ with checked Hydra overrides, then with the values of free text by key."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    ConfigStore.instance().store(name="schema", node=_schema())
    groups.register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
            composed = hydra_compose("config", overrides=overrides)
        for key, value in texts.items():
            OmegaConf.update(composed, key, None if value is None else literal(value))
        config = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise R1ReproError(f"the configuration cannot be composed: {reason}") from error
    assert isinstance(config, Config)
    return config


def sweep(overrides: Sequence[str]) -> list[Config]:
    """One configuration per value of a comma list such as `seed=0,1,2`.

    Raises R1ReproError if the configurations differ in anything but one seed.
    """
    free = _free(_accepted_types())
    found: list[list[str]] = []
    for text in overrides:
        one = None if as_typed(text, free) else _parsed(text)
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


def _schema() -> Any:
    """The schema as a node into which Hydra can merge conf/; what has no default is missing."""
    from omegaconf import MISSING as VALUE_MISSING
    from omegaconf import OmegaConf

    def blank(kind: Any) -> Any:
        hints = get_type_hints(kind)
        return kind(
            **{
                f.name: blank(hints[f.name]) if is_dataclass(hints[f.name]) else VALUE_MISSING
                for f in fields(kind)
                if f.default is MISSING
            }
        )

    def make_writable(node: Any) -> None:
        # A frozen dataclass gives a read-only node.
        OmegaConf.set_readonly(node, None)
        for key in node:
            child = node._get_node(key)
            if OmegaConf.is_config(child):
                make_writable(child)

    schema = OmegaConf.structured(blank(Config))
    make_writable(schema)
    return schema


def _resolved(config: Config) -> Config:
    """With absolute paths: stages run from the checkout, typed ones are relative to here."""
    paths = ["model.path", "student.qwen.path", "student.llama.path"]
    paths += ["general.sft", "general.pairs"]
    if config.task.path is not None:
        paths += ["task.path", "task.test_path"]
        name = "own" if config.task.name == "mini" else config.task.name
        config = changed(config, "task.name", name)
    traces, teacher = config.student.traces, config.student.teacher
    if Path(traces or "").suffix in records.SUFFIXES:
        paths.append("student.traces")
    # Whether it names a folder or a file rather than a model of the hub.
    named = teacher is not None and (teacher.startswith(("/", ".", "~")) or teacher.endswith(GGUF))
    if teacher is not None and (named or Path(teacher).exists()):
        paths.append("student.teacher")
    for path in paths:
        typed = attrgetter(path)(config)
        if typed is not None:
            # Not Path.expanduser, which raises for a name that begins with ~ and is no user's.
            config = changed(config, path, str(Path(os.path.expanduser(typed)).resolve()))
    return config


def changed(node: Any, path: str, value: Any) -> Any:
    """The configuration with another value at a dotted path."""
    first, _, rest = path.partition(".")
    inner = changed(getattr(node, first), rest, value) if rest else value
    return replace(node, **{first: inner})


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
    known = _accepted_types()
    if equals and key in known:
        return refused(key, value, _KINDS[known[key][0]][1])
    if equals and key not in GROUPS and re.fullmatch(r"\w[\w.]*", key):
        return _unknown(key, text, list(known))
    return R1ReproError(
        f"`{text}` is not a setting: write key=value, such as seed=3 or stage.r1_zero.steps=200"
    )


def _check_override(text: str) -> None:
    """Raise R1ReproError for an override that Hydra rejects at length or silently accepts."""
    _check_own(text)
    override = _parsed(text)
    key = override.key_or_group
    if key in ("from", "until"):
        raise R1ReproError(
            f"`{text}` is not a setting: write `--{key} STAGE` after `r1repro run` or `plan`"
        )
    if override.is_delete() or override.is_add() or override.is_force_add():
        raise R1ReproError(
            f"`{text}` would add or delete a key: only key=value for a key that exists is accepted"
        )
    if override.is_sweep_override():
        raise R1ReproError(f"`{text}` has several values: give one, or use --multirun for seeds")
    if key in GROUPS:
        check_choice(key, override.value())
        return
    accepted = _accepted_types()
    if key not in accepted:
        raise _unknown(key, text, list(accepted))
    _check_type(key, override.value(), accepted[key])


def _unknown(key: str, text: str, known: Sequence[str]) -> R1ReproError:
    inside = [name for name in known if name.startswith(key + ".")]
    if inside:
        names = offered(key, inside, "r1repro/config/schema.py has")
        return R1ReproError(f"`{key}` in `{text}` is a group of settings: its keys are {names}")
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return R1ReproError(f"`{key}` in `{text}` is not a setting: the nearest one is {nearest}")


def _check_own(text: str) -> None:
    """Raise R1ReproError for a place given where a choice of conf/ is wanted."""
    key, _, value = (part.strip() for part in text.partition("="))
    place = value.strip("'\"")
    own = {
        "model": "for a folder write scale=gpu model=local model.path=FOLDER, for a model of the "
        "hub see docs/extend.md",
        "task": "for a file of your own write task=own task.path=FILE",
    }.get(key)
    named = os.sep in place or place.endswith(records.SUFFIXES) or os.path.exists(place)
    if own is not None and named and place not in groups.choices(key):
        raise refused(key, value, f"a name of conf/{key}s.yaml; {own}")


_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((), "true or false"),
    str: ((str,), "a string"),
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
}
"""The types of a value that a setting of each type takes, and how an error says them."""


def _check_type(key: str, value: object, kinds: tuple[type, ...]) -> None:
    if value is None and type(None) in kinds:
        return
    accepted, said = _KINDS[kinds[0]]
    if isinstance(value, bool) != (kinds[0] is bool) or not isinstance(value, (bool, *accepted)):
        raise refused(key, value, said)


def _accepted_types() -> dict[str, tuple[type, ...]]:
    def walk(kind: Any, prefix: str) -> Iterator[tuple[str, tuple[type, ...]]]:
        for name, hint in get_type_hints(kind).items():
            if is_dataclass(hint):
                yield from walk(hint, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", get_args(hint) or (hint,)

    return dict(walk(Config, ""))


def _free(accepted: Mapping[str, tuple[type, ...]]) -> dict[str, tuple[type, ...]]:
    """The settings without the scale, which is a choice of conf/."""
    return {key: kinds for key, kinds in accepted.items() if key not in GROUPS}


def save(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML, atomically."""
    from omegaconf import OmegaConf

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    node = OmegaConf.structured(_literal(config))
    part.write_text(OmegaConf.to_yaml(node), encoding="utf-8")
    part.replace(path)


def _literal(node: Any) -> Any:
    """The configuration with every text such that `load` reads it back as it is."""
    if is_dataclass(node):
        whole: Any = node
        return replace(whole, **{f.name: _literal(getattr(node, f.name)) for f in fields(node)})
    return literal(node) if isinstance(node, str) else node


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
        config = OmegaConf.to_object(OmegaConf.merge(_schema(), OmegaConf.load(path)))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise R1ReproError(
            f"{path} is not a configuration of this version ({reason}): compose it again"
        ) from error
    assert isinstance(config, Config)
    validate(config)
    return config


def values(config: Config, path: str) -> Any:
    """The value at a dotted path as plain data, without the settings that change no result."""
    return _plain(attrgetter(path)(config), path)


def unset(config: Config, path: str) -> bool:
    """Whether a dotted path is one of LATER, at the value at which it enters no key."""
    return _unset(path.rpartition(".")[2], attrgetter(path)(config))


def _plain(node: Any, path: str) -> Any:
    if not is_dataclass(node):
        return node
    inner = ((f.name, f"{path}.{f.name}") for f in fields(node))
    return {
        name: _plain(getattr(node, name), inside)
        for name, inside in inner
        if inside not in RESULT_FREE
        and name != "save_every"
        and not _unset(name, getattr(node, name))
    }


def _unset(name: str, value: object) -> bool:
    return name in LATER and value == LATER[name]


def only(config: Config, paths: Sequence[str]) -> Config:
    """The configuration with None for all but `paths` and the settings that change no result.

    Stages get this, so that a stage that uses a setting outside its key fails.
    """
    saving = (p for p in _accepted_types() if p.endswith(".save_every"))
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
