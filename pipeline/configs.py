"""Every setting of the pipeline: one typed, validated tree. `pipeline.config_files` reads it."""

from __future__ import annotations

import codecs
import os
import re
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field

from components import files
from components.corpus import spans
from pipeline import layout
from word2vec.settings import (
    Count,
    Number,
    Section,
    Seed,
    Share,
    SkipGramSettings,
    TrainerSettings,
    Whole,
)
from word2vec.tuning import TunerSettings


def _is_path(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("expected a path, which is not empty and has no NUL")
    return value


Path = Annotated[str, AfterValidator(_is_path)]


# Kubernetes' own terms: a DNS label or subdomain, and a quantity of cores or bytes.
KubernetesName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253)
]
Cores = Annotated[
    str,
    Field(pattern=r"^([1-9][0-9]{0,5}(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9][0-9]{0,2}|[1-9][0-9]{0,8}m)$"),
]
Memory = Annotated[
    str,
    Field(
        pattern=r"^([1-9][0-9]{0,17}|([1-9][0-9]{0,8}(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi))$"
    ),
]
EnvironmentVariable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _sorted(values: dict[str, Any]) -> dict[str, Any]:
    """In the order of the keys: a mapping that comes through KFP has lost the one that it was written in."""
    return dict(sorted(values.items()))


# Encodings of names and of source code, which no text has.
_NOT_OF_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")


class CorpusConfig(Section):
    """The text, and how it is read."""

    paths: Annotated[list[Path], Field(min_length=1)] = Field(
        description="files, folders or globs, local or gs:// or s3://; "
        "builtin://wikipedia is the sample that gensim carries. {YYYY}-{MM}-{DD} or {SPAN} in them tells texts of one "
        "day, or of one number, from others; {VERSION}, which delivery of them it is (docs/spans.md)"
    )
    window: Annotated[Count, Field(le=100_000)] | None = Field(
        None, description="train on the newest so many spans, where the paths have {SPAN} or a date"
    )
    form: Literal["auto", "lines", "files", "jsonl", "csv", "tsv", "parquet", "mediawiki"] = Field(
        "auto", description="what the files hold; auto tells by their names (docs/corpus.md)"
    )
    compression: Literal["auto", "none", "gzip", "bz2", "zstd", "xz"] = Field(
        "auto", description="how the files are compressed; auto tells by their names"
    )
    encoding: str = Field(
        "auto",
        description="encoding of files without a byte-order mark, by Python's name (cp1252, utf-16-le); auto is UTF-8",
    )
    text_field: Annotated[str, Field(min_length=1)] = Field(
        "text",
        description="the field or column that holds the text, in JSON Lines, CSV, TSV and Parquet; review.body leads "
        "into a field's fields",
    )
    delimiter: str = Field(
        "auto",
        description=r"between fields: one character, or \t; auto is a tab in TSV, and in CSV what the header shows",
    )
    quoting: Literal["auto", "quotes", "none"] = Field(
        "auto", description="whether quotation marks enclose fields; auto means in CSV, but not in TSV"
    )
    max_document_bytes: Count = Field(10_000_000, description="a longer document is skipped and counted")
    max_skipped_share: Share = Field(
        0.01, description="the run fails if a greater share of the documents had to be skipped"
    )
    splits: Annotated[dict[str, Count], Field(min_length=1)] = Field(
        {"train": 1},
        description="the splits and their weights; with a split eval, the loss on it is measured after training",
    )
    shards: Annotated[Count, Field(le=99_999)] = Field(
        16,
        description="files per split; each is sorted in memory while it is written, so give each some 100 MB of text",
    )
    schema_file: Path = Field(
        "builtin://document_schema", description="a TFDV schema (.pbtxt) that the documents must fit"
    )

    @property
    def has_spans(self) -> bool:
        """Whether the paths tell spans apart."""
        return spans.has_spec(self.paths[0])

    @pydantic.field_validator("paths")
    @classmethod
    def _tell_spans(cls, paths: list[str]) -> list[str]:
        if any(map(spans.has_spec, paths)):
            spans.check(paths)
        return paths

    @pydantic.model_validator(mode="after")
    def _window_of_spans(self) -> CorpusConfig:
        if self.has_spans and self.window is None:
            raise ValueError("paths has {SPAN} or a date: expected window, on how many of the newest spans to train")
        if self.window is not None and not self.has_spans:
            raise ValueError("window: paths has no spans. Expected {SPAN}, or {YYYY}, {MM} and {DD}, in each path")
        return self

    @pydantic.field_validator("encoding")
    @classmethod
    def _is_text_encoding(cls, encoding: str) -> str:
        try:
            b"a".decode("ascii" if encoding == "auto" else encoding, "replace")
            known = encoding == "auto" or codecs.lookup(encoding).name not in _NOT_OF_FILES
        except (LookupError, ValueError):
            known = False
        if not known:
            raise ValueError("expected auto, or an encoding that Python knows, such as utf-8, utf-16-le or cp1252")
        return encoding

    @pydantic.field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str) -> str:
        delimiter = "\t" if delimiter == r"\t" else delimiter
        if delimiter != "auto" and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
            raise ValueError(r"expected auto, or one character, such as ; or \t")
        return delimiter

    @pydantic.field_validator("splits")
    @classmethod
    def _has_train(cls, splits: dict[str, int]) -> dict[str, int]:
        if "train" not in splits:
            raise ValueError("a split named train is needed")
        odd = [name for name in splits if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name)]
        if odd:
            raise ValueError(f"{odd[0]!r} is no name of a split. Expected letters, digits, - and _")
        return _sorted(splits)


