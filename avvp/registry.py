"""What is trained, and how much of it: the profiles and the registry of experiments.

An :class:`Experiment` says what is trained and which printed rows it regenerates; a
:class:`Profile` says how much of it. ``experiment.at(profile)`` is what actually runs, and the
difference between the two is what the status page lists. :mod:`avvp.experiments` runs them.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from avvp.data.simulate import PROFILE_SIZES, SPLITS
from avvp.errors import AvvpError
from avvp.events import Gate
from avvp.grounding import Pretraining
from avvp.losses import (
    PRINTED_ADVERSARIAL_WEIGHTS,
    RELEASED_ADVERSARIAL_WEIGHTS,
    AdversarialObjective,
    AttentionObjective,
    ContrastiveObjective,
    Objective,
)
from avvp.models import MODELS
from avvp.published import Row
from avvp.refinement import Refinement
from avvp.training import Precision, TrainingConfig, TunedTraining


@dataclass(frozen=True)
class Profile:
    """How much data, how many epochs and how many seeds.

    Attributes:
        name: in commands and paths.
        purpose: in a few words.
        train, val, test: videos.
        epochs: at most so many, whatever an experiment asks for; None: as published. Decay points
            of the learning rate move in proportion.
        seeds: training seeds 1 to n; 0: nothing is trained.
        core_only: leave out what is not ``core``, unless it is asked for by name.
        precision: of matrix products, unless an experiment overrides it.
    """

    name: str
    purpose: str
    train: int
    val: int
    test: int
    epochs: int | None = None
    seeds: int = 1
    core_only: bool = False
    precision: Precision = "float32"


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("published", "read the committed results", seeds=0, **PROFILE_SIZES["full"]),
        Profile("smoke", "check that everything executes", epochs=1, **PROFILE_SIZES["smoke"]),
        Profile(
            "quick", "try the code on a laptop", epochs=8, core_only=True, **PROFILE_SIZES["quick"]
        ),
        Profile(
            "medium",
            "a processor, a night a seed",
            epochs=12,
            seeds=3,
            precision="bfloat16",
            **PROFILE_SIZES["medium"],
        ),
        Profile(
            "full", "as published, on a GPU", seeds=5, precision="bfloat16", **PROFILE_SIZES["full"]
        ),
    )
}
"""Name -> how much of everything is computed."""


class Override(NamedTuple):
    """A value that a profile changes in one experiment, and why."""

    field: str  #: "training.learning_rate", "options.width", ...
    value: Any
    reason: str


class Change(NamedTuple):
    """A difference between an experiment as published and as a profile runs it."""

    field: str
    published: Any
    here: Any
    reason: str


def _code_outside(*kinds: type | None) -> str:
    """A hash of the files that define classes from outside the package; empty if there are none.

    A method of a reader's own is edited and run again: it must not find the weights of before.

    Raises:
        AvvpError: such a class has no source to read.
    """
    sources = {}
    for kind in kinds:
        if kind is None or kind.__module__.partition(".")[0] == "avvp":
            continue
        try:
            sources[kind.__module__] = inspect.getsource(sys.modules[kind.__module__])
        except (OSError, TypeError):  # a notebook is no file, and a class of its own has a source
            try:
                sources[kind.__qualname__] = inspect.getsource(kind)
            except (OSError, TypeError):
                raise AvvpError(
                    f"The source of {kind.__qualname__} cannot be read, so nobody could tell its "
                    "runs from those of an earlier version; define it in a file."
                ) from None
    if not sources:
        return ""
    return hashlib.sha256("".join(sources[name] for name in sorted(sources)).encode()).hexdigest()


@dataclass(frozen=True)
class Experiment:
    """One way to train and score one network.

    Attributes:
        name: ``family/variant``; also where its runs lie.
        title: in tables.
        rows: the printed rows that it regenerates.
        model: a name for :func:`avvp.models.networks.build`.
        options: keyword arguments of the model.
        objective: the loss.
        training: the protocol as published. None: nothing is trained, and the oracle decoder of
            the simulator parses the test split.
        core: trained by every profile, quick included.
        overrides: profile -> what it changes besides the number of epochs.
        reduced: how the method is smaller than the published one, in a few words; tables add it to
            the title.
        adapted: how the method differs from the one that its authors published for another task,
            likewise.
        after: the experiment whose trained network (same profile, data and seed) this one starts
            from. With ``refinement`` that network refines the labels; with ``training`` None it is
            parsed with again, under this entry's ``options``.
        refinement: drop labels before training, as MA's second stage does.
        embedded: keep a picture of the test split's events in feature space, see
            :mod:`avvp.embedding`.
        pretraining: pre-train the network on the features of the training split first.
        profiles: those that train it; others leave it out, unless it is asked for by its whole
            name. Empty: all.
        code: a hash of the code outside the package that it needs, where that cannot be read: see
            :meth:`with_code`. Empty: read it.
    """

    name: str
    title: str
    rows: tuple[Row, ...] = ()
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    training: TrainingConfig | None = field(default_factory=TrainingConfig)
    core: bool = False
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)
    reduced: str | None = None
    adapted: str | None = None
    after: str | None = None
    refinement: Refinement | None = None
    embedded: bool = False
    pretraining: Pretraining | None = None
    profiles: tuple[str, ...] = ()
    code: str = ""

    def __post_init__(self) -> None:
        if self.refinement and not (self.after and self.training):
            raise AvvpError(f"{self.name} refines labels; it needs `after` and `training`.")
        if self.after and self.training and not self.refinement:
            raise AvvpError(f"{self.name} comes after {self.after} and makes no use of it.")
        if self.pretraining and not self.training:
            raise AvvpError(f"{self.name} is pre-trained; it needs `training` too.")

    @property
    def label(self) -> str:
        """The title, and what is reduced or adapted about the method."""
        notes = {"reduced": self.reduced, "adapted": self.adapted}
        said = "; ".join(f"{kind}: {told}" for kind, told in notes.items() if told)
        return f"{self.title} ({said})" if said else self.title

    @property
    def gate(self) -> Gate | None:
        """How the test split is decoded; see :func:`avvp.events.decode`."""
        if self.training is None:
            return REGISTRY[self.after].gate if self.after else None
        return self.training.gate

    @property
    def simulated_only(self) -> bool:
        """Whether it decodes what the simulator drew, and so needs simulated data."""
        return self.training is None and self.after is None

    @property
    def depth(self) -> int:
        """How many experiments have to be run before this one."""
        return 1 + REGISTRY[self.after].depth if self.after else 0

    def trained_by(self, profile: str) -> bool:
        """Whether a profile of that name trains it, core rows or not, without naming it."""
        return profile in (self.profiles or [profile])

    def with_code(self) -> "Experiment":
        """The same, for a process that knows its classes and not the files that define them."""
        return replace(self, code=_code_outside(MODELS.get(self.model), type(self.objective)))

    def at(self, profile: Profile) -> "Experiment":
        """What a profile makes of the experiment: fewer epochs, and its own overrides.

        Raises:
            AvvpError: an override names what the experiment does not have.
        """
        changed = {change.field: change.value for change in self.overrides.get(profile.name, ())}
        options, training, pretraining = dict(self.options), self.training, self.pretraining
        if training is not None:
            epochs = min(training.epochs, profile.epochs or training.epochs)
            training = training.scaled_to(changed.pop("training.epochs", epochs))
            training = replace(training, precision=profile.precision)
        if pretraining is not None:
            epochs = min(pretraining.epochs, profile.epochs or pretraining.epochs)
            pretraining = replace(pretraining, epochs=epochs)
        for name, value in changed.items():
            part, _, entry = name.partition(".")
            if part == "options":
                options[entry] = value
            elif part == "training" and hasattr(training, entry):
                training = replace(training, **{entry: value})
            elif part == "pretraining" and hasattr(pretraining, entry):
                pretraining = replace(pretraining, **{entry: value})
            else:
                raise AvvpError(f"{self.name} overrides {name!r}, which it does not have.")
        return replace(self, options=options, training=training, pretraining=pretraining)

    def configuration(self, profile: Profile) -> dict[str, Any]:
        """What determines a run besides data and seed, in the types of JSON."""
        here = self.at(profile)
        content = {
            "model": here.model,
            "options": here.options,
            "objective": asdict(here.objective),
            "training": here.training and asdict(here.training),
            "videos": {split: getattr(profile, split) for split in SPLITS},
        }
        # Only where they are set: an entry more would change the hash of every other run.
        if code := self.code or _code_outside(MODELS.get(here.model), type(here.objective)):
            content["code"] = code
        if self.refinement:
            content["refinement"] = asdict(self.refinement)
        if here.pretraining:
            content["pretraining"] = asdict(here.pretraining)
        if self.after:
            content["after"] = {
                "experiment": self.after,
                **REGISTRY[self.after].configuration(profile),
            }
        return json.loads(json.dumps(content))

    def changes(self, profile: Profile) -> list[Change]:
        """What a profile changes, each with its reason."""
        here = self.at(profile)
        reasons = {change.field: change.reason for change in self.overrides.get(profile.name, ())}
        parts = {
            "training": [asdict(e.training) if e.training else {} for e in (self, here)],
            "pretraining": [asdict(e.pretraining) if e.pretraining else {} for e in (self, here)],
            "options": [self.options, here.options],
        }
        return [
            Change(name, before.get(entry), value, reasons.get(name, f"profile {profile.name}"))
            for part, (before, after) in parts.items()
            for entry, value in after.items()
            if before.get(entry) != value
            for name in [f"{part}.{entry}"]
        ]


_HAN_ROWS = (
    Row("mgn", "Table 1", "HAN"),
    Row("mgn", "Table 2", "MGN", "CUG off, MCG off"),
    Row("mgn", "text", "HAN"),
    Row("mgn_abstract", "Table 1", "HAN"),
    Row("mgn_abstract", "text", "HAN"),
    Row("mgn_supp", "Table 1", "HAN"),
    Row("mgn_supp", "text", "HAN"),
    Row("ma", "Table 1", "HAN"),
    Row("ma", "Table 2", "Baseline"),
    Row("ma", "text", "HAN"),
    Row("ma", "text", "Baseline"),
    Row("cross_modal", "Table 1", "HAN"),
    Row("cross_modal", "Table 2", "HAN"),
    Row("cross_modal", "text", "HAN"),
)

_MA = TrainingConfig(epochs=12, decay_every=10, selection="last", gate="modality")
"""MA's protocol as released: no selection, and each modality is filtered by itself."""

