# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Run it on LLP
#
# Everything in this book runs on the real benchmark too, and the numbers land in the tables that you
# have seen. It takes five small tables, which are the annotations, and the features that the authors
# of HAN released: VGGish for sound, ResNet-152 and R(2+1)D for images. Neither is ours to hand out.
# With both on a disk, three commands are left:
#
# ```bash
# avvp data import --annotations llp/annotations --features llp/features --out llp.h5
# avvp data info llp.h5
# make book DATA=llp.h5 PROFILE=full
# ```
#
# This chapter goes through them: what has to lie where, what each step costs, what to expect of the
# scores, what can go wrong, and how runs on LLP and runs on simulated data are kept apart. Its
# numbers were measured or are counted by the cells; nobody typed them.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import json
import tempfile
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np

from avvp.bench import EXPERIMENTS, read_benches
from avvp.cells import listed, show, show_text
from avvp.commands.data import info_lines
from avvp.data.features import FOLDERS, FeatureProblems, import_features
from avvp.data.simulate import PROFILE_SIZES, SPLITS, SimulatorConfig, simulate
from avvp.data.stand_in import write_stand_in
from avvp.data.store import RESIDENT_SHARE, VIDEO_BYTES, describe
from avvp.data.store_writer import write_videos
from avvp.differences import chance
from avvp.experiments import PROFILES, REGISTRY, open_source
from avvp.grounding import Pretraining
from avvp.results import RESULTS, find_runs, run_path
from avvp.tables import PAPERS, Table, result_table, rows_with_runs_table

size = json.loads((RESULTS / "bench" / "llp_size.json").read_text("utf-8"))
videos = sum(size["videos"].values())

# %% [markdown]
# ## Step 1: the annotations
#
# `avvp data download --out llp` fetches them from HAN's repository into `llp/annotations` and
# compares every checksum. If you have them already, any folder will do:

# %% tags=["hide-input"]
downloads = json.loads((files("avvp") / "package_data" / "downloads.json").read_text("utf-8"))
show_text(
    [
        {"file": f"`{name}`", "SHA-256 begins with": f"`{digest[:16]}`"}
        for name, digest in downloads["annotations"]["sha256"].items()
    ]
)

# %% [markdown]
# Two versions of the audio file are around, and the scores of a method change a little with the
# version. The import notes which one it read, and {doc}`01_task_and_data` says what differs.
#
# ## Step 2: the features
#
# The features have no stable address. If you have a copy, it is three folders with one array a
# video, named by the first eleven characters of the video's name, all `float32`:

# %% tags=["hide-input"]
show(
    [
        {
            "folder": f"`{folder}/*.npy`",
            "stream": stream,
            "shape of an array": str(shape),
            "files": videos,
            "GB": 4 * np.prod(shape) * videos / 1e9,
        }
        for stream, (folder, shape) in FOLDERS.items()
    ],
    ".2f",
)

# %% [markdown]
# Whoever has a copy can serve it, as arrays or as zip archives of them, with a file `SHA256SUMS`
# beside them, as `sha256sum` writes it. What was cut off is continued, and every file is checked:
#
# ```bash
# avvp data download --out llp --features https://your.mirror/llp/
# ```
#
# ## Step 3: one file
#
# ```bash
# avvp data import --annotations llp/annotations --features llp/features --out llp.h5
# ```
#
# The import checks every array, names all missing and damaged files in one report, and writes
# nothing until all is well; one that was killed goes on where it stood. It averages the eight image
# vectors of a second, which changes no result ({doc}`01_task_and_data` says why) and takes an eighth
# of the room. After it the folders are no longer needed.
#
# The next cell imports a *stand-in*: a handful of made-up videos in the released layout, with
# features of the simulator. It stands in for LLP in the rest of this chapter, so that what you see
# is what the commands really do.

# %%
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
annotations, features = write_stand_in(folder, SimulatorConfig(train=12, val=4, test=4))
report = import_features(annotations, features, folder / "imported.h5", progress=False)
print(f"{report.path.name}: {report.videos}, fingerprint {report.fingerprint[:16]}")

# %% [markdown]
# ## Step 4: look at it
#
# `avvp data info llp.h5` reads every video, compares it with its checksum and says what is there. Of
# the stand-in, or of the file that this book was made with:

# %% tags=["hide-input"]
told = describe(folder / "imported.h5" if data == "sim" else data)
print("\n".join([told.path.name, *info_lines(told, checked=True)[1:]]))