class Threshold(Section):
    """What one benchmark, or one of its sections, must reach."""

    lower_bound: Annotated[Number, Field(ge=-1, le=1)] | None = None
    absolute: Annotated[Number, Field(ge=-1, le=1)] | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"lower_bound": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    @pydantic.model_validator(mode="after")
    def _says_something(self) -> Threshold:
        if self.lower_bound is None and self.absolute is None:
            raise ValueError("expected a number, lower_bound or absolute")
        return self


class EvaluatorConfig(Section):
    """The benchmarks, and what a model must reach to be pushed."""

    benchmarks: Annotated[list[Path], Field(min_length=1)] = Field(
        ["builtin://wordsim353", "builtin://simlex999", "builtin://google_analogies"],
        description="files, folders or globs of analogy questions or similarity pairs, known by their file names",
    )
    thresholds: dict[str, Threshold] = Field(
        {},
        description="by benchmark or benchmark/section: the least score (Spearman's correlation or analogy accuracy) "
        "at which a model is blessed; or lower_bound, which is the same, and absolute, the least change of the score "
        "from the last blessed model (-0.01: it may fall by that much; a fall within the noise never blocks)",
    )
    min_coverage: Share = Field(
        0.1, description="a benchmark of which fewer questions have all their words in the vocabulary can't be judged"
    )
    when_uncovered: Literal["block", "pass"] = Field(
        "block", description="whether thresholds on a benchmark that can't be judged block a model or let it pass"
    )
    composed_words: bool = Field(
        False,
        description="whether words that are not in the vocabulary are judged by vectors made of their n-grams "
        "(trainer.subwords); else questions with such words are not covered",
    )
    min_stability: Annotated[Number, Field(ge=-1, le=1)] | None = Field(
        None,
        description="the least mean cosine of a frequent word's vector with that in the last blessed model; for models "
        "in one space (trainer.align)",
    )
    bootstrap_samples: Annotated[Count, Field(ge=100, le=1_000_000)] = Field(
        1000, description="samples of the questions from which the 95 % intervals are computed"
    )
    seed: Seed = Field(1, description="decides these samples")

    @pydantic.field_validator("thresholds")
    @classmethod
    def _in_order(cls, thresholds: dict[str, Threshold]) -> dict[str, Threshold]:
        return _sorted(thresholds)


class PusherConfig(Section):
    """Where a blessed model goes."""

    destination: Path | None = Field(
        None,
        description="the folder of the versions, as TF Serving reads it; by default serving_model in the run's folder",
    )