_MGN_TERMS = dict.fromkeys(("video", "audio", "visual", "token_class"), 1.0)
_MGN_SHORT = (
    Override("training.epochs", 20, "in few steps MGN hardly learns to group"),
    Override("training.decay_every", 16, "with the rate falling earlier it stops learning"),
)
"""By validation scores of one seed at medium: 24.5 Type@AV after 12 epochs, 48.9 after 20."""

_CROSS_MODAL = TrainingConfig(batch_size=64, learning_rate=6e-4, decay_factor=0.5, decay_every=6)
"""Cross-Modal learning's protocol as released."""
_CROSS_MODAL_PRINTED = replace(_CROSS_MODAL, learning_rate=3e-4, decay_every=5)


def _cross_modal_overrides(training: TrainingConfig) -> dict[str, tuple[Override, ...]]:
    """What quick, medium and full change of Cross-Modal learning's protocol.

    By validation scores of one seed at medium, Type@AV after five epochs: 19.3 as published, 26.3
    with a quarter of the batch, 46.3 with a quarter of the learning rate too (52.7 after ten). By
    those of two seeds at full after five epochs: 14.2 and 9.0 in bfloat16, 49.0 and 47.9 in
    float32, of Base + GCAA.
    """
    short = (
        Override("training.batch_size", training.batch_size // 4, "few videos make few steps"),
        Override(
            "training.learning_rate", training.learning_rate / 4, "in proportion to the batch"
        ),
        Override("training.decay_every", 4, "with the rate halved earlier it stops learning"),
    )
    exact = Override(
        "training.precision", "float32", "bfloat16 on a processor spoils the training at this rate"
    )
    return {"quick": short, "medium": short, "full": (exact,)}


_BFLOAT16: dict[str, Any] = {"overrides": {}, "profiles": ("full",)}
"""The same row in bfloat16, as profile full has the others: what that does is worth a look."""


_NO_CRITIC = Objective(
    {name: weight for name, weight in RELEASED_ADVERSARIAL_WEIGHTS.items() if name != "modality"}
)


def _both(table: str, row: str, setting: str = "") -> tuple[Row, Row]:
    """A row of MGN's first table, which its extended abstract prints too."""
    return Row("mgn", table, row, setting), Row("mgn_abstract", table, row, setting)


def _ma(variant: str, title: str, rows: tuple[Row, ...] = (), **changes: Any) -> Experiment:
    settings = {"model": "han", "objective": ContrastiveObjective(), "training": _MA}
    return Experiment(f"ma/{variant}", title, rows, **(settings | changes))


_FLOAT32: dict[str, Any] = {
    "overrides": dict.fromkeys(
        ("medium", "full"),
        (Override("training.precision", "float32", "to see what bfloat16 does to the scores"),),
    ),
    "profiles": ("medium", "full"),
}
"""The same experiment without bfloat16, where a profile has it."""


def _refined(
    variant: str,
    title: str,
    rows: tuple[Row, ...] = (),
    *,
    after: str = "ma/c",
    refinement: Refinement = Refinement(),  # noqa: B008 - frozen
    **changes: Any,
) -> Experiment:
    return _ma(variant, title, rows, after=after, refinement=refinement, **changes)


def _at_temperature(temperature: float) -> tuple[Experiment, Experiment]:
    """The base model and its retraining, both at a contrastive temperature."""
    first = f"c_temperature_{temperature}"
    told = f"MA (C+R), temperature {temperature}"
    objective = ContrastiveObjective(temperature=temperature)
    return (
        _ma(first, f"MA (C), temperature {temperature}", objective=objective),
        _refined(
            f"cr_temperature_{temperature}",
            told,
            (Row("ma", "Table 4", "MA", f"tau={temperature}"),),
            after=f"ma/{first}",
            objective=objective,
        ),
    )


def _at_smoothing(label_smoothing: float) -> tuple[Experiment, Experiment]:
    """The base model and its retraining, both with the contrastive target smoothed so much."""
    first = f"c_smoothing_{label_smoothing:g}"
    objective = ContrastiveObjective(label_smoothing=label_smoothing)
    told = f"contrastive target smoothed by {label_smoothing:g}"
    settings = {"objective": objective, "profiles": ("smoke", "sweep")}
    return (
        _ma(first, f"MA (C), {told}", **settings),
        _refined(
            f"cr_smoothing_{label_smoothing:g}",
            f"MA (C+R), {told}",
            after=f"ma/{first}",
            **settings,
        ),
    )


def _mgn(variant: str, title: str, rows: tuple[Row, ...] = (), **changes: Any) -> Experiment:
    settings = {
        "model": "mgn",
        "objective": Objective(_MGN_TERMS),
        "overrides": dict.fromkeys(("quick", "medium", "sweep"), _MGN_SHORT)
        if changes.get("training", True)
        else {},
    }
    return Experiment(f"mgn/{variant}", title, rows, **(settings | changes))


def _at_depths(unimodal: int, crossmodal: int, **changes: Any) -> Experiment:
    depths = (unimodal, unimodal, crossmodal)
    return _mgn(
        "depth_" + "_".join(map(str, depths)),
        f"MGN, depth {'/'.join(map(str, depths))}",
        (Row("mgn_supp", "Table 1", "MGN", f"CUG depth {unimodal}, MCG depth {crossmodal}"),),
        options={"depths": depths},
        **changes,
    )


def _assigned(unimodal: str, crossmodal: str) -> Experiment:
    return _mgn(
        f"{unimodal}_{crossmodal}",
        f"MGN, {unimodal} CUG, {crossmodal} MCG",
        (Row("mgn_supp", "Table 2", "MGN", f"CUG {unimodal}, MCG {crossmodal}"),),
        options={"unimodal": unimodal, "crossmodal": crossmodal},
    )


def _scored(variant: str, title: str, score: str) -> Experiment:
    """The trained MGN again, with another rule from videos to seconds."""
    return _mgn(variant, title, options={"score": score}, training=None, after="mgn/mgn")


def _cross_modal(
    variant: str,
    title: str,
    rows: tuple[Row, ...] = (),
    *,
    skip: bool = False,
    global_context: str = "off",
    discriminator: bool = True,
    reversal: str = "released",
    **changes: Any,
) -> Experiment:
    options = {
        "skip": skip,
        "global_context": global_context,
        "discriminator": discriminator,
        "reversal": reversal,
    }
    settings = {
        "model": "cross_modal",
        "options": options,
        "objective": AdversarialObjective() if discriminator else _NO_CRITIC,
        "training": _CROSS_MODAL,
    } | changes
    settings.setdefault("overrides", _cross_modal_overrides(settings["training"]))
    return Experiment(f"cross_modal/{variant}", title, rows, **settings)


def _cross_modal_rows(row: str) -> tuple[Row, Row]:
    return Row("cross_modal", "Table 1", row), Row("cross_modal", "Table 2", row)


_AVG = TrainingConfig(batch_size=64, learning_rate=1e-6, decay_factor=1.0)
"""Fine-tuning as released: one small rate, all the time."""
_SMALL = {"hidden": 256, "layers": 2, "intermediate": 768}
_AVG_RATE = (
    "at the released 1e-6 fine-tuning leaves the scores where they are if everything is predicted"
)
_AVG_FINE_TUNING = (Override("training.learning_rate", 1e-4, _AVG_RATE),)
_AVG_PRETRAINING = (
    Override("pretraining.learning_rate", 1e-4, "at the released 1e-6 so few steps change nothing"),
)
_AVG_LONGER = (Override("training.epochs", 24, "with batches of 64 videos an epoch is few steps"),)
"""By validation scores of one seed at medium: 45.6 Type@AV after 12 epochs, 50.8 after 24."""


def _pretrained(
    variant: str,
    title: str,
    *,
    printed: bool = False,
    pretraining: Pretraining | None = Pretraining(),  # noqa: B008 - frozen
    **changes: Any,
) -> Experiment:
    """AVG reduced in size, with rates to match; its own hidden sizes keep the released ratio."""
    rows = [Row("cross_modal", f"Table {table}", title) for table in (1, 2)] if printed else []
    rates = _AVG_FINE_TUNING + (_AVG_PRETRAINING if pretraining else ())
    settings = {
        "model": "avg",
        "options": _SMALL,
        "training": _AVG,
        "overrides": dict.fromkeys(("smoke", "full"), rates)
        | dict.fromkeys(("quick", "medium"), rates + _AVG_LONGER),
        "reduced": "hidden 256, 2 layers, learning rate 1e-4",
        "pretraining": pretraining,
    }
    return Experiment(f"cross_modal/{variant}", title, tuple(rows), **(settings | changes))


_MORE_STEPS = {
    profile: (
        Override("training.epochs", epochs, "a maximum over time teaches one second a step"),
        Override("training.batch_size", 16, "at 64 there are too few steps"),
    )
    for profile, epochs in (("quick", 12), ("medium", 20))
}
"""By validation scores of one seed at quick."""


def _older(name: str, title: str, *, both: bool, **settings: Any) -> Experiment:
    """A method for another task, adapted to LLP by the authors of HAN, and here anew."""
    rows = (*(_both("Table 1", title) if both else ()), Row("ma", "Table 1", title))
    return Experiment(f"older/{name}", title, rows, model=name, core=True, **settings)


_MA_CR_ROWS = (
    *_both("Table 1", "MA", "C+R"),
    Row("ma", "Table 1", "MA", "C+R"),
    Row("ma", "Table 2", "MA", "C+R"),
    Row("ma", "Table 3", "MA", "refine=both"),
    Row("ma", "Table 4", "MA", "tau=0.2"),
    Row("ma", "text", "MA", "C+R"),
    Row("cross_modal", "Table 1", "MA", "C+R"),
    Row("cross_modal", "Table 2", "MA", "C+R"),
)
_MGN_ROWS = (
    *_both("Table 1", "MGN"),
    Row("mgn", "Table 2", "MGN", "CUG on, MCG on"),
    Row("mgn", "text", "MGN"),
    Row("mgn_abstract", "text", "MGN"),
    Row("mgn_supp", "Table 1", "MGN", "CUG depth 3, MCG depth 6"),
    Row("mgn_supp", "Table 2", "MGN", "CUG soft, MCG soft"),
)

REGISTRY: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("han/han", "HAN", _HAN_ROWS, model="han", core=True, embedded=True),
        Experiment(
            "han/unsmoothed",
            "HAN, no label smoothing",
            model="han",
            objective=Objective(visual_smoothing=0.0),
        ),
        Experiment("han/float32", "HAN, in float32", model="han", **_FLOAT32),
        Experiment(
            "reference/linear",
            "Linear, mean pooling",
            model="linear",
            # At HAN's rate the layer is still far from its optimum after 40 epochs: a floor that is
            # too low would flatter everything above it.
            training=TrainingConfig(learning_rate=3e-3),
            core=True,
            overrides={
                profile: (Override("training.epochs", 40, "40 epochs of it take seconds"),)
                for profile in ("quick", "medium")
            },
        ),
        Experiment("reference/oracle", "Oracle decoder", training=None, core=True),
        _older(
            "ave",
            "AVE",
            both=True,
            adapted="appearance and motion for regions, standardised features, two more heads",
            objective=Objective(visual_smoothing=0.0),
            training=TrainingConfig(batch_size=64, learning_rate=1e-3, decay_factor=1.0),
            overrides=_MORE_STEPS,
        ),
        _older(
            "avsdn",
            "AVSDN",
            both=True,
            adapted="standardised features, two branches beside the fused state",
            objective=Objective(visual_smoothing=0.0),
            training=TrainingConfig(batch_size=64, learning_rate=1e-3, decay_factor=1.0),
            overrides=_MORE_STEPS,
        ),
        _older(
            "talnet",
            "TALNet",
            both=False,
            adapted="VGGish for its convolutions",
            objective=Objective({"audio": 1.0}),
            training=TunedTraining(
                batch_size=64, learning_rate=1e-3, decay_factor=0.8, patience=3, tuned="classes"
            ),
        ),
        _older(
            "stpn",
            "STPN",
            both=False,
            adapted="ResNet and R(2+1)D for I3D",
            objective=AttentionObjective({"visual": 1.0, "sparsity": 1e-4}),
            training=TunedTraining(learning_rate=1e-4, decay_factor=1.0, tuned="pair"),
            overrides=dict.fromkeys(
                ("quick", "medium"),
                (
                    Override(
                        "training.epochs", 20, "at its small rate 8 epochs reach half the score"
                    ),
                ),
            ),
        ),
        _older(
            "cmcs",
            "CMCS",
            both=False,
            adapted="sigmoids, no background class",
            # The other weights are for a cross-entropy that is a sum over classes, not a mean.
            objective=AttentionObjective({"visual": 25.0, "diversity": 0.2, "balance": 0.2}),
            training=TunedTraining(learning_rate=1e-4, decay_factor=1.0, weight_decay=1e-3),
            overrides=dict.fromkeys(
                ("quick", "medium"),
                (
                    Override("training.epochs", 40, "its score still grows after 20"),
                    Override("training.learning_rate", 1e-3, "at 1e-4 it finds next to nothing"),
                ),
            ),
        ),
        _ma("base", "HAN, MA's protocol", objective=Objective()),
        _ma(
            "c",
            "MA (C)",
            (*_both("Table 1", "MA", "C"), Row("ma", "Table 2", "MA", "C")),
            core=True,
        ),
        _refined(
            "r",
            "MA (R)",
            (
                *_both("Table 1", "MA", "R"),
                Row("ma", "Table 2", "MA", "R"),
                Row("ma", "text", "MA", "R"),
            ),
            objective=Objective(),
            core=True,
        ),
        _ma("c_float32", "MA (C), in float32", **_FLOAT32),
        _refined("cr", "MA (C+R)", _MA_CR_ROWS, core=True, embedded=True),
        _refined(
            "cr_audio",
            "MA (C+R), audio labels refined",
            (Row("ma", "Table 3", "MA", "refine=audio"),),
            refinement=Refinement(modality="audio"),
        ),
        _refined(
            "cr_visual",
            "MA (C+R), visual labels refined",
            (Row("ma", "Table 3", "MA", "refine=visual"),),
            refinement=Refinement(modality="visual"),
        ),
        _refined(
            "cr_intended",
            "MA (C+R), video label kept",
            refinement=Refinement(released=False),
        ),
        _refined(
            "cr_partners",
            "MA (C+R), four partners a video",
            refinement=Refinement(partners=4),
        ),
        # What papers say and releases do not, see differences.csv.
        _ma(
            "two_terms",
            "HAN, MA's protocol, two terms",
            objective=Objective({"audio": 1.0, "visual": 1.0}, visual_smoothing=0.0),
        ),
        _ma(
            "c_one_hot",
            "MA (C), contrast as printed",
            objective=ContrastiveObjective(label_smoothing=0.0),
        ),
        _refined(
            "r_from_base", "MA (R), labels refined by HAN", after="ma/base", objective=Objective()
        ),
        *_at_temperature(0.1),
        *_at_temperature(0.3),
        *_at_temperature(0.4),
        *_at_smoothing(0.0),
        *_at_smoothing(0.3),
        _mgn("mgn", "MGN", _MGN_ROWS, core=True, embedded=True),
        _mgn(
            "c",
            "MGN (C)",
            _both("Table 1", "MGN", "C"),
            objective=ContrastiveObjective({**_MGN_TERMS, "contrastive": 1.0}),
        ),
        _mgn(
            "r",
            "MGN (R)",
            _both("Table 1", "MGN", "R"),
            after="ma/c",
            refinement=Refinement(),
        ),
        _mgn(
            "cr",
            "MGN (C+R)",
            _both("Table 1", "MGN", "C+R"),
            objective=ContrastiveObjective({**_MGN_TERMS, "contrastive": 1.0}),
            after="ma/c",
            refinement=Refinement(),
        ),
        _mgn(
            "cug_only",
            "MGN, CUG only",
            (Row("mgn", "Table 2", "MGN", "CUG on, MCG off"),),
            options={"crossmodal_grouping": False},
        ),
        _mgn(
            "mcg_only",
            "MGN, MCG only",
            options={"unimodal_grouping": False, "score": "video"},
        ),
        _at_depths(1, 2, core=True),
        _at_depths(2, 4),
        _at_depths(4, 8),
        _at_depths(3, 3),
        _at_depths(6, 3),
        _assigned("hard", "soft"),
        _assigned("soft", "hard"),
        _assigned("hard", "hard"),
        _mgn(
            "soft_throughout",
            "MGN, extra block soft too",
            options={"extra_grouping": "intended"},
        ),
        _mgn(
            "localising",
            "MGN, ours: scored by segment, sound in its own time",
            options={"audio_time": "own", "score": "segments"},
        ),
        _scored("as_printed", "MGN, Eq. 18 as printed", "printed"),
        _scored("over_time", "MGN, softmax over time", "over_time"),
        _scored("every_second", "MGN, video scores in every second", "video"),
        # Every released variant has the discriminator, "Base" too; in those with global context all
        # seconds get the first one's read-out. The printed numbers came from these.
        _cross_modal("base", "Base", _cross_modal_rows("Base"), core=True),
        _cross_modal(
            "gcaa", "Base + GCAA", _cross_modal_rows("Base + GCAA"), global_context="released"
        ),
        _cross_modal(
            "adv_skip", "Base + Adv + Skip", _cross_modal_rows("Base + Adv + Skip"), skip=True
        ),
        _cross_modal(
            "adv_skip_gcaa",
            "Base + Adv + Skip + GCAA",
            (
                *_cross_modal_rows("Base + Adv + Skip + GCAA"),
                Row("cross_modal", "text", "Base + Adv + Skip + GCAA"),
            ),
            skip=True,
            global_context="released",
            core=True,
        ),
        _cross_modal("base_intended", "Base, no discriminator", discriminator=False),
        _cross_modal(
            "gcaa_intended",
            "Base + GCAA, own read-outs, no discriminator",
            global_context="intended",
            discriminator=False,
        ),
        _cross_modal(
            "skip_intended", "Base + Skip, no discriminator", skip=True, discriminator=False
        ),
        _cross_modal(
            "adv_skip_from_zero",
            "Base + Adv + Skip, reversal from zero",
            skip=True,
            reversal="intended",
        ),
        _cross_modal(
            "adv_skip_minus",
            "Base + Adv + Skip, critic's loss subtracted",
            skip=True,
            objective=AdversarialObjective({**RELEASED_ADVERSARIAL_WEIGHTS, "modality": -0.3}),
        ),
        _cross_modal(
            "adv_skip_gcaa_intended",
            "Base + Adv + Skip + GCAA, own read-outs",
            skip=True,
            global_context="intended",
        ),
        _cross_modal(
            "adv_skip_gcaa_printed",
            "Base + Adv + Skip + GCAA, all as printed",
            skip=True,
            global_context="intended",
            reversal="intended",
            objective=AdversarialObjective(PRINTED_ADVERSARIAL_WEIGHTS),
            training=_CROSS_MODAL_PRINTED,
        ),
        _cross_modal(
            "gcaa_bfloat16", "Base + GCAA, in bfloat16", global_context="released", **_BFLOAT16
        ),
        _cross_modal(
            "adv_skip_gcaa_bfloat16",
            "Base + Adv + Skip + GCAA, in bfloat16",
            skip=True,
            global_context="released",
            **_BFLOAT16,
        ),
        _pretrained("pretrain_uni", "Pretrain (uni)", printed=True, pretraining=Pretraining("uni")),
        _pretrained(
            "pretrain_cross",
            "Pretrain (cross)",
            printed=True,
            pretraining=Pretraining("cross", selection="first"),
        ),
        _pretrained("pretrain_multi", "Pretrain (multi)", printed=True, core=True),
        _pretrained("pretrain_none", "The same network, not pre-trained", pretraining=None),
        _pretrained(
            "pretrain_intended",
            "Pretrain (multi), by the equations",
            options={**_SMALL, "dropout": 0.1, "positions": "sinusoid"},
            pretraining=Pretraining(
                alternate=False,
                every_query=True,
                visual_3d=True,
                validated_on="connectivity",
                keep_optimizer=False,
            ),
        ),
        _pretrained(
            "pretrain_full_size",
            "Pretrain (multi), released size and rates",
            options={},
            overrides=dict.fromkeys(
                ("smoke", "one-step"),
                tuple(
                    Override(f"options.{name}", size, "a step of 136 million numbers takes minutes")
                    for name, size in _SMALL.items()
                ),
            ),
            reduced=None,
            profiles=("smoke", "full"),
        ),
    )
}
"""Every experiment, by name; tables and the status page keep this order."""
