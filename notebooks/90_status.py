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
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from avvp.bookmaking import read_records
from avvp.devices import choose_device, describe_device
from avvp.experiments import PROFILES, REGISTRY
from avvp.results import HOME
from avvp.tables import profile_table, provenance_table, status_table


def show(table: pd.DataFrame, when_empty: str) -> Markdown:
    return Markdown(table.to_markdown(index=False, floatfmt=",.1f") if len(table) else when_empty)


# %% [markdown]
# ## What made these pages
#
# The profile says how much was computed for this build. The versions are those of the machine that
# made the pages; a committed result was often made elsewhere, and carries its own.

# %% tags=["hide-input"]
packages = ("torch", "numpy", "scikit-learn", "matplotlib", "jupyter-book")
made = [
    ("profile", f"{profile}: {PROFILES[profile].purpose}"),
    ("data", "simulated LLP" if data == "sim" else Path(data).name),
    ("seeds of each experiment", str(seeds) if PROFILES[profile].seeds else "none trained here"),
    ("device", describe_device(choose_device(device))),
    ("system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
    ("Python", platform.python_version()),
    *((package, version(package)) for package in packages),
]
show(pd.DataFrame(made, columns=["what", "value"]), "")

# %% [markdown]
# ## How long each chapter took
#
# Seconds of wall-clock time, from an empty process to the last figure, with up to two chapters at a
# time on the cores of the machine above. Training, where the profile trains, happened before and is
# counted further down. A chapter that did not change since the last build is not executed again,
# and keeps its time.

# %% tags=["hide-input"]
times = [
    (record.chapter, record.parameters["profile"], record.seconds)
    for record in read_records(HOME)
    if not record.chapter.startswith("9")
]
show(
    pd.DataFrame(times, columns=["chapter", "profile", "seconds"]),
    "No chapter was executed by `avvp book build` here yet.",
)

# %% [markdown]
# ## What each profile computes
#
# Learning-rate decay keeps its place in the course of training: with fewer epochs its points move
# in proportion.

# %% tags=["hide-input"]
profile_table()

# %% [markdown]
# ## Experiments
#
# What this build's profile changes in each experiment, field by field, and what there is to show:
# seeds and mean training time of the committed runs and of the runs made for this build. A run
# marked stale was made before a change of the experiment's definition, and is to be repeated.

# %% tags=["hide-input"]
status_table(profile, data=data)

# %% [markdown]
# ## Every run behind the tables
#
# Where the numbers of the tables come from: machine, versions, time, and the fingerprint of the data.

# %% tags=["hide-input"]
provenance_table(tuple(REGISTRY), profile=profile, data=data)
