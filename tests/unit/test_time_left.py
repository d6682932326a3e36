"""The time that runs will still take: arithmetic on runs whose seconds are made up."""

import pytest

from avvp.experiments import PROFILES, REGISTRY
from avvp.results import Run
from avvp.time_left import ENOUGH, Range, Task, TimeLeft, Work, in_words, scaled, work_of

CONFIGURATION = {
    "model": "han",
    "options": {},
    "training": {"epochs": 10, "batch_size": 16},
    "videos": {"train": 1000, "val": 10, "test": 30},
}


def configured(**changes) -> dict:
    return CONFIGURATION | changes


def measured(experiment: str, seconds: float, *, device: str = "ours", **changes) -> Run:
    configuration = configured(**{"options": {"of": experiment}} | changes)
    settings = {"configuration": configuration, "device": device, "seconds": seconds}
    common = {
        "profile": "full",
        "data": "sim",
        "simulated": True,
        "seed": 1,
        "data_fingerprint": "",
        "commit": "",
        "versions": {},
        "peak_memory": 0,
        "parameters": 0,
        "metrics": {},
        "counts": [],
        "hash": "",
    }
    return Run(experiment=experiment, **settings, **common)


def task(experiment: str, seed: int = 1, **changes) -> Task:
    configuration = configured(**{"options": {"of": experiment}} | changes)
    return Task(f"{experiment} seed {seed}", experiment, configuration)


def test_work_is_steps_and_videos_of_all_epochs():
    assert work_of(CONFIGURATION) == Work(10 * 63, 10_000)
    pretraining = {"epochs": 3, "batch_size": 100}
    assert work_of(configured(pretraining=pretraining)) == Work(10 * 63 + 30, 13_000)
    assert work_of(configured(training=None)) == Work(30, 30)
    full = {name: work_of(e.configuration(PROFILES["full"])) for name, e in REGISTRY.items()}
    assert full["han/han"] == Work(40 * 625, 400_000)


def test_twice_the_epochs_take_twice_the_time():
    longer = configured(training={"epochs": 20, "batch_size": 16})
    assert scaled(measured("a", 60, options={}), longer) == Range(120, 120)


def test_with_a_larger_batch_steps_or_videos_may_count():
    larger = configured(training={"epochs": 10, "batch_size": 64})
    assert scaled(measured("a", 63, options={}), larger) == Range(16, 63)


def test_another_network_says_nothing():
    assert scaled(measured("a", 60, options={"width": 64}), CONFIGURATION) is None
    assert scaled(measured("a", 60, options={}, model="mgn"), CONFIGURATION) is None


def test_a_short_run_says_nothing_of_a_long_one_but_of_its_like():
    short = {"training": {"epochs": 1, "batch_size": 16}, "options": {}}
    assert work_of(configured(**short)).steps < ENOUGH
    assert scaled(measured("a", 60, **short), CONFIGURATION) is None
    assert scaled(measured("a", 60, **short), configured(**short)) == Range(60, 60)


def test_nothing_known_is_said():
    left = TimeLeft([[task("a"), task("b")]])
    assert left.all() == ((0, 0), 2)
    assert str(left) == "time left unknown yet"


def test_one_run_has_a_margin_and_several_their_range():
    assert TimeLeft([], here=[measured("a", 60)]).of(task("a")) == Range(30, 120)
    several = [measured("a", seconds) for seconds in (50, 70, 60)]
    assert TimeLeft([], here=several).of(task("a")) == Range(40, 87.5)


def test_jobs_of_different_cost_are_not_counted_but_summed():
    """After the cheap half of the runs, nearly all of the time is left."""
    here = [measured(name, seconds) for name, seconds in (("cheap", 10), ("dear", 500)) * 2]
    left = TimeLeft(
        [[task(name, seed) for seed in (1, 2) for name in ("cheap", "dear")]], here=here
    )
    assert left.all() == ((816, 1275), 0)
    for seed in (1, 2):
        left.over(f"cheap seed {seed}", measured("cheap", 10), 10)
    assert left.all() == ((800, 1250), 0)
    assert str(left) == "13 min to 21 min left"


def test_what_was_measured_in_this_session_replaces_what_was_measured_earlier():
    left = TimeLeft([[task("a"), task("a", 2)]], here=[measured("a", 10), measured("a", 12)])
    left.over("a seed 1", measured("a", 100), 100)
    assert left.of(task("a", 2)) == Range(50, 200)


def test_another_machine_counts_once_the_ratio_is_known():
    elsewhere = [
        measured(name, seconds, device="theirs") for name, seconds in (("a", 10), ("b", 40))
    ]
    left = TimeLeft([[task("a"), task("b"), task("c")]], elsewhere=elsewhere)
    assert str(left) == "time left unknown yet"
    left.over("a seed 1", measured("a", 30), 30)  # three times slower than theirs
    assert left.of(task("b")) == Range(40 * 3 / 2, 40 * 3 * 2)
    assert left.all()[1] == 1
    assert str(left).endswith(" left and 1 of unknown length")