# %% [markdown]
# ## Step 5: train, and make the book
#
# ```bash
# make book DATA=llp.h5 PROFILE=full
# ```
#
# trains every experiment as its paper's release does, but for what a table under *What to expect*
# lists, with five seeds, executes all chapters and renders
# `_build/html`. It can be cut off at any time: what is finished is kept, and the same command goes
# on. `avvp reproduce --profile full --data llp.h5` does the training alone: on several processes or
# a cluster if you like, and with `--together` as few computations that train several seeds at once,
# which is what a GPU wants. The book then finds the runs. The smaller profiles take a part of the
# videos, always the same one, picked by the hash of their names:

# %% tags=["hide-input"]
show_text(
    [
        {
            "profile": f"`{name}`",
            "train / validation / test": " / ".join(f"{n:,}" for n in sizes.values()),
            "epochs": f"at most {PROFILES[name].epochs}" if PROFILES[name].epochs else "published",
            "seeds": PROFILES[name].seeds,
            "for": PROFILES[name].purpose,
        }
        for name, sizes in PROFILE_SIZES.items()
    ]
)

# %% [markdown]
# ## What it costs
#
# The steps were measured on a stand-in of exactly LLP's size: the real annotations with simulated
# features for all videos. `python benchmarks/llp_size.py DIR` makes it, takes every step, and checks
# that each table of each chapter then shows the runs on that file. Processor seconds are those of
# all processes together; the clock also counts what else the machine was doing, which the load tells.
# The stand-in's folders had just been written, so that the import read them from memory: from a disk
# it takes as long as the disk does for so many bytes.

# %% tags=["hide-input"]
STEPS = {
    "import": "`avvp data import`",
    "info": "`avvp data info`, every video read",
    "linear": "train the linear reference row, profile full, one seed",
    "smoke": "train every experiment for a moment (profile smoke), two at a time",
    "book": "execute all chapters, two at a time, and render the book",
}
show_text(
    [
        {
            "step": what,
            "seconds": f"{size['steps'][name]['seconds']:,.0f}",
            "processor seconds": f"{size['steps'][name]['processor_seconds']:,.0f}",
            "memory (GB)": f"{size['steps'][name]['peak_memory'] / 1e9:.1f}",
            "load": f"{size['steps'][name]['load']:.1f}",
        }
        for name, what in STEPS.items()
        if name in size["steps"]
    ],
    right=4,
)

# %% tags=["hide-input"]
released = sum(size["bytes"][name] for name, _ in FOLDERS.values())
Table(
    f"{videos:,} videos on {size['device']} with {size['cores']} cores. The released folders take "
    f"{released / 1e9:.2f} GB of disk and the file {size['bytes']['file'] / 1e9:.2f} GB; while the "
    "import runs, both are there. In training, a split stays in memory if it takes no more than "
    f"{100 * RESIDENT_SHARE:.0f} % of what is free, which for the training split means "
    f"{size['videos']['train'] * VIDEO_BYTES / RESIDENT_SHARE / 1e9:.1f} GB; otherwise it is "
    "streamed from the disk, with the same batches in the same order. In the book that was made, "
    f"{size['book']['lines']} lines of tables in {size['book']['chapters']} chapters showed runs on "
    f"the stand-in under its name; left out were {listed(size['book']['left_out'])}: what knows only "
    "the simulator, and what profile smoke does not train."
)

# %% [markdown]
# Training is the larger part. The table takes the committed runs of profile `medium` and what they
# took, and multiplies by the passes over videos that profile `full` makes more. That is a
# proportion, not a measurement, and it is one of the processor that made these runs;
# {doc}`22_full_scale` works it out for each experiment, and shows how to spread it over machines.


# %% tags=["hide-input"]
FAMILIES = {"han": "HAN", "older": "the older methods", "reference": "the linear row"}


def passes(name: str, at: str) -> int:
    """Videos that a run learns from, each counted as often as it is seen."""
    here = REGISTRY[name].at(PROFILES[at])
    before = here.pretraining.epochs if here.pretraining else 0
    return (here.training.epochs + before) * PROFILES[at].train if here.training else 0


taken = defaultdict(list)
devices = set()
for run in find_runs(RESULTS, data="sim", profile="medium").values():
    if run.experiment in REGISTRY and REGISTRY[run.experiment].training:
        taken[run.experiment].append(run.seconds / passes(run.experiment, "medium"))
        devices.add(run.device)
families = defaultdict(list)
for name, experiment in REGISTRY.items():
    if experiment.training and experiment.trained_by("full"):
        families[name.partition("/")[0]].append(name)
costs = []
for family, names in families.items():
    timed = [name for name in names if name in taken]
    hours = [np.mean(taken[name]) * passes(name, "full") / 3600 for name in timed]
    costs.append(
        {
            "experiments": FAMILIES.get(family) or PAPERS[family],
            "trained": len(names),
            "million videos a run": np.mean([passes(name, "full") for name in names]) / 1e6,
            "timed": len(timed),
            "hours a run": np.mean(hours) if hours else float("nan"),
            "hours, all seeds": np.sum(hours) * PROFILES["full"].seeds,
        }
    )
