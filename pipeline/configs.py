"""Every setting of the pipeline: one typed, validated tree.

A run's settings are a preset or YAML file, with `--set key=value` on top. Whatever is wrong with them is said at once,
in one line, with the key as the user wrote it, what was expected, and the nearest key that exists.
"""

from __future__ import annotations

import difflib
import os
import pathlib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field

from components.errors import UserError

PRESETS = pathlib.Path(__file__).parent / "presets"

_TYPE_NAMES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "Threshold": "number or {lower_bound, absolute}",
}

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusConfig(_Section):
    """The text, and how it is read."""

    paths: Annotated[list[str], Field(min_length=1)] = Field(
        description="files, folders or globs, local or gs:// or s3://; "
        "builtin://wikipedia is the sample that gensim carries"
    )
    form: Literal["auto", "lines", "files", "jsonl", "csv", "parquet", "mediawiki"] = Field(
        "auto", description="what the files hold; auto tells by their names (docs/corpus.md)"
    )
    compression: Literal["auto", "none", "gzip", "bz2", "zstd"] = Field(
        "auto", description="auto tells by the files' names"
    )
    text_field: Annotated[str, Field(min_length=1)] = Field(
        "text", description="the field or column that holds the text, in JSON Lines, CSV and Parquet"
    )
    max_document_bytes: Count = Field(10_000_000, description="a longer document is skipped and counted")
    max_skipped_share: Share = Field(
        0.01, description="the run fails if a greater share of the documents had to be skipped"
    )
    splits: Annotated[dict[str, Count], Field(min_length=1)] = Field(
        {"train": 1},
        description="the splits and their weights; with a split eval, the loss on it is measured after training",
    )
    shards: Count = Field(
        16, description="files a split; each is sorted in memory while it is written, so keep them below 1 GB"
    )
    schema_file: str = Field(
        "builtin://document_schema", description="a TFDV schema (.pbtxt) that the documents must fit"
    )

    @pydantic.field_validator("splits")
    @classmethod
    def _has_train(cls, splits: dict[str, int]) -> dict[str, int]:
        if "train" not in splits:
            raise ValueError("a split named train is needed")
        return splits


class SkipGramConfig(_Section):
    """From text to skip-gram pairs."""

    window: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="the greatest distance of a context word; each position draws its own radius from 1 to this"
    )
    min_count: Count = Field(5, description="rarer words are left out of the vocabulary")
    max_vocabulary: Annotated[int, Field(ge=2)] | None = Field(
        None, description="keep only this many of the most frequent words"
    )
    subsampling: Annotated[float, Field(ge=0, lt=1)] = Field(
        1e-3, description="words above this share of the text are thinned out; 0 keeps all"
    )
    seed: int = Field(1, description="decides which words subsampling keeps, and the radii")


# The learning rate of each optimizer, where none is set.
LEARNING_RATES = {"sgd": 0.03, "adagrad": 0.1, "adam": 0.001}


