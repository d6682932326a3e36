# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Full scale
#
# The numbers of a paper come from runs of its full size, and so should those of a reproduction. This
# chapter says what that costs, what the runs behind this book's own numbers were made on, how they
# survive whatever happens in the meantime, and how to spread them over more machines than one.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown

from avvp.atomic import atomic_path
from avvp.bench import bench_tables, read_benches
from avvp.cells import code, listed, show, show_text
from avvp.costs import cost_table, foretold, made_table, replay
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, REGISTRY, open_source
from avvp.fan_out import in_waves, reproduce
from avvp.figures import note, use_style
from avvp.figures.costs import costs_of_runs, time_left_replayed
from avvp.groups import shape_of, trained_alone
from avvp.metrics import METRICS
from avvp.ray_cluster import RayBackend
from avvp.results import RESULTS, RUNS, find_runs
from avvp.significance import compare_scores, read_scores
from avvp.tables import COMMITTED, KINDS, profile_table
from avvp.time_left import TimeLeft, in_words, scaled
from avvp.together import Together
from avvp.training import Course

use_style()

# %% [markdown]
# ## What it costs
#
# A profile says how much of everything there is. `full` is the size of LLP with the protocol of each
# paper, and five seeds.

# %% tags=["hide-input"]
profile_table()

# %% [markdown]
# Experiments differ in cost by far more than one would guess from their names.
# {numref}`fig-costs` shows the runs that are committed for this book, and those of this build.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-costs", "caption": "Wall-clock time of training, a run: one mark is one experiment and seed. Committed runs are on simulated LLP, those of this build on what the legend names. The axis is logarithmic. Runs of the same experiment differ too, where other programs shared the processor."}, "image": {"alt": "Marks on a logarithmic axis of time, a row each for the families of experiments. References take seconds to minutes, the older methods, MA and Cross-Modal learning minutes, and MGN tens of minutes at profile medium."}}
committed = {
    name: list(find_runs([RESULTS], data="sim", profile=name).values()) for name in COMMITTED
}
source = open_source(data, PROFILES[profile])
place = {"data": source.name, "profile": profile, "fingerprint": source.of_runs}
known_already = profile in COMMITTED and data == "sim"
built = [] if known_already else list(find_runs([RUNS], **place).values())
groups = {f"committed, {name}": found for name, found in committed.items()}
groups |= {f"this build, {profile}, {source.in_words}": built}
groups = {name: found for name, found in groups.items() if found}
_ = costs_of_runs(groups) if groups else note("No run is committed yet.")

# %% tags=["hide-input"]
said = "There is no committed run yet to say more about."
longest = next((found for found in committed.values() if len(found) > 10), [])
if longest:
    trained = [run for run in longest if run.configuration["training"]]
    cheap, dear = (pick(trained, key=lambda run: run.seconds) for pick in (min, max))
    said = (
        f"At profile {cheap.profile} the shortest training is one of `{cheap.experiment}` with "
        f"{in_words(cheap.seconds)}, the longest one of `{dear.experiment}` with "
        f"{in_words(dear.seconds)}: {dear.seconds / cheap.seconds:.0f} times as long."
    )
Markdown(said)

# %% [markdown]
# What would profile `full` take? A run takes as long as its steps, so the seconds of a committed run
# of the same network tell it, in proportion. Where batches have another size, it may be the videos
# that count instead of the steps; both are worked out, and a range is what can be said.

# %% tags=["hide-input"]
code(scaled)

# %% tags=["hide-input"]
known = [run for found in committed.values() for run in found]
by_device = Counter(run.device for run in known)
device_known = max(by_device, key=by_device.get) if known else ""
known = [run for run in known if run.device == device_known]
cost_table(PROFILES["full"], known)

# %% tags=["hide-input"]
times = [time for time in foretold(PROFILES["full"], known).values() if time]
low, high = (sum(time[end] for time in times) * PROFILES["full"].seeds for end in (0, 1))
Markdown(
    f"Five seeds of everything that is known would occupy that device for {in_words(low)} to "
    f"{in_words(high)}. Hence the wish for a device that does not wait for such small steps, for "
    "several seeds in one computation, and for more than one machine."
    if times
    else "Nothing is known of it yet: `avvp reproduce --profile medium` makes the runs that tell."
)

# %% [markdown]
# ## How fast it goes on which device
#
# `avvp bench` measures it: how long a step takes and which share of the device it uses, alone and
# with several seeds as one computation, and how long it takes to score the test split. What was
# measured for this book:

# %% tags=["hide-input"]
benches = read_benches()
Markdown(
    "\n\n".join(str(bench_tables(content)) for content in benches)
    or "Nothing yet: `avvp bench --json results/bench/DEVICE.json` does it."
)

# %% [markdown]
# ## How the committed runs were made
#
# Every run notes its device, its commit, its seconds and everything that determines its numbers.
# This table is made of these notes.

# %% tags=["hide-input"]
made_table([run for found in committed.values() for run in found])

# %% [markdown]
# ## What bfloat16 does to the scores
#
# The profiles that the committed runs belong to take matrix products in bfloat16, which has between
# two and three decimal digits; weights, Adam and losses stay in float32, and so does MGN's attention. The tables
# above say how much time it saves on a device that has instructions for it. What does it cost in
# points? Two experiments are trained in float32 as well, with the same seeds:

# %% tags=["hide-input"]
IN_FLOAT32 = {"han/han": "han/float32", "ma/c": "ma/c_float32"}
roots = {} if data == "sim" else place | {"roots": [RUNS, RESULTS]}
_, scores = read_scores([*IN_FLOAT32, *IN_FLOAT32.values()], **roots)
columns, apart, of_one_seed, clear = {}, [], [], 0
for short, long in IN_FLOAT32.items():
    if not {short, long} <= scores.keys():
        continue
    n = min(len(scores[name].means) for name in (short, long))
    found = compare_scores(scores[short], scores[long])
    columns[f"{REGISTRY[short].title}, {n} seed{'s' * (n > 1)}"] = [c.in_words for c in found]
    apart += [abs(c.difference) for c in found]
    of_one_seed.append(np.abs(scores[short].means[:n] - scores[long].means[:n]).max())
    clear += sum(abs(c.difference) > (c.half_width or np.inf) for c in found)
metrics = [f"{KINDS[kind]}, {level}" for level, kind in (key.split("/") for key in METRICS)]
show_text(
    pd.DataFrame({"bfloat16 minus float32, points": metrics} | columns), right=len(columns)
) if columns else Markdown("Not run yet: `avvp reproduce --profile medium --only '*float32'`.")

# %% tags=["hide-input"]
Markdown(
    f"The largest of {len(apart)} differences is {max(apart):.1f} points, and "
    f"{clear or 'none'} of them {'are' if clear > 1 else 'is'} clear of zero (95 % intervals over seeds and test videos, not corrected for their "
    "number). Of a single seed, which begins with the same weights in both, no score moves by more "
    f"than {max(of_one_seed):.1f} points. The runs in float32 are `avvp reproduce --profile medium --only '*float32'`"
    + (", on simulated LLP." if data == "sim" else ".")
    if columns
    else "There is nothing to compare yet."
)

# %% [markdown]
# Two networks that take it well do not answer for a third. At its released rate, and on a processor,
# where softmaxes are in bfloat16 too, Base + GCAA of Cross-Modal learning does not learn for long, and
# the row with all its additions loses several points of Type@AV:
# {numref}`fig-cm-learning` in {doc}`06_adversarial_skip_context`, which also finds the operation. So
# profile `full` trains Cross-Modal learning's rows in float32.

# %% [markdown]
# ## Cut off, and on again
#
# `avvp reproduce` makes what is missing under `runs/` and `results/`, so the same command goes on
# where an earlier one was ended, by you, by a power cut or by `kill -9`. What makes that safe is
# that no file is ever half there: each is written beside its place and then renamed.

# %% tags=["hide-input"]
code(atomic_path)

# %% [markdown]
# A training writes a checkpoint at the end of every epoch, and in a long epoch every minute: weights,
# the state of Adam, the generator that dropout draws from, and where in the epoch it stands. The
# order of the videos follows from seed and epoch. So a run that goes on takes the same steps as one
# that was never cut off, and ends with the same numbers, bit for bit. Weights that are the best *so
# far* have another name than those that are final, because label refinement must not start from the
# former. Once they are final nobody needs Adam's state any more, and the checkpoint shrinks to a few
# kilobytes that say that the training is over:

# %% tags=["hide-input"]
code(Course.end_epoch, Course.finish)