class KeepConfig(Section):
    """What stays on the disk after a run; what is not limited stays for ever (docs/spans.md)."""

    runs: Count | None = Field(None, description="keep what the newest so many runs made")
    spans: Count | None = Field(None, description="keep the text of the newest so many spans, and always the window")
    versions: Count | None = Field(
        None, description="keep the newest so many pushed versions, and all that --explain tells of them"
    )

    @property
    def is_limited(self) -> bool:
        """Whether anything may go."""
        return any(limit is not None for limit in (self.runs, self.spans, self.versions))


class ServingConfig(Section):
    """How a blessed model is tried in TF Serving itself before it is pushed."""

    infra_validation: Literal["off", "docker", "kubernetes"] = Field(
        "off",
        description="where TFX's InfraValidator starts a TF Serving that must load the model and answer: in Docker for "
        "runs on this machine, in Kubernetes for those on Kubeflow Pipelines",
    )
    image: str = Field("tensorflow/serving", description="the image of TF Serving")
    tags: Annotated[list[str], Field(min_length=1)] = Field(
        ["2.19.1"], description="the image's tags; the model must work in each"
    )
    loading_seconds: Annotated[Count, Field(le=604_800)] = Field(
        300, description="seconds in which TF Serving must have loaded the model"
    )


class ReportConfig(Section):
    """What the report shows."""

    map_words: Annotated[Count, Field(ge=2, le=100_000)] = Field(
        1500, description="words on the map, the most frequent"
    )
    neighbour_words: Annotated[Count, Field(le=1_000_000)] = Field(
        5000, description="words whose nearest words are listed, the most frequent"
    )
    seed: Seed = Field(1, description="decides the map")


class BeamConfig(Section):
    """Which engine works through the text, and how."""

    runner: Literal["direct", "flink", "spark", "dataflow", "prism"] = Field(
        "direct",
        description="the engine of the components that read the text: this machine, or a distributed one "
        "(docs/scaling.md)",
    )
    workers: Annotated[Whole, Field(le=10_000)] = Field(
        0,
        description="direct: processes for Transform; 0 is one per core, but for less than 200 MB of text one process "
        "with one thread per core, and for less than 40 MB with one thread, because more cost more than they bring; "
        "other engines: how many tasks run at once; 0 is the number of cores here",
    )
    master: str | None = Field(
        None, description="the address of Flink's, Spark's or Prism's cluster; by default a small one on this machine"
    )
    stage: bool = Field(
        True,
        description="send this package to workers on other machines, as setup.py packs it; not needed if their image "
        "has it",
    )
    exchange: str | None = Field(
        None,
        description="on Kubeflow, a folder of a shared volume, or a URI, through which the components and the engine's "
        "workers hand each other files",
    )
    options: list[str] = Field([], description="further options of Beam, such as --region=europe-west1")


class TolerationConfig(Section):
    """Tolerates a node's taint, in Kubernetes' terms."""

    key: str
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class ResourcesConfig(Section):
    """What a component gets on a cluster; sizes in Kubernetes' terms."""

    cpu: Cores | None = None
    memory: Memory | None = None
    gpus: Annotated[Whole, Field(le=1024)] = 0
    gpu_type: str = "nvidia.com/gpu"
    node_selector: dict[str, str] = {}
    tolerations: list[TolerationConfig] = []
    retries: Whole = 0
    timeout_seconds: Count | None = None


class VolumeConfig(Section):
    """A persistent volume that every component sees."""

    claim: KubernetesName
    path: Annotated[str, Field(pattern="^/[^:]+$")]


class SecretConfig(Section):
    """A Kubernetes secret whose values every component sees as environment variables, by the secret's keys."""

    name: KubernetesName
    environment: dict[str, EnvironmentVariable]


class TrainingJobConfig(Section):
    """The job of many pods that trains where `trainer.strategy` is multi_worker."""

    workers: Annotated[Count, Field(ge=2, le=1000)] = Field(
        2, description="pods that train, of which the first is the chief; each gets what resources.Trainer says"
    )
    kind: Literal["auto", "TrainJob", "TFJob"] = Field(
        "auto",
        description="whose job it is: Kubeflow Trainer's (2.0 and newer) or the older training-operator's; auto takes "
        "the first of them that the cluster has",
    )
    restarts: Annotated[Whole, Field(le=100)] = Field(
        2, description="how often a job of which a pod has failed is made anew; it goes on from the last checkpoint"
    )
    starting_seconds: Annotated[Count, Field(le=604_800)] = Field(
        1800, description="seconds in which all pods must have started"
    )
    timeout_seconds: Annotated[Count, Field(le=31_536_000)] | None = Field(
        None, description="seconds that a job may take; by default as many as it needs"
    )


