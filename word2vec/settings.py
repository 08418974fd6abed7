"""The settings of the pairs and of the training, typed and validated; every choice and every default is stated here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field


def _is_number(value: Any) -> Any:
    """Python takes true for 1; who writes `epochs: true` means something else."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


# What TensorFlow takes for shapes and ids, int32, and what NumPy and scikit-learn take as a seed.
LARGEST = 2**31 - 1
LARGEST_SEED = 2**32 - 1

Whole = Annotated[int, BeforeValidator(_is_number), Field(ge=0, le=LARGEST)]
Count = Annotated[int, BeforeValidator(_is_number), Field(ge=1, le=LARGEST)]
Seed = Annotated[int, BeforeValidator(_is_number), Field(ge=0, le=LARGEST_SEED)]
Number = Annotated[float, BeforeValidator(_is_number)]
Share = Annotated[Number, Field(ge=0, le=1)]

Architecture = Literal["skipgram", "cbow"]
PhraseScoring = Literal["default", "npmi"]
Loss = Literal["nce", "negative_sampling", "sampled_softmax", "full_softmax"]
Sampler = Literal["unigram", "log_uniform", "uniform", "adaptive"]
Bias = Literal["expected_count", "learned"]
BiasStart = Literal["zero", "expected_count", "share"]
WindowWeights = Literal["expected", "drawn", "harmonic"]
Optimizer = Literal["sgd", "adagrad", "adam"]
Precision = Literal["float32", "bfloat16", "float16"]
TablePrecision = Literal["float32", "float16"]
Kernel = Literal["auto", "compiled", "tensorflow"]
Strategy = Literal["auto", "one_device", "mirrored", "multi_worker"]