class TrainerConfig(_Section):
    """The model and its training."""

    dimensions: Count = Field(128, description="the length of a word's vector")
    epochs: Count = Field(5, description="passes over all pairs")
    loss: Literal["nce", "negative_sampling", "sampled_softmax", "full_softmax"] = Field(
        "nce", description="what is minimised (docs/nce.md)"
    )
    negatives: Count = Field(5, description="noise words a pair")
    shared_negatives: Count = Field(
        32,
        description="noise words drawn for a block and shared by its pairs, "
        "each weighted by negatives / shared_negatives",
    )
    sampler: Literal["unigram", "log_uniform", "uniform", "adaptive"] = Field(
        "unigram", description="which words the noise is; adaptive draws those more that the model finds hard"
    )
    noise_power: Annotated[float, Field(ge=0, le=2)] = Field(
        0.75, description="unigram and adaptive draw in proportion to a word's count to this power (docs/nce.md)"
    )
    bias: Literal["expected_count", "learned"] = Field(
        "expected_count",
        description="fixed at log(expected count), which keeps the vectors' quality, "
        "or learned from zero as in the textbook (docs/nce.md)",
    )
    remove_accidental_hits: bool = Field(
        True, description="noise that is a pair's own context word does not count for that pair"
    )
    window_weights: Literal["expected", "drawn"] = Field(
        "expected",
        description="what a pair at a distance counts: its probability to be within a drawn radius, "
        "or 1 if it is within the radius that Transform drew",
    )
    optimizer: Literal["sgd", "adagrad", "adam"] = Field(
        "sgd", description="adagrad has one accumulator a row; adam leaves untouched rows alone"
    )
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None,
        description="at the start; falls linearly to 0. By default 0.03 for sgd, 0.1 for adagrad, 0.001 for adam",
    )
    min_learning_rate: Annotated[float, Field(ge=0, le=10)] = Field(
        1e-4, description="the learning rate never falls below this"
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(0, description="steps over which the learning rate rises first")
    block_length: Count = Field(32, description="positions whose pairs are computed by one matrix product")
    blocks_per_step: Count | None = Field(
        None,
        description="blocks an update, of all devices together; more is faster and, past some hundred positions, less "
        "stable. By default 16, and fewer where one word would come too often in them",
    )
    steps_per_call: Count = Field(200, description="steps between two looks at the clock (progress, logs, checkpoints)")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="of the products; variables and sums are always float32"
    )
    strategy: Literal["auto", "one_device", "mirrored", "multi_worker"] = Field(
        "auto",
        description="how training is spread; auto: the strategy in whose scope it is started, "
        "else every GPU there is, else the CPU; multi_worker: as TF_CONFIG says (docs/training.md)",
    )
    deterministic: bool = Field(
        False,
        description="one exact stream of steps on a CPU, instead of one a core on shared tables: "
        "the same result to the bit, at some two thirds of the speed on two cores",
    )
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        30, description="time between two checkpoints, from which an interrupted training goes on"
    )
    warm_start: bool = Field(
        False, description="start from the vectors of the last blessed model, for the words that it has"
    )
    warm_start_learning_rate: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="the learning rate at the start, if there was a model to start from"
    )
    seed: int = Field(1, description="decides the initial vectors, the noise words and the order of the blocks")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _learning_rate_of_the_optimizer(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("learning_rate") is not None:
            return values
        return {**values, "learning_rate": LEARNING_RATES.get(values.get("optimizer", "sgd"))}

    @pydantic.model_validator(mode="after")
    def _learning_rate_falls(self) -> TrainerConfig:
        if self.learning_rate is not None and self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate ({self.min_learning_rate}) is above learning_rate ({self.learning_rate})"
            )
        return self


class Threshold(_Section):
    """What one benchmark, or one of its sections, must reach."""

    lower_bound: Annotated[float, Field(ge=-1, le=1)] | None = None
    absolute: Annotated[float, Field(ge=-1, le=1)] | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"lower_bound": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    @pydantic.model_validator(mode="after")
    def _says_something(self) -> Threshold:
        if self.lower_bound is None and self.absolute is None:
            raise ValueError("expected a number, lower_bound or absolute")
        return self


class EvaluatorConfig(_Section):
    """The benchmarks, and what a model must reach to be pushed."""

    benchmarks: Annotated[list[str], Field(min_length=1)] = Field(
        ["builtin://wordsim353", "builtin://simlex999", "builtin://google_analogies"],
        description="files, folders or globs of analogy questions or similarity pairs, known by their file names",
    )
    thresholds: dict[str, Threshold] = Field(
        {},
        description="by benchmark or benchmark/section: the least score (Spearman's correlation or analogy accuracy) "
        "at which a model is blessed; or lower_bound, which is the same, and absolute, the least change of the score "
        "from the last blessed model (-0.01: it may fall by so much; a fall within the noise never blocks)",
    )
    min_coverage: Share = Field(
        0.1, description="a benchmark of which fewer questions have all their words in the vocabulary can't be judged"
    )
    when_uncovered: Literal["block", "pass"] = Field(
        "block", description="what thresholds do to a model on a benchmark that can't be judged"
    )
    bootstrap_samples: Annotated[int, Field(ge=100)] = Field(
        1000, description="samples of the questions from which the 95 % intervals are computed"
    )
    seed: int = Field(1, description="decides these samples")


class PusherConfig(_Section):
    """Where a blessed model goes."""

    destination: str | None = Field(
        None,
        description="the folder of the versions, as TF Serving reads it; by default serving_model in the run's folder",
    )