show(costs, ("", "", ".2f", "", ".2f", ".1f"))

# %% tags=["hide-input"]
total = sum(row["hours, all seeds"] for row in costs)
Table(
    f"On {listed(sorted(devices))}, that makes {total:,.0f} hours for the timed experiments with "
    f"{PROFILES['full'].seeds} seeds: {total / 24:.0f} days of one process, which is why `full` is "
    "for a GPU, or for a cluster, and why one experiment or one seed is a good beginning: "
    "`avvp reproduce --profile full --data llp.h5 --only han/han --seeds 1`."
)

# %% [markdown]
# What would a GPU take? The operations of a step can be counted, so the hours follow from the rate
# at which a device gets them done. `avvp bench` measures that rate; the columns are the devices on
# which it was measured for this book, at the best of their precisions and numbers of seeds, and two
# rates for comparison. A device whose rate you know from `avvp bench` stands where its rate does.

# %% tags=["hide-input"]
COMPARED = (1, 10)  # trillion operations a second
benches = read_benches()
hours_of = []
for name in EXPERIMENTS if benches else ():
    here = REGISTRY[name].at(PROFILES["full"]).training
    steps = -(-PROFILES["full"].train // here.batch_size) * here.epochs
    counted = next(
        told["operations"] for told in benches[0]["experiments"] if told["experiment"] == name
    )
    whole = counted * steps * PROFILES["full"].seeds
    row = {
        "experiment": REGISTRY[name].title,
        "steps a run": f"{steps:,}",
        "billion operations a step": f"{counted / 1e9:.1f}",
    }
    for found in benches:
        best = max(step["rate"] for step in found["steps"] if step["experiment"] == name)
        row[f"hours on {found['device']}"] = f"{whole / best / 3600:.1f}"
    row |= {
        f"minutes at {rate} trillion a second": f"{whole / rate / 1e12 / 60:.1f}"
        for rate in COMPARED
    }
    hours_of.append(row)
show_text(hours_of or [{"not measured yet": "`avvp bench --json results/bench/DEVICE.json`"}])

# %% tags=["hide-input"]
said = [f"The hours are those of all {PROFILES['full'].seeds} seeds of profile `full`."]
if benches:
    fastest = max(rate for found in benches for rate in found["matrix_rates"].values())
    said.append(
        "The fastest matrix products measured for this book ran at "
        f"{fastest / 1e12:.2f} trillion operations a second."
    )
Table(" ".join(said))

# %% [markdown]
# ## What to expect
#
# A run on LLP stands in the same table as the printed row and the committed simulated runs, on a
# line of its own that begins with *this build* and names your file. This is HAN's line:

# %% tags=["hide-input"]
result_table(["han/han"], paper="mgn", table="Table 1", profile=profile, data=data)

# %% [markdown]
# How many of the printed rows have an experiment, and how many of these have runs by now:

# %% tags=["hide-input"]
rows_with_runs_table(profile=profile, data=data)

# %% [markdown]
# Which choices are the papers', and which are ours? With profile `full` an experiment has the sizes,
# the schedule and the decision rule of its paper's release. What differs all the same is in the next
# table, by the experiments with a printed row.


# %% tags=["hide-input"]
KINDS_OF_CHANGE = {
    "reduced": "smaller than the published method",
    "adapted": "its authors made it for another task",
}


def own_choices() -> dict[tuple[str, str, str], list[str]]:
    """What -> the experiments with a printed row of which it is true."""
    found = defaultdict(list)
    for experiment in REGISTRY.values():
        if not experiment.rows:
            continue
        for change in experiment.changes(PROFILES["full"]):
            key = (change.field, f"{change.published} → {change.here}", change.reason)
            found[key].append(experiment.title)
        for kind, why in KINDS_OF_CHANGE.items():
            if told := getattr(experiment, kind):
                found[kind, told, why].append(experiment.title)
    return found


printed = sum(bool(experiment.rows) for experiment in REGISTRY.values())
show_text(
    [
        {
            "what": what,
            "how": how,
            "why": why,
            "rows": f"all {printed}"
            if len(titles) == printed
            else ", ".join(titles[:3])
            if len(titles) <= 3
            else f"{len(titles)} of {printed}",
        }
        for (what, how, why), titles in own_choices().items()
    ]
)

# %% tags=["hide-input"]
released_at, simulated_at = (Pretraining().thresholds(simulated=each) for each in (False, True))
by_seed = chance()
Table(
    "One number follows the data: the cosines above which pre-training joins two seconds are the "
    f"released ones on an imported file ({released_at['visual_threshold']:.2f} for images, "
    f"{released_at['audio_threshold']:.2f} for sound) and others on simulated features "
    f"({simulated_at['visual_threshold']:.2f} and {simulated_at['audio_threshold']:.2f}), where no "
    "two seconds are that alike."
    + (
        " And how many runs are behind a printed number is not said. If it is one, it and one run of "
        f"ours may lie {by_seed:.1f} points of Type@AV at segment level apart by seed alone: so far in "
        "95 of 100 cases, by our simulated seeds of a typical experiment ({doc}`20_significance` says "
        "how much steadier or less steady others are)."
        if by_seed
        else ""
    )
)

# %% [markdown]
# ## What can go wrong
#
# **Features are missing or damaged.** Videos vanish from YouTube, archives get cut off. The import
# reads all files before it complains, and names every one. Here, one array of the stand-in is
# removed and another one is cut short:

# %%
first, second = sorted((features / "vggish").iterdir())[:2]
first.unlink()
second.write_bytes(second.read_bytes()[:1000])
try:
    import_features(annotations, features, folder / "short.h5", progress=False)
except FeatureProblems as error:
    for video, file, problem in error.problems:
        print(f"{file} {problem} (video {video})")
    print(str(error).replace(str(features), "features"))
print("a file is there:", (folder / "short.h5").exists())

# %% [markdown]
# Restore them, or leave these videos out with `--allow-missing`. The file then keeps their names and
# the reasons, `avvp data info` counts them, and its fingerprint is another: scores on a test set that
# lacks videos are not scores on LLP, and they cannot be mixed up.

# %%
short = import_features(
    annotations, features, folder / "short.h5", allow_missing=True, progress=False
)
print(short.videos, short.fingerprint[:16], "instead of", report.fingerprint[:16])
for video, reason in describe(short.path).provenance["left_out"].items():
    print(f"left out: {video}: {reason}")

# %% [markdown]
# **The disk is full, or the import was killed.** The first leaves no file behind; after the second
# the same command goes on where it stood.
#
# **A file was changed or copied badly.** Every video has a checksum, and the file one over all of
# them. A changed byte is found when the video is read, and named.
#
# **The memory does not suffice.** Data that does not fit is streamed, see above. For the rest,
# `--jobs 1` executes one chapter at a time.
#
# **The oracle is missing.** It decodes what the simulator drew, so it has runs on simulated data
# only, and no line of its own in a book on LLP. The same holds for the questions in
# {doc}`09_modality_labels` that need to know in which seconds of a *training* video something is
# heard or seen: LLP does not say, and the cells then say so.
#
# ## Simulated and real, kept apart
#
# A score on simulated data is not a score on LLP, so nothing in this book may take one for the
# other. Three things see to it. A file carries where it comes from, and so does every run on it. Runs
# lie in a folder that bears the name of their data, and are found again only if the fingerprint of
# that data agrees: another file of the same name does not inherit them. And a table takes what it
# says from the runs themselves; a chapter that called a run of this build by another name would not
# be put into the book.

# %%
write_videos(
    folder / "simulated.h5",
    {split: simulate(SimulatorConfig(train=12, val=4, test=4), split) for split in SPLITS},
    {"source": "simulated"},
)
kept_apart = []
for what, given in {
    "nothing to download": "sim",
    "`avvp data simulate`": folder / "simulated.h5",
    "`avvp data import`": folder / "imported.h5",
}.items():
    source = open_source(str(given), PROFILES["full"])
    place = {"data": source.name, "profile": "full", "experiment": "han/han", "seed": 1}
    kept_apart.append(
        {
            "made by": what,
            "`--data`": Path(given).name,
            "a run lies at": f"`{run_path('runs', **place)}`",
            "tables say": source.in_words,
            "fingerprint": source.fingerprint[:8],
        }
    )
show_text(kept_apart)

# %% [markdown]
# The last line shows what no program can see: the features of our stand-in are made up, and the
# import has to take your word for them. Keep such files, and the runs on them, out of a folder whose
# results you mean to publish.
#
# `runs/` is ignored by git. `avvp results publish` copies medium and full runs to `results/`, the
# simulated and the real ones into folders of their own, and only what is there is committed.
#
# ## One chapter, or one experiment
#
# ```bash
# avvp reproduce --profile medium --data llp.h5 --only 'han/*'
# avvp book execute 05_han -p data llp.h5 -p profile medium --out han.ipynb
# ```
#
# A chapter is a plain text notebook with a cell of parameters, so Jupytext and papermill alone do the
# same:
#
# ```bash
# jupytext --to ipynb --output - notebooks/05_han.py |
#   papermill - han.ipynb --cwd . -p data llp.h5 -p profile medium
# ```