# %% [markdown]
# The tests `tests/robustness/test_survival.py` kill a process of MA's two stages with `SIGKILL` in the
# middle of file after file, checkpoints, weights and results of either stage, start it again each time,
# and compare every array of the results with those of a process that nobody disturbed. One of them
# fills a real disk.
#
# ## What goes wrong, and what you read then
#
# | what happens | what `avvp reproduce` does | exit status |
# |---|---|---|
# | it is killed, or the machine goes down | nothing of it is lost but the steps since the last checkpoint; the same command goes on | – |
# | an experiment fails | the others go on; at the end it is named with the reason, and what comes after it is named as not run | 1 |
# | the disk is full | no further run begins; one sentence names the disk; with room, the same command goes on | 1 |
# | the device has no memory for so many seeds | the group is halved, and that is said | 0 |
# | a worker process is killed | on a cluster another worker takes its run and goes on from its checkpoint; on one machine a sentence says so | 0, or 2 |
# | the scheduler is gone | one sentence; the same command goes on when it is back | 2 |
#
# A mistake in the command itself is one sentence too. These are real ones, made by a cell:

# %% tags=["hide-input"]
mistakes = {
    "--backend loky --scheduler tcp://10.0.0.1:8786": {"scheduler": "tcp://10.0.0.1:8786"},
    "--backend dask --scheduler 10.0.0.1:8786": {"backend": "dask", "scheduler": "10.0.0.1:8786"},
    "--backend ray --scheduler 10.0.0.1": {"backend": "ray", "scheduler": "10.0.0.1"},
    "--only han/hen": {"only": "han/hen"},
    "--jobs 0": {"jobs": 0},
}
answers = []
with tempfile.TemporaryDirectory() as folder:
    place = {"runs": Path(folder), "results": Path(folder), "profile": "smoke", "progress": False}
    for command, options in mistakes.items():
        try:
            reproduce(**({"only": "reference/oracle"} | place | options))
        except AvvpError as error:
            told = str(error)
            told = told if len(told) < 180 else told[:180] + "…"
            answers.append({"command": f"`{command}`", "answer": f"`{told}`"})
show_text(answers)

# %% [markdown]
# ## An honest time left
#
# A progress bar that counts runs would lie: {numref}`fig-costs` says by how much. The bar of
# `avvp reproduce` shows a range that is made of measured seconds, and says *unknown yet* where
# nothing comparable was measured. It looks for runs of the same experiment and network, in this
# order: those that this command has made; those that this machine made earlier, under any profile;
# those that were made elsewhere, such as the committed ones, but only after an experiment that ran
# here as well has told how the machines compare; and last, runs of the same network in another
# experiment. Of many, the fastest and the slowest few do not count: machines are now and then busy.

# %% tags=["hide-input"]
code(TimeLeft.of, TimeLeft.all)

# %% [markdown]
# {numref}`fig-time-left` makes the committed runs once more, on paper, in the order in which the
# command makes them: all experiments with seed 1, then with seed 2, and so on. Nothing is known when
# it begins.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-time-left", "caption": "Committed runs of one profile (simulated LLP) replayed one after another. Black: the time that was left. Dashed: what the number of runs foretells. Blue: the range that the bar shows; pale as long as some runs are of unknown length, which it then says: the range is that of the others only."}, "image": {"alt": "Time left over elapsed time. The black line falls straight to zero. The dashed line by number of runs lies far from it for most of the time. The blue range is pale and low while experiments are run for the first time, and lies about the black line when all are known."}}
most = max(committed.values(), key=lambda found: (len({run.seed for run in found}), len(found)))
moments = replay(most)
_ = (
    time_left_replayed(moments, title=f"profile {most[0].profile}, {len(most)} runs")
    if len(moments) > 2
    else note("It takes committed runs; there are none yet.")
)

# %% tags=["hide-input"]
sure = [moment for moment in moments[:-1] if not moment.unknown]
said = "All runs were of an experiment that had no other: no time could be foretold."
if sure:
    inside = sum(moment.known.low <= moment.left <= moment.known.high for moment in sure)
    wrong = [
        max(moment.by_count, moment.left) / min(moment.by_count, moment.left)
        for moment in moments[:-1]
    ]
    said = (
        f"In {len(sure)} of {len(moments) - 1} moments all that was left was of known length, and in "
        f"{inside} of these the range held what was left. The number of runs was wrong by up to a "
        f"factor of {max(wrong):.1f}."
    )
Markdown(said)

# %% [markdown]
# ## Several seeds at once
#
# A step of HAN is so small that an accelerator spends most of it waiting. `--together N` (on a GPU the
# default, for the seeds of one experiment) stacks the parameters of several networks along a new
# axis and takes their steps as one. Each keeps its own initialisation, order of videos, dropout and
# Adam. On a GPU the step is moreover recorded once and replayed, but not with a network or a loss of
# your own: what those do on the processor would be recorded once too, and then stand still.

