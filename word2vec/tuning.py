"""The search for better settings of the training: what is tuned, which values are tried, and by what."""

from __future__ import annotations

import difflib
import functools
import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

import pydantic
from pydantic import Field

from word2vec.errors import UserError
from word2vec.settings import Count, Number, Section, Seed, TrainerSettings

Algorithm = Literal["random", "bayesian", "hyperband"]
Scale = Literal["log", "linear"]

# What users put before a setting's name, and KerasTuner has in its hyperparameters' names.
GROUP = "trainer."

# What KerasTuner's hyperband calls the epochs of a trial.
EPOCHS = "tuner/epochs"

# The settings that decide how good the vectors are. The others say how fast and where they are made, or from what they
# start.
TUNABLE = (
    "dimensions", "epochs", "architecture", "loss", "negatives", "shared_negatives", "sampler", "noise_power", "bias",
    "bias_start", "bias_learning_rate", "remove_accidental_hits", "window_weights", "optimizer", "learning_rate",
    "min_learning_rate", "warmup_steps", "block_length", "blocks_per_step",
)  # fmt: skip

# Hyperband drops all but one of so many settings, and gives that one so many times the epochs.
FACTOR = 3

# Combinations of values that are looked at before a run.
_MOST_COMBINATIONS = 10_000

# Settings that a warm start takes from the last blessed model, or sets itself where the second one has a value.
_OF_THE_EARLIER_MODEL = ("dimensions", "architecture")
_SET_BY_A_WARM_START = {"epochs": "warm_start_epochs", "learning_rate": "warm_start_learning_rate"}


class Range(NamedTuple):
    """All numbers from one to another, both among them.

    Attributes:
        low: the least.
        high: the greatest.
        scale: whether they are tried evenly, or evenly by their logarithm.
    """

    low: float
    high: float
    scale: Scale

    @property
    def ends(self) -> tuple[Any, ...]:
        """Those by which it can be told whether a setting takes all of them."""
        return self.low, self.high


class Choice(NamedTuple):
    """Some values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values


def parse(name: str, values: Sequence[Any]) -> Range | Choice:
    """What is tried of a setting.

    Args:
        name: of a setting of the trainer.
        values: some values; or two numbers, and `log` or `linear` for all numbers between.

    Raises:
        ValueError: the setting cannot be tuned, or does not take these values.
    """
    _check_name(name)
    if len(values) == 3 and values[-1] in get_args(Scale):
        return _range(name, values)
    found = tuple(_value(name, value) for value in values)
    if len(set(found)) < max(len(found), 2):
        raise ValueError(f"{name}: expected two different values or more, or [least, greatest, log] or linear")
    return Choice(found)


def _check_name(name: str) -> None:
    if name in TUNABLE:
        return
    if name in TrainerSettings.model_fields:
        raise ValueError(f"{name}: cannot be tuned. Of trainer's settings these can: {', '.join(TUNABLE)}")
    near = difflib.get_close_matches(name, TUNABLE, n=1)
    raise ValueError(f"{name}: trainer has no such setting" + (f". Did you mean {near[0]}" if near else ""))


def _range(name: str, values: Sequence[Any]) -> Range:
    low, high = (_value(name, value) for value in values[:2])
    if not all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high)):
        raise ValueError(f"{name}: has no numbers between two values. Expected a list of its values")
    if low >= high:
        raise ValueError(f"{name}: {low:g} is not below {high:g}. Expected [least, greatest, {values[-1]}]")
    if values[-1] == "log" and low <= 0:
        raise ValueError(f"{name}: {low:g} has no logarithm. Expected a number above 0, or linear for log")
    return Range(low, high, values[-1])


def _value(name: str, value: Any) -> Any:
    """A value as the setting has it, in its type."""
    try:
        return _adapter(name).validate_python(value)
    except pydantic.ValidationError as error:
        raise ValueError(f"{name} = {value!r}: {_message(error)}") from None


@functools.cache
def _adapter(name: str) -> pydantic.TypeAdapter[Any]:
    """What holds a value against the setting's own type and limits, whatever the other settings are."""
    field = TrainerSettings.model_fields[name]
    kind: Any = operator.getitem(Annotated, (field.annotation, *field.metadata, name))
    return pydantic.TypeAdapter(kind, config=pydantic.ConfigDict(allow_inf_nan=False))