class KubeflowConfig(Section):
    """What Kubeflow Pipelines needs to know."""

    image: str = Field("tfx-word2vec:latest", description="the image of every component, made by the Dockerfile")
    root: Annotated[str, Field(pattern=r"^(minio|s3|gs)://[^/]+")] = Field(
        "minio://mlpipeline/v2/artifacts", description="the URI (minio://, s3://, gs://) below which artifacts are kept"
    )
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
        description="settings that can be changed from run to run; their parameters have _ for dots, as in "
        "trainer_epochs",
    )
    resources: dict[str, ResourcesConfig] = Field(
        {},
        description="by task, or default for all: cpu, memory, gpus, gpu_type, node_selector, tolerations, "
        "retries and timeout_seconds",
    )
    uncached: list[str] = Field(
        [],
        description="tasks that run each time; not needed for changed files: tasks that read files notice them",
    )
    volume: VolumeConfig | None = Field(None, description="claim and path of a volume, for text and pushed models")
    secrets: list[SecretConfig] = Field([], description="name and environment (variable by key) of secrets")
    image_pull_secrets: list[KubernetesName] = Field(
        [], description="names of secrets with which the image is pulled from a private registry"
    )
    host: str | None = Field(
        None, description="the address of Kubeflow Pipelines, such as https://kubeflow.example/pipeline"
    )
    namespace: KubernetesName | None = Field(None, description="the namespace of the runs, if Kubeflow has many users")
    token_file: str | None = Field(
        None,
        description="a file with the token for the login, read again when it has expired; or the token itself in "
        "the environment variable KUBEFLOW_TOKEN (docs/kubeflow.md says where to get one)",
    )
    cookie_file: str | None = Field(
        None,
        description="a file with the session's cookie (NAME=VALUE), for a login page without tokens; or the cookie "
        "itself in KUBEFLOW_COOKIE",
    )
    ca_certificate: str | None = Field(
        None, description="a file with the certificates (PEM) of the authority that signed the host's"
    )
    experiment: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "tfx-word2vec", description="the group of runs"
    )
    service_account: KubernetesName | None = Field(
        None, description="service account of the pods; by default KFP's own"
    )
    training: TrainingJobConfig = TrainingJobConfig()

    def of(self, component: str) -> ResourcesConfig:
        """What a component gets: its own settings, and for the rest those of `default`."""
        both = (self.resources.get(name, ResourcesConfig()) for name in ("default", component))
        return ResourcesConfig.model_validate(
            {key: value for one in both for key, value in one.model_dump(exclude_unset=True).items()}
        )


class Config(Section):
    """All settings of a run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)] = Field(
        description="names the run and its folder, and what is cached between runs"
    )
    root: Path = Field("runs", description="the folder of all runs")
    corpus: CorpusConfig
    skipgram: SkipGramSettings = SkipGramSettings()
    trainer: TrainerSettings = TrainerSettings()
    tuner: TunerSettings = TunerSettings()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    pusher: PusherConfig = PusherConfig()
    keep: KeepConfig = KeepConfig()
    serving: ServingConfig = ServingConfig()
    report: ReportConfig = ReportConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()

    @property
    def run_folder(self) -> str:
        """The absolute folder of this run's artifacts, metadata, logs and pushed models."""
        return os.path.join(files.absolute(self.root), self.name)

    @property
    def destination(self) -> str:
        """The absolute folder, or URI, of the pushed versions."""
        named = self.pusher.destination
        return files.absolute(named) if named else os.path.join(self.run_folder, layout.PUSHED)

    @property
    def warnings(self) -> list[str]:
        """What is allowed, but hardly meant."""
        if self.evaluator.thresholds:
            return []
        return [
            "evaluator.thresholds: none is set, so no model will be pushed, and the next run will find none to compare "
            "with or to start from. Set one, such as evaluator.thresholds={wordsim353: 0.1}"
        ]