def test_the_same_network_in_another_experiment_is_better_than_nothing():
    same = {"options": {"width": 8}}
    left = TimeLeft([], here=[measured("a", 10, **same), measured("b", 30, **same)])
    assert left.of(task("c", **same)) == Range(5, 60)
    assert left.of(task("a", **same)) == Range(5, 20)


def test_several_ratios_span_the_range():
    elsewhere = [measured(name, 10, device="theirs") for name in ("a", "b", "c", "c")]
    here = [measured("a", 20), measured("b", 50)]
    assert TimeLeft([], here=here, elsewhere=elsewhere).of(task("c")) == Range(16, 62.5)


def test_a_stray_among_many_does_not_widen_the_range():
    seconds = (50, 60, 70, 2_000)
    assert TimeLeft([], here=[measured("a", s) for s in seconds]).of(task("a")) == Range(48, 87.5)
    elsewhere = [measured(name, s, device="theirs") for name in "abcd" for s in seconds]
    here = [measured(name, s) for name, s in zip("abc", (60, 60, 600), strict=True)]
    # Of the four ratios of an experiment the middle two count; of three experiments all.
    ratio = Range(60 / 70, 600 / 60)
    found = TimeLeft([], here=here, elsewhere=elsewhere).of(task("d"))
    assert found == pytest.approx(Range(60 * ratio.low / 1.25, 70 * ratio.high * 1.25))


def test_each_machine_has_its_own_ratio():
    elsewhere = [
        measured(name, seconds, device=device)
        for name in ("a", "c", "c")
        for device, seconds in (("slow", 100), ("fast", 1))
    ]
    time = TimeLeft([], here=[measured("a", 10)], elsewhere=elsewhere).of(task("c"))
    assert time == Range(pytest.approx(5), pytest.approx(20))


def test_workers_share_the_work_but_not_a_run():
    here = [measured(name, 100) for name in "aabbcc"]
    tasks = [task("a"), task("b"), task("c")]
    assert TimeLeft([tasks], here=here, workers=2).all()[0] == Range(120, 187.5)
    assert TimeLeft([tasks], here=here, workers=10).all()[0] == Range(80, 125)
    # A wave begins when the one before is over.
    assert TimeLeft([tasks[:2], tasks[2:]], here=here, workers=2).all()[0] == Range(160, 250)


def test_what_a_run_does_besides_training_is_added():
    left = TimeLeft([[task("a", seed) for seed in (1, 2, 3, 4)]])
    for seed, seconds in ((1, 175), (2, 110)):  # the first one reads the data, too
        left.over(f"a seed {seed}", measured("a", 100), seconds)
    assert left.all()[0] == Range(2 * (80 + 42.5), 2 * (125 + 42.5))  # 75 and 10: 42.5
    # A run that was cut off notes the seconds of its earlier session too.
    left.over("a seed 3", measured("a", 100), 60)
    assert left.all()[0] == Range(80 + 10, 125 + 10)


class Clock:
    """Tells the time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_of_a_run_under_way_is_taken_off():
    clock, here = Clock(), [measured("a", 100)] * 2
    left = TimeLeft([[task("a"), task("a", 2), task("a", 3)]], here=here, clock=clock)
    left.sent(["a seed 1"])
    left.sent(["a seed 2"])  # waits: there is one worker
    assert left.all() == ((240, 375), 0)
    clock.now = 90
    assert left.under_way() == {"a seed 1": 90}
    assert left.all() == ((160, 125 + 125 + 35), 0)
    left.over("a seed 1", measured("a", 100), 100)
    clock.now = 100
    assert left.under_way() == {"a seed 2": 10}


def test_what_takes_longer_than_foretold_is_of_unknown_length():
    clock = Clock()
    left = TimeLeft([[task("a"), task("a", 2)]], here=[measured("a", 100)] * 2, clock=clock)
    left.sent(["a seed 1"])
    clock.now = 126
    assert left.all() == ((80, 125), 1)
    assert str(left) == "80 s to 2 min left and 1 of unknown length"


def test_runs_of_one_computation_share_its_time_and_end_together():
    clock, here = Clock(), [measured("a", 100)] * 2
    left = TimeLeft([[task("a", seed) for seed in range(1, 6)]], here=here, workers=2, clock=clock)
    for seeds in ((1, 2), (3,), (4, 5)):
        left.sent(f"a seed {seed}" for seed in seeds)
    clock.now = 80
    assert left.under_way() == {"a seed 1": 40, "a seed 2": 40, "a seed 3": 80}
    left.over("a seed 1", measured("a", 100), 100)
    left.over("a seed 2", measured("a", 100), 100)
    assert left.under_way() == {"a seed 3": 80, "a seed 4": 0, "a seed 5": 0}


def test_what_failed_is_over_and_says_nothing():
    left = TimeLeft([[task("a"), task("b")]])
    left.over("a seed 1")
    assert str(left) == "time left unknown yet"
    left.over("b seed 1")
    assert str(left) == "nothing left"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (15_000, "4.2 h"),
        (216_000, "2.5 days"),
    ],
)
def test_durations_in_words(seconds, told):
    assert in_words(seconds) == told
