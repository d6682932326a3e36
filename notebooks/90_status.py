# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Status of this build
#
# A number in this book came out of a run, and a run happened on some machine, with some versions,
# in some time. This page collects that bookkeeping, so that the chapters need not.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import os
import platform
from importlib.metadata import version

import pandas as pd
import torch
from IPython.display import Markdown

from avvp.bookmaking import read_records
from avvp.results import HOME, RESULTS, RUNS, find_runs


def show(table: pd.DataFrame) -> Markdown:
    return Markdown(table.to_markdown(index=False, floatfmt=",.1f"))


# %% [markdown]
# ## What made these pages
#
# The profile says how much was computed for this build: `published` trains nothing and shows the
# committed results; `smoke` to `full` train more and more. The versions are those of the machine
# that made the pages; a committed result carries its own.

# %% tags=["hide-input"]
packages = ("torch", "numpy", "scikit-learn", "matplotlib", "jupyter-book")
show(
    pd.DataFrame(
        [
            ("profile", profile),
            ("data", "simulated LLP" if data == "sim" else os.path.basename(data)),
            ("seeds", str(seeds)),
            ("device", device),
            ("accelerator", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"),
            ("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
            ("Python", platform.python_version()),
            *((name, version(name)) for name in packages),
        ],
        columns=["what", "value"],
    )
)

# %% [markdown]
# ## How long each chapter took
#
# Seconds of wall-clock time, from an empty process to the last figure, with up to two chapters at a
# time on the cores of the machine above. A chapter that did not change since the last build is not
# executed again, and keeps its time.

# %% tags=["hide-input"]
records = [record for record in read_records(HOME) if record.chapter != "90_status"]
times = pd.DataFrame(
    [(record.chapter, record.parameters["profile"], record.seconds) for record in records],
    columns=["chapter", "profile", "seconds"],
)
show(times) if len(times) else Markdown("No chapter was executed by `avvp book build` here yet.")

# %% [markdown]
# ## Every run behind the tables
#
# One row an experiment and profile: how many seeds were run, what a run took on average, and where.
# `results` are committed with the book; `runs` were made on this machine. A run marked stale was
# made before a change of the experiment's definition, and is to be repeated.

# %% tags=["hide-input"]
runs = pd.DataFrame(
    [
        {
            "where": where.name,
            "data": run.data,
            "profile": run.profile,
            "experiment": run.experiment,
            "device": run.device,
            "minutes": run.seconds / 60,
            "memory (GB)": run.peak_memory / 1e9,
            "stale": "stale" if run.stale else "",
        }
        for where in ((RESULTS, RUNS) if profile != "published" else (RESULTS,))
        for run in find_runs(where).values()
    ]
)
if len(runs):
    keys = ["where", "data", "profile", "experiment", "device", "stale"]
    grouped = runs.groupby(keys, sort=False)
    table = grouped[["minutes", "memory (GB)"]].mean()
    table.insert(0, "seeds", grouped.size())
    page = show(table.reset_index())
else:
    page = Markdown("There are no runs yet: `avvp reproduce` makes them.")
page