class Section(pydantic.BaseModel):
    """Settings that cannot change; an unknown name is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class PhraseSettings(Section):
    """Which words are phrases, `new_york`; as gensim's `Phrases` has them.

    Attributes:
        min_count: a phrase and its words occur at least so often.
        threshold: a phrase has a higher score; those of npmi are from -1 to 1.
        scoring: see `phrases.score`.
        passes: how often phrases are joined: `new_york_city` takes two.
    """

    min_count: Count = 5
    threshold: Number = 10.0
    scoring: PhraseScoring = "default"
    passes: Annotated[Count, Field(le=5)] = 1

    @pydantic.model_validator(mode="after")
    def _can_be_reached(self) -> PhraseSettings:
        if self.scoring == "npmi" and not -1 <= self.threshold < 1:
            raise ValueError(f"threshold {self.threshold:g}: scores of npmi are from -1 to 1. Set one such as 0.5")
        return self


class SubwordSettings(Section):
    """Of which character n-grams a word's vector is the mean, beside a row of its own; as in fastText.

    Attributes:
        min: characters of the shortest.
        max: of the longest.
        buckets: n-grams share so many rows, by their hash.
    """

    min: Annotated[Count, Field(le=16)] = 3
    max: Annotated[Count, Field(le=16)] = 6
    buckets: Count = 2_000_000

    @pydantic.model_validator(mode="after")
    def _are_some(self) -> SubwordSettings:
        if self.min > self.max:
            raise ValueError(f"min {self.min}: is more than max {self.max}")
        return self

    @classmethod
    def of(cls, numbers: Iterable[int]) -> SubwordSettings:
        """From `min`, `max` and `buckets`, as `numbers` gives them."""
        return cls(**dict(zip(("min", "max", "buckets"), map(int, numbers), strict=True)))

    @property
    def numbers(self) -> list[int]:
        """`min`, `max` and `buckets`."""
        return [self.min, self.max, self.buckets]


class SkipGramSettings(Section):
    """From text to skip-gram pairs."""

    window: Annotated[Count, Field(le=100)] = Field(
        5, description="the greatest distance of a context word; each position draws its own radius from 1 to this"
    )
    min_count: Count = Field(5, description="rarer words are left out of the vocabulary")
    max_vocabulary: Annotated[Count, Field(ge=2)] | None = Field(
        None, description="keep only this many of the most frequent words"
    )
    max_single_letter_share: Share = Field(
        0.5,
        description="share of the text that may be letters and digits that stand alone; above it the run stops before "
        "it trains, because such text was mostly decoded wrong",
    )
    subsampling: Annotated[Number, Field(ge=0, lt=1)] = Field(
        1e-3, description="words above this share of the text are thinned out; 0 keeps all"
    )
    phrases: PhraseSettings | None = Field(
        None,
        description="joins words that often stand together (new_york): {} for min_count 5, threshold 10, scoring "
        "default (or npmi, with a threshold such as 0.5) and passes 1 (docs/corpus.md)",
    )
    seed: Seed = Field(1, description="decides which words subsampling keeps, and the radii")


# The learning rate of each optimizer, where none is set. CBOW has one pair per position, where skip-gram has one per
# word around it, and wants longer steps (docs/training.md).
LEARNING_RATES: dict[Optimizer, float] = {"sgd": 0.03, "adagrad": 0.1, "adam": 0.001}
_CBOW_SGD = 0.06

# Positions that the compiled kernel trains on for each of steps_per_call: more than TensorFlow's steps have, for it is
# faster and should look at the clock as seldom.
COMPILED_POSITIONS = 5120

# What the compiled kernel can train with.
_COMPILED: dict[str, tuple[Any, ...]] = {
    "loss": ("nce", "negative_sampling", "sampled_softmax"),
    "optimizer": ("sgd", "adagrad"),
    "precision": ("float32",),
    "strategy": ("auto", "one_device", "mirrored", "multi_worker"),
    "blocks_per_step": (None, 1),
}


class TrainerSettings(Section):
    """The model and its training."""

    dimensions: Annotated[Count, Field(le=65_536)] = Field(128, description="the length of a word's vector")
    epochs: Annotated[Count, Field(le=1_000_000)] = Field(5, description="passes over all pairs")
    architecture: Architecture = Field(
        "skipgram", description="skipgram predicts the words around a word, cbow a word from those around it"
    )
    subwords: SubwordSettings | None = Field(
        None,
        description="a word's vector is the mean of a row of its own and of those of its character n-grams, and words "
        "that are not in the vocabulary have one too, as in fastText: {} for min 3, max 6 and buckets 2000000 "
        "(docs/training.md)",
    )
    loss: Loss = Field("nce", description="what is minimised (docs/nce.md)")
    negatives: Annotated[Count, Field(le=1_000_000)] = Field(5, description="noise words per pair")
    shared_negatives: Annotated[Count, Field(le=1_000_000)] = Field(
        20,
        description="noise words drawn per block and shared by its pairs, "
        "each weighted by negatives / shared_negatives",
    )
    sampler: Sampler = Field(
        "unigram", description="how noise words are drawn; adaptive draws words that the model finds hard more often"
    )
    noise_power: Annotated[Number, Field(ge=0, le=2)] = Field(
        0.6, description="unigram and adaptive draw in proportion to a word's count to this power (docs/nce.md)"
    )
    bias: Bias = Field(
        "expected_count",
        description="bias of a context word: fixed at log(expected count), or learned as in the textbook (docs/nce.md)",
    )
    bias_start: BiasStart = Field(
        "zero", description="where a learned bias starts: at 0, at log(expected count), or at the log of a word's share"
    )
    bias_learning_rate: Annotated[Number, Field(gt=0, le=10)] | None = Field(
        None, description="a learned bias' own learning rate at the start; by default that of the vectors"
    )
    remove_accidental_hits: bool = Field(
        True, description="noise that is a pair's own context word does not count for that pair"
    )
    window_weights: WindowWeights = Field(
        "expected",
        description="how much a pair counts by its distance: expected: its probability to be within a drawn radius; "
        "drawn: 1 if it is within the radius that Transform drew; harmonic: 1 / distance, as in GloVe",
    )
    optimizer: Optimizer = Field(
        "sgd", description="adagrad has one accumulator per row; adam leaves untouched rows alone"
    )
    learning_rate: Annotated[Number, Field(gt=0, le=10)] | None = Field(
        None,
        description="learning rate at the start; it falls linearly to 0. By default "
        + ", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())
        + f"; {_CBOW_SGD:g} for sgd with cbow",
    )
    min_learning_rate: Annotated[Number, Field(ge=0, le=10)] = Field(
        1e-4, description="the learning rate never falls below this"
    )
    warmup_steps: Whole = Field(0, description="steps over which the learning rate rises first")
    block_length: Annotated[Count, Field(le=1_000_000)] = Field(
        32, description="positions whose pairs are computed by one matrix product"
    )
    blocks_per_step: Annotated[Count, Field(le=1_000_000)] | None = Field(
        None,
        description="blocks per update of the TensorFlow model, of all devices together; more is faster and, past some "
        "hundred positions, less stable. By default 16, and fewer if one word would come too often in them; the "
        "compiled kernel always updates after each block",
    )
    steps_per_call: Count = Field(
        200,
        description="steps between two looks at the clock (progress, logs, checkpoints); for the compiled kernel, "
        f"whose steps are single blocks, this many times {COMPILED_POSITIONS:,} positions",
    )
    precision: Precision = Field("float32", description="of the products; sums are always float32")
    table_precision: TablePrecision = Field(
        "float32",
        description="of the vectors while they are trained: float16 halves their memory; for the compiled kernel alone "
        "(docs/scaling.md)",
    )
    kernel: Kernel = Field(
        "auto",
        description="what trains: machine code on a CPU's cores, where every block is a step, or the TensorFlow model; "
        "auto: the first wherever it can (docs/training.md)",
    )
    strategy: Strategy = Field(
        "auto",
        description="how training is spread; auto: the tf.distribute strategy in whose scope it is started, "
        "else every GPU there is, else the CPU; multi_worker: as TF_CONFIG says (docs/training.md)",
    )
    exchange_positions: Annotated[Count, Field(le=10**12)] = Field(
        5_000_000,
        description="with multi_worker on CPUs: how many words each worker trains on, after subsampling, between two "
        "exchanges; there are at least 20 per epoch (docs/scaling.md)",
    )
    deterministic: bool = Field(
        False,
        description="one exact stream of steps on a CPU, instead of one per core on shared tables: "
        "the same result to the bit, at a little more than half of the speed on two cores",
    )
    checkpoint_seconds: Annotated[Number, Field(ge=0, le=LARGEST)] = Field(
        30, description="time between two checkpoints, from which an interrupted training goes on"
    )
    warm_start: bool = Field(
        False, description="start from the vectors of the last blessed model, for the words that it has"
    )
    warm_start_learning_rate: Annotated[Number, Field(gt=0, le=10)] | None = Field(
        None, description="the learning rate at the start, if there was a model to start from"
    )
    warm_start_epochs: Annotated[Count, Field(le=1_000_000)] | None = Field(
        None, description="passes over all pairs, if there was a model to start from"
    )
    align: Literal["none", "last_blessed"] = Field(
        "none",
        description="last_blessed: turn the vectors into the space of the last blessed model, so that the vectors of "
        "both can be compared; cosines within a model stay what they are",
    )
    max_drift: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None,
        description="the greatest divergence (Jensen-Shannon, 0 to 1) of the text's words from those of the last "
        "blessed model: beyond it nothing is trained, for the text may be broken",
    )
    seed: Seed = Field(1, description="decides the initial vectors, the noise words and the order of the blocks")

    @property
    def needs_earlier_model(self) -> bool:
        """Whether a training looks at the last blessed model, if there is one."""
        return self.warm_start or self.align != "none" or self.max_drift is not None

    @pydantic.model_validator(mode="after")
    def _learning_rate_falls(self) -> TrainerSettings:
        first = self.first_learning_rate
        if self.min_learning_rate > first:
            raise ValueError(f"min_learning_rate ({self.min_learning_rate}) is above learning_rate ({first})")
        return self

    @pydantic.model_validator(mode="after")
    def _kernel_knows_the_rest(self) -> TrainerSettings:
        if self.kernel == "compiled" and (why := self.why_not_compiled()):
            raise ValueError(f"kernel = compiled: does not know {why}. Set kernel=auto")
        if self.table_precision != "float32" and (self.kernel == "tensorflow" or self.why_not_compiled()):
            why = self.why_not_compiled() or "kernel = tensorflow"
            raise ValueError(
                f"table_precision = {self.table_precision}: only the compiled kernel has it, and it does not train "
                f"with {why}. Change that, or set table_precision=float32"
            )
        return self

    @property
    def first_learning_rate(self) -> float:
        """The vectors' learning rate at the start, unless the model is a warm one with a rate of its own."""
        has_own = self.architecture == "cbow" and self.optimizer == "sgd"
        return self.learning_rate or (_CBOW_SGD if has_own else LEARNING_RATES[self.optimizer])

    @property
    def first_bias_learning_rate(self) -> float:
        """A learned bias' learning rate at the start."""
        return self.bias_learning_rate or self.first_learning_rate

    def filled(self) -> dict[str, Any]:
        """All settings by name, with the learning rates where none are set."""
        return {
            **self.model_dump(),
            "learning_rate": self.first_learning_rate,
            "bias_learning_rate": self.first_bias_learning_rate,
        }

    def why_not_compiled(self) -> str | None:
        """The first of the settings that only the TensorFlow model knows, as `name = value`; else None."""
        for name, values in _COMPILED.items():
            if getattr(self, name) not in values:
                return f"{name} = {getattr(self, name)}"
        if self.subwords and self.optimizer != "sgd":
            return f"subwords with optimizer = {self.optimizer}"
        return None