def _message(error: pydantic.ValidationError) -> str:
    message = error.errors()[0]["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


class TunerSettings(Section):
    """The search for better settings of the training."""

    trials: Annotated[Count, Field(le=10_000)] | None = Field(
        None,
        description="how many settings are tried at most, each by a training; the model is trained with the best. By "
        "default nothing is tuned (docs/tuning.md)",
    )
    trainer: dict[str, list[bool | int | float | str]] = Field(
        {},
        description="what is tuned, by the names of trainer's settings: [100, 200, 300] tries these values, "
        "[0.01, 0.1, log] any between, evenly by their logarithm, [0.01, 0.1, linear] evenly",
    )
    algorithm: Algorithm = Field(
        "random",
        description="which settings are tried: any; bayesian: those that should be good after what the trials before "
        "gave; hyperband: many with few epochs, and the best of them with more, up to trainer.epochs",
    )
    weights: dict[str, Annotated[Number, Field(ge=0, le=1e6)]] = Field(
        {},
        description="by benchmark: how much it counts in the score of a trial, the mean of the benchmarks'; 1 where "
        "nothing is set, 0 leaves it out",
    )
    seed: Seed = Field(1, description="decides which settings are tried")
    questions_seed: Seed = Field(
        1, description="decides by which half of the questions trials are judged; the gate judges by the other half"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _without_dots(cls, value: Any) -> Any:
        """As it may be written: trainer.learning_rate for trainer: {learning_rate}."""
        dotted = [key for key in value if isinstance(key, str) and "." in key] if isinstance(value, dict) else []
        for key in dotted:
            if not key.startswith(GROUP):
                raise ValueError(f"{key}: cannot be tuned. Expected settings of trainer, as trainer.learning_rate")
        if not dotted:
            return value
        nested = value.get("trainer") or {}
        rest = {key: each for key, each in value.items() if key not in dotted}
        return {**rest, "trainer": {**nested, **{key.removeprefix(GROUP): value[key] for key in dotted}}}

    @pydantic.field_validator("trainer")
    @classmethod
    def _can_be_tried(cls, wanted: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """In the types of the settings, and in the order of their names: a mapping that went through KFP has none."""
        parsed = {name: parse(name, wanted[name]) for name in sorted(wanted)}
        return {name: [*found] if isinstance(found, Range) else [*found.values] for name, found in parsed.items()}

    @pydantic.field_validator("weights")
    @classmethod
    def _in_order(cls, weights: dict[str, float]) -> dict[str, float]:
        return dict(sorted(weights.items()))

    @property
    def is_on(self) -> bool:
        """Whether anything is tuned."""
        return self.trials is not None

    @property
    def space(self) -> dict[str, Range | Choice]:
        """What is tried, by the names of trainer's settings."""
        return {name: parse(name, values) for name, values in self.trainer.items()}


def check(tuner: TunerSettings, trainer: TrainerSettings) -> None:
    """Makes sure that the settings can be tuned beside the others, before anything is trained.

    Raises:
        UserError: they can't.
    """
    if not tuner.is_on:
        return
    if not tuner.trainer:
        raise UserError(
            f"tuner.trials = {tuner.trials}: there is nothing to tune. Name a setting, as in "
            "tuner.trainer.learning_rate=[0.01, 0.1, log]"
        )
    if trainer.strategy == "multi_worker":
        raise UserError("tuner.trials: one machine tunes. Expected another trainer.strategy than multi_worker")
    _check_hyperband(tuner, trainer)
    _check_earlier_model(tuner, trainer)
    _check_combinations(tuner, trainer)


def _check_hyperband(tuner: TunerSettings, trainer: TrainerSettings) -> None:
    if tuner.algorithm != "hyperband":
        return
    if "epochs" in tuner.trainer:
        raise UserError(
            "tuner.trainer.epochs: hyperband decides the epochs of a trial itself, up to trainer.epochs. Leave it out, "
            "or set tuner.algorithm=random"
        )
    if trainer.warm_start and trainer.warm_start_epochs is not None:
        raise UserError(
            "trainer.warm_start_epochs: hyperband decides the epochs of a trial itself, up to trainer.epochs. Leave it "
            "out, or set tuner.algorithm=random"
        )
    if trainer.epochs < FACTOR:
        raise UserError(
            f"tuner.algorithm = hyperband: begins with fewer epochs than trainer.epochs, which is {trainer.epochs}. "
            f"Expected at least {FACTOR}, or tuner.algorithm=random"
        )


def _check_earlier_model(tuner: TunerSettings, trainer: TrainerSettings) -> None:
    of_earlier = [name for name in _OF_THE_EARLIER_MODEL if name in tuner.trainer]
    if of_earlier and (trainer.warm_start or trainer.align != "none"):
        raise UserError(
            f"tuner.trainer.{of_earlier[0]}: with trainer.warm_start or trainer.align it is that of the last blessed "
            "model, and cannot be tuned. Leave it out"
        )
    for name, other in _SET_BY_A_WARM_START.items():
        if name in tuner.trainer and trainer.warm_start and getattr(trainer, other) is not None:
            raise UserError(f"tuner.trainer.{name}: trainer.{other} takes its place. Leave one of them out")


def _check_combinations(tuner: TunerSettings, trainer: TrainerSettings) -> None:
    """Makes sure that no value is refused because of another one."""
    ends = itertools.product(*(found.ends for found in tuner.space.values()))
    for values in itertools.islice(ends, _MOST_COMBINATIONS):
        tried = dict(zip(tuner.trainer, values, strict=True))
        try:
            combined(trainer, tried)
        except pydantic.ValidationError as error:
            raise UserError(f"tuner.trainer: {text(tried)} cannot be: {_message(error)}") from None


def combined(trainer: TrainerSettings, values: Mapping[str, Any]) -> TrainerSettings:
    """The settings of a training with others in the place of some.

    Raises:
        pydantic.ValidationError: they do not fit together.
    """
    return TrainerSettings.model_validate({**trainer.model_dump(), **values})


def tuned(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the trainer by name that KerasTuner's configuration of hyperparameters has; what else is its own.

    Args:
        hyperparameters: with `values`, by names that begin with `GROUP`.
    """
    values = hyperparameters["values"].items()
    return {name.removeprefix(GROUP): value for name, value in values if name.startswith(GROUP)}


def tried(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """As `tuned`, with the epochs that hyperband gave to the trial."""
    epochs = hyperparameters["values"].get(EPOCHS)
    return {**tuned(hyperparameters), **({} if epochs is None else {"epochs": epochs})}


def text(values: Mapping[str, Any]) -> str:
    """Settings of the trainer for people."""
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)
