# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add a method
#
# A method is a network, a loss, a training protocol, and a name for the three together. Once the
# name is in the registry of experiments, the commands of this book train it on any data set and with
# any number of seeds, and the tables put it beside the others. This chapter adds one, trains it and
# shows its row. All of its code is one short file.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from IPython.display import Markdown

from avvp.cells import code, show
from avvp.events import decode
from avvp.experiments import PROFILES
from avvp.fan_out import reproduce
from avvp.figures import use_style
from avvp.losses import TERMS, weak_targets
from avvp.results import HOME, RUNS, find_runs
from avvp.tables import result_table

use_style()

# %% [markdown]
# The file lies in `examples/` of the repository. Importing it is all it takes to register the
# method: its last lines write two dictionaries.

# %%
sys.path.insert(0, str(HOME / "examples"))
import add_a_method as mine

# %% [markdown]
# ## The network
#
# The idea is the simplest that localises: a small network looks at each second by itself, and the
# surest second speaks for the video. So a weak label pulls up one second a step, the one that was
# highest already.

# %% tags=["hide-input"]
code(mine.Surest)

# %% [markdown]
# `forward(audio, visual_2d, visual_3d)` gets a batch of B videos of ten seconds: sound (B, 10, 128),
# images (B, 10, 2048) and motion (B, 10, 512), all float32. It returns an `avvp.Parsing`, a tuple of
# probabilities:
#
# | field | shape | the probability that the event is |
# |---|---|---|
# | `video` | (B, 25) | heard or seen somewhere in the video |
# | `audio`, `visual` | (B, 25) | heard somewhere; seen somewhere |
# | `segment_audio`, `segment_visual` | (B, 10, 25) | heard in that second; seen in that second |
# | `extras` | a dictionary | whatever a loss or a figure wants besides |
#
# Only the first two rows meet a label in training, since the weak label is all there is. The segment
# probabilities are what is scored. How the one becomes the other is the method.

# %%
torch.manual_seed(0)
parsing = mine.Surest()(torch.randn(2, 10, 128), torch.randn(2, 10, 2048), torch.randn(2, 10, 512))
heard, seen = decode(parsing, gate="video")
print(tuple(parsing.segment_audio.shape), "->", tuple(heard.shape), heard.dtype)

# %% [markdown]
# ## The loss
#
# A maximum is jumpy: one second may win alone, while its neighbours sound the same. The second half
# of the idea asks neighbouring seconds of sound to agree. A loss term is a function of a parsing and
# the targets, and an objective is a weighted sum of terms; a subclass may bring its own.

# %% tags=["hide-input"]
code(mine.Steady)

# %% [markdown]
# The objective returns the sum, and each term by itself, so that every term has its curve in a run's
# history without another word.

# %%
weak = torch.zeros(2, 25).bool()
weak[:, :2] = True
total, parts = mine.LOSS(parsing, weak_targets(weak))
show([{"term": name, "value": part.item()} for name, part in parts.items()], ".3f")

# %% [markdown]
# ## The entry in the registry
#
# An `Experiment` needs a name `family/variant`, a title for tables, and the name of its network.
# What is not said is HAN's protocol. Everything in it can be another:
# `training=TrainingConfig(epochs=12, batch_size=64, selection="last")`, or options of the network,
# `options={"width": 64}`. If it regenerates a printed row, `rows` names that row, and the tables show
# both. It may come `after` another experiment, and start from its network, as MA's refinement does
# ({doc}`09_modality_labels`).

# %% tags=["hide-input"]
file = Path(mine.__file__).read_text("utf-8")
registered = file[file.index("MODELS[") : file.index("if __name__")].strip()
Markdown(f"```python\n{registered}\n```")

# %% [markdown]
# ## The row
#
# `reproduce` is what the command `avvp reproduce` calls. From a shell,
# `avvp --with examples/add_a_method.py reproduce --profile quick --only 'mine/*'` reads the file
# first; so does `--with` before every other command (`results list`, `pack`, `export`, `evaluate`).
# A network that returns something else than such a parsing, logits for instance, is refused before
# its first step. Where this page is made without training, it takes profile smoke: a few seconds on a
# handful of simulated videos, which show that the method runs and nothing else. `--profile quick`
# shows whether it learns; `medium` or `full`, with several seeds, how well. The code of a method from
# outside the package counts as a part of its run: edited, it is trained anew. On a GPU the seeds are
# trained together ({doc}`22_full_scale`); a network for which that cannot be done, a recurrent one
# say, takes `--together 1`.

# %% tags=["hide-input"]
here = profile if PROFILES[profile].seeds else "smoke"
with TemporaryDirectory() as folder:
    root = Path(folder)
    done = reproduce(
        profile=here,
        only="mine/*",
        seeds=seeds,
        data=data,
        device=device,
        runs=root,
        results=root,
        progress=False,
    )
    assert not done.failed, done.failed
    names = ["mine/surest", "reference/linear", "han/han"]
    if here == profile:  # what this build has trained stands beside it
        for name in names[1:]:
            for path in find_runs(RUNS, profile=here, experiment=name):
                target = root / path.parent.relative_to(RUNS)
                shutil.copytree(path.parent, target, dirs_exist_ok=True)
    table = result_table(names, paper="ma", table="Table 1", profile=here, data=data, runs=root)
# The command that a table names for a missing run is of the package's own methods.
command = f"avvp reproduce --profile full --only {mine.ENTRY.name}"
Markdown(table.replace(command, "python examples/add_a_method.py full"))

# %% [markdown]
# ## What to test
#
# A method that trains is not yet the method that was meant. Before the first run is believed, compute
# one small case of the pooling and of each new loss term by hand, and compare. For this one: a video
# that is sure in one second only, and a term that counts how far a sound jumps.

# %%
segment = torch.full((1, 10, 25), 0.1)
segment[0, 3, 7] = 0.9
jumps = parsing._replace(segment_audio=segment)
by_hand = 2 * (0.9 - 0.1) / (9 * 25)
found = mine.LOSS.terms()["steady"](jumps, None).item()
print(f"by hand {by_hand:.6f}, by the term {found:.6f}")
assert abs(found - by_hand) < 1e-7

# %% tags=["hide-input"]
lines = len(file.splitlines())
Markdown(
    f"The whole file has {lines} lines; the method's own loss term joins the "
    f"{len(TERMS)} that every objective has ({', '.join(sorted(TERMS))})."
)

# %% [markdown]
# ## To make it part of the book
#
# 1. The network goes to `avvp/models/NAME.py` and into `MODELS` of `avvp/models/networks.py`, a new
#    loss term into `avvp/losses.py` with the equation that it comes from.
# 2. The entry goes into `REGISTRY` of `avvp/registry.py`.
# 3. `avvp reproduce --profile smoke --only 'family/*'` shows that it runs, `--profile quick` whether
#    it learns.
# 4. A chapter `notebooks/NN_slug.py` tells the idea before the code; `CONTRIBUTING.md` in the
#    repository says how chapters are written.
# 5. `avvp results publish 'family/*'` copies its medium or full runs to where the published book
#    finds them.