class ServingConfig(_Section):
    """How a blessed model is tried in TF Serving itself before it is pushed."""

    infra_validation: Literal["off", "docker", "kubernetes"] = Field(
        "off",
        description="where TFX's InfraValidator starts a TF Serving that must load the model and answer: in Docker for "
        "runs on this machine, in Kubernetes for those on Kubeflow Pipelines",
    )
    image: str = Field("tensorflow/serving", description="its image")
    tags: Annotated[list[str], Field(min_length=1)] = Field(
        ["2.19.1"], description="the image's tags; the model must work in each"
    )
    loading_seconds: Count = Field(300, description="in which it must have loaded the model")


class ReportConfig(_Section):
    """What the report shows."""

    map_words: Annotated[int, Field(ge=2)] = Field(1500, description="words on the map, the most frequent")
    neighbour_words: Count = Field(5000, description="words of which the nearest are listed, the most frequent")
    seed: int = Field(1, description="decides the map")


class BeamConfig(_Section):
    """How Beam's direct runner works through the text."""

    workers: Annotated[int, Field(ge=0)] = Field(
        0,
        description="processes for Transform; 0: one for less than 200 MB of text, where starting more costs more than "
        "they bring, else one a core",
    )


class TolerationConfig(_Section):
    """Of a node's taint, in Kubernetes' terms."""

    key: str
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class ResourcesConfig(_Section):
    """What a component gets on a cluster; sizes in Kubernetes' terms."""

    cpu: str | None = None
    memory: str | None = None
    gpus: Annotated[int, Field(ge=0)] = 0
    gpu_type: str = "nvidia.com/gpu"
    node_selector: dict[str, str] = {}
    tolerations: list[TolerationConfig] = []
    retries: Annotated[int, Field(ge=0)] = 0
    timeout_seconds: Count | None = None


class VolumeConfig(_Section):
    """A persistent volume that every component sees."""

    claim: str
    path: Annotated[str, Field(pattern="^/.")]


class SecretConfig(_Section):
    """A Kubernetes secret whose values every component sees as environment variables, by the secret's keys."""

    name: str
    environment: dict[str, str]


class KubeflowConfig(_Section):
    """What Kubeflow Pipelines needs to know."""

    image: str = Field("tfx-word2vec:latest", description="the image of every component, made by the Dockerfile")
    root: str = Field("minio://mlpipeline/v2/artifacts", description="the URI below which artifacts are kept")
    parameters: list[str] = Field(
        [
            "name",
            "corpus.paths",
            "skipgram.window",
            "skipgram.min_count",
            "trainer.epochs",
            "trainer.dimensions",
            "trainer.seed",
            "evaluator.benchmarks",
            "evaluator.thresholds",
            "pusher.destination",
        ],
        description="settings that can be changed from run to run, as parameters of a run with dots as underscores",
    )
    resources: dict[str, ResourcesConfig] = Field(
        {},
        description="by component, or default for all: cpu, memory, gpus, gpu_type, node_selector, tolerations, "
        "retries and timeout_seconds",
    )
    uncached: list[str] = Field(
        ["BenchmarkExampleGen", "ExampleGen", "Baseline"],
        description="components that run each time: what they read may change while its name stays",
    )
    volume: VolumeConfig | None = Field(None, description="claim and path of a volume, for text and pushed models")
    secrets: list[SecretConfig] = Field([], description="name and environment (variable by key) of secrets")
    host: str | None = Field(
        None, description="the address of Kubeflow Pipelines, as https://kubeflow.example/pipeline"
    )
    namespace: str | None = Field(None, description="where runs go, with a Kubeflow of many users")
    experiment: str = Field("tfx-word2vec", description="the group of runs")

    def of(self, component: str) -> ResourcesConfig:
        """What a component gets: what is said of it, and for the rest what is said of all."""
        both = (self.resources.get(name, ResourcesConfig()) for name in ("default", component))
        return ResourcesConfig.model_validate(
            {key: value for one in both for key, value in one.model_dump(exclude_unset=True).items()}
        )


class Config(_Section):
    """All settings of a run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="names the run and its folder, and what is cached between runs"
    )
    root: str = Field("runs", description="the folder of all runs")
    corpus: CorpusConfig
    skipgram: SkipGramConfig = SkipGramConfig()
    trainer: TrainerConfig = TrainerConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    pusher: PusherConfig = PusherConfig()
    serving: ServingConfig = ServingConfig()
    report: ReportConfig = ReportConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()

    @property
    def run_folder(self) -> str:
        """The absolute folder of this run's artifacts, metadata, logs and pushed models."""
        return os.path.join(os.path.abspath(self.root), self.name)