# %% tags=["hide-input"]
code(Together.__init__, Together.forward)

# %% [markdown]
# Seeds of one experiment have one shape; so have experiments that differ only in their loss or in
# their labels. What that makes of the registry under profile `full`:

# %% tags=["hide-input"]
shapes = Counter()
alone = {}
for name, experiment in REGISTRY.items():
    if why := trained_alone(experiment):
        alone.setdefault(why, []).append(f"`{name}`")
    else:
        shapes[shape_of(experiment, PROFILES["full"])] += 1
show(
    [
        {"experiments of one shape": size, "such shapes": count}
        for size, count in sorted(Counter(shapes.values()).items(), reverse=True)
    ]
)

# %% tags=["hide-input"]
show_text(
    [{"trained alone because": why, "experiments": listed(names)} for why, names in alone.items()]
)

# %% [markdown]
# Without dropout a member ends where it would have ended alone; with it the numbers are drawn in
# another order, and scores agree in distribution. `tests/unit/test_together.py` shows both.
#
# ## More than one machine
#
# Runs depend on each other in one way only: what comes after another starts from its weights. So
# they fall into waves, and a wave can be spread as one likes.

# %% tags=["hide-input"]
code(in_waves)

# %% [markdown]
# joblib hands the runs of a wave to the processes of this machine (`--jobs 4`), or to a cluster. A run
# travels as a few kilobytes: an entry of the registry, a seed, and *paths*. The data stay where they
# are, and so do checkpoints and results: **the folder for runs, the data file and the checkout lie on
# a file system that all machines see under the same path**. Before the first run, `avvp` asks
# every worker whether it sees them, which versions and which commit it has, and how many runs it
# would take at a time. Whether seeds are trained together is decided where the command is given: from
# a machine without a GPU, name the one that the workers have (`--device cuda`), or give `--together`.
#
# ### Dask
#
# ```bash
# pip install distributed                            # `make venv` has done it
# dask scheduler                                     # on one machine: it prints tcp://ADDRESS:8786
# dask worker tcp://ADDRESS:8786 --nthreads 1        # on the others; --nworkers 4 for four of them
# avvp reproduce --profile full --backend dask --scheduler tcp://ADDRESS:8786 --runs /shared/runs
# ```
#
# `--nthreads 1` because dropout draws from the one random generator that all threads of a process
# share. On a machine with two GPUs start two workers, each with `CUDA_VISIBLE_DEVICES` of its own and
# `--nworkers 1`. Workers may come and go: what a lost one was at, another one goes on with from its
# last checkpoint.
#
# ### Slurm
#
# With [dask-jobqueue](https://jobqueue.dask.org) a Slurm job is a worker. `examples/on_slurm.py` is
# all it takes; the names of queue and resources are those of your cluster:

# %% tags=["hide-input"]
Markdown("```python\n" + (RESULTS.parent / "examples" / "on_slurm.py").read_text("utf-8") + "```")

# %% [markdown]
# ```bash
# python examples/on_slurm.py --profile full --device cuda --runs /shared/runs
# ```
#
# Run it on the login node inside `tmux`, or as a small job of its own.
#
# ### Ray
#
# ```bash
# pip install ray
# ray start --head                                   # on one machine: it prints its address
# ray start --address ADDRESS:6379                   # on the others, and where the next command runs
# avvp reproduce --profile full --backend ray --scheduler ADDRESS:6379 --runs /shared/runs
# ```
#
# With `--device auto` or `cuda` a run asks Ray for a GPU of its own, if the cluster has any, and with
# `--device cpu` for a processor. A run whose worker died is started again three times
# (`RAY_TASK_MAX_RETRIES`) and goes on from its last checkpoint. If the cluster wants a token, set
# `RAY_AUTH_MODE=token`. Ray's own backend for joblib is not used: it hands over all results at the
# end, gives up when a worker dies, and asks for no GPU. `avvp.ray_cluster` makes every job a task:

# %% tags=["hide-input"]
code(RayBackend)

# %% [markdown]
# Both are tested by `tests/unit/test_cluster.py`: a Dask scheduler and two workers as processes that
# speak TCP, and a Ray cluster of two processors; one worker is killed in the middle of its run, and
# the results are the same as without. `examples/on_slurm.py` is run there with local processes in the
# place of Slurm's jobs; by hand it was run on a real Slurm of one machine that pretended to have two
# GPUs, and a job killed in the middle changed no number. Several machines, and a cluster whose GPUs
# are real, were not tried.
