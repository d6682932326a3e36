"""The simulated worlds of the sweep: one parameter of the simulator moved away from its default.

The ranges follow from what a parameter means, and were committed before any run of the sweep. A
world is named after what it changes: ``sim-asynchrony-1``; ``sim`` is the calibrated default, the
reference point of every parameter.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from avvp.data.simulate import SPLITS, SimulatorConfig
from avvp.errors import AvvpError
from avvp.registry import Profile

CALIBRATED = SimulatorConfig()
DEFAULT_WORLD = "sim"


@dataclass(frozen=True)
class Parameter:
    """One axis of the sweep.

    Attributes:
        name: in the names of worlds.
        title: in words.
        unit: of the values, or what they multiply.
        values: two and the default, in rising order.
        default: the value of the calibrated simulator.
        why: what the outer values mean, and why the range ends there.
        changes: from a value to fields of :class:`avvp.data.simulate.SimulatorConfig`.
        calibrated: whether LLP's statistics or HAN's published row say something about the value;
            of the others the default is no more than a choice.
    """

    name: str
    title: str
    unit: str
    values: tuple[float, float, float]
    default: float
    why: str
    changes: Callable[[float], dict[str, Any]]
    calibrated: bool = True

    @property
    def axis(self) -> str:
        """The title with the unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def at(self, value: float) -> str:
        """One of its values, in words: ``asynchrony 1 s``."""
        times = self.unit.endswith("×")
        told = f"× {value:g}" if times else f"{value:,g}" + (" s" if self.unit == "s" else "")
        return f"{self.title} {told}"

    def world(self, value: float) -> str:
        """The name of the world with that value, as in ``--data`` and in paths."""
        return DEFAULT_WORLD if value == self.default else f"sim-{self.name}-{value:g}"


PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "shared_dynamics",
            "shared dynamics",
            "amplitude",
            (0.0, 1.0, 3.0),
            CALIBRATED.shared_dynamics,
            "At 0 sound and image share nothing from second to second but their events. At 3 the "
            "style that they share is as strong as an event: 3 √8 = 8.5 in eight dimensions.",
            lambda value: {"shared_dynamics": value},
            calibrated=False,
        ),
        Parameter(
            "one_modality",
            "one-modality events",
            "odds ×",
            (0.25, 1.0, 4.0),
            CALIBRATED.one_modality,
            "The share itself follows from LLP's counts by class, so the odds of being heard only "
            "or seen only are scaled: 18 %, 37 % (LLP) and 63 % of the labels.",
            lambda value: {"one_modality": value},
        ),
        Parameter(
            "asynchrony",
            "asynchrony",
            "s",
            (0.0, 1.0, 2.0),
            CALIBRATED.asynchrony,
            "The default has none, so the range goes to one side. With a standard deviation of 1 s "
            "most events are seen in other seconds than annotated; 2 s is a fifth of the video.",
            lambda value: {"asynchrony": value},
            calibrated=False,
        ),
        Parameter(
            "train",
            "training videos",
            "",
            (500.0, 1_000.0, 2_000.0),
            1_000.0,
            "Half and twice the videos of the sweep, at the same epochs, hence half and twice the "
            "steps: what somebody with fewer or more recordings would run.",
            lambda value: {"train": int(value)},
        ),
        Parameter(
            "missing",
            "events without evidence",
            "×",
            (0.0, 1.0, 2.5),
            1.0,
            "From none to 25 % of the audible and 37.5 % of the visible events, still inside the "
            "range that the calibration searched (0 to 40 %).",
            lambda value: {
                name: value * getattr(CALIBRATED, name)
                for name in ("missing_audio", "missing_visual")
            },
        ),
        Parameter(
            "distractors",
            "evidence of absent classes",
            "×",
            (0.0, 1.0, 2.0),
            1.0,
            "From none to 0.6 and 0.72 distractors a video, still inside the range that the "
            "calibration searched (0 to 0.8).",
            lambda value: {
                name: value * getattr(CALIBRATED, name)
                for name in ("distractors_audio", "distractors_visual")
            },
        ),
    )
}
"""The named assumptions of the simulator that the sweep moves, one at a time."""

SWEEP = Profile(
    "sweep",
    "many small simulated worlds",
    train=1_000,
    val=200,
    test=600,
    epochs=8,
    seeds=3,
    precision="bfloat16",
)
"""How much `avvp sweep` trains in each world. The book is not built with it."""

_NAME = re.compile(r"sim-([a-z_]+)-(\d+(?:\.\d+)?)")


def is_world(data: str) -> bool:
    """Whether ``data`` names a simulated world, the default one or another."""
    return data == DEFAULT_WORLD or bool(_NAME.fullmatch(data))


def _changes(data: str) -> dict[str, Any]:
    if data == DEFAULT_WORLD:
        return {}
    name, value = _NAME.fullmatch(data).groups()
    if name not in PARAMETERS:
        raise AvvpError(
            f"{data!r} moves {name!r}; a simulated world moves one of {', '.join(PARAMETERS)}."
        )
    return PARAMETERS[name].changes(float(value))


def at_world(profile: Profile, data: str) -> Profile:
    """The profile, with as many training videos as the world ``data`` says, if it says so.

    Raises:
        AvvpError: the simulator has no such parameter.
    """
    changed = _changes(data).get("train") if is_world(data) else None
    return replace(profile, train=changed) if changed else profile


def simulator_of(data: str, profile: Profile) -> SimulatorConfig:
    """The simulated data set of a world, in the sizes of a profile.

    Raises:
        AvvpError: the simulator has no such parameter, or not that value of it.
    """
    sizes = {split: getattr(profile, split) for split in SPLITS}
    return SimulatorConfig(**(sizes | _changes(data)))