def load(source: str | None, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Config:
    """Reads a preset or YAML file, and puts overrides on top.

    Args:
        source: a preset's name or a YAML file's path; None for no file.
        overrides: `key=value` texts, keys with dots (`trainer.epochs=3`), values in YAML.
        values: further values by key with dots, already typed; the last word.

    Raises:
        UserError: a file that can't be read, an unknown key, a wrong type, an impossible value.
    """
    tree, origin = _read(source)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise UserError(f"--set {override}: expected key=value, as in --set trainer.epochs=3")
        _put(tree, key.strip(), _parse_yaml(text, f"--set {override}"), f"--set {override}")
    for key, value in (values or {}).items():
        _put(tree, key, value, key)
    try:
        return Config.model_validate(tree)
    except pydantic.ValidationError as error:
        raise UserError("\n".join(_explain(detail, origin) for detail in error.errors())) from None


def settings() -> Iterator[tuple[str, str, str, str]]:
    """Yields (key, type, default, meaning) for every setting, in the order of the tree."""
    yield from _settings(Config, "")


def _settings(model: type[pydantic.BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, pydantic.BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        else:
            default = (
                "(needed)"
                if field.is_required()
                else yaml.safe_dump(field.default, default_flow_style=True, width=1000)
            )
            yield (
                f"{prefix}{name}",
                _type_name(field.annotation),
                default.replace("\n...", "").strip(),
                field.description or "",
            )


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is Annotated:
        return _type_name(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is Literal:
        return " | ".join(typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_type_name(part) for part in typing.get_args(annotation))
    if annotation is type(None):
        return "null"
    if arguments := typing.get_args(annotation):
        return f"{annotation.__origin__.__name__} of {' to '.join(_type_name(part) for part in arguments)}"
    return _TYPE_NAMES.get(annotation.__name__, annotation.__name__)


def _read(source: str | None) -> tuple[dict[str, Any], str]:
    if source is None:
        return {}, "the settings"
    preset = PRESETS / f"{source}.yaml"
    path = preset if preset.is_file() else pathlib.Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        names = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"--config {source}: {reason}. Expected a preset ({names}) or a YAML file's path") from None
    tree = _parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected settings (key: value), found {type(tree).__name__}")
    return tree, str(path)


def _parse_yaml(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{origin}{where}: not YAML: {getattr(error, 'problem', error)}") from None


def _put(tree: dict[str, Any], key: str, value: Any, origin: str) -> None:
    node: Any = tree
    *parents, last = key.split(".")
    for part in parents:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise UserError(f"{origin}: {part} is no group of settings. {_nearest(key)}")
    node[last] = value


def _explain(detail: Any, origin: str) -> str:
    parts = [str(part) for part in detail["loc"]]
    key = ".".join(parts)
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{key}: there is no such setting. {_nearest(key)}"
    if kind == "missing":
        how = "Give corpus.paths, or --corpus; builtin://wikipedia is a sample" if key == "corpus" else _meaning(key)
        return f"{key}: is needed, and {origin} does not give it. {how}".strip()
    expected = message[:1].lower() + message[1:]
    given = f" = {detail['input']!r}" if not isinstance(detail["input"], (dict, pydantic.BaseModel)) else ""
    return f"{key}{given}: {expected}. {_meaning(key)}".strip()


def _nearest(key: str) -> str:
    keys = [row[0] for row in settings()]
    last = key.rsplit(".", 1)[-1]
    nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.6) or [
        candidate
        for candidate in keys
        if candidate.rsplit(".", 1)[-1] in difflib.get_close_matches(last, [k.rsplit(".", 1)[-1] for k in keys], n=1)
    ]
    return f"Did you mean {nearest[0]}? --help lists all settings" if nearest else "--help lists all settings"


def _meaning(key: str) -> str:
    for name, kind, _, meaning in settings():
        if key == name or key.startswith(f"{name}."):
            return (
                f"({name} is a {kind}: {meaning})"
                if not kind.startswith(("auto", "list", "dict"))
                else f"({name}: {kind}; {meaning})"
            )
    return ""
