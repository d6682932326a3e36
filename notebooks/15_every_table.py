# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every table, whole
#
# The chapters show the rows that they speak about. This one has the printed tables as they stand in
# print, all rows of each, for whoever looks for a number. Three kinds of lines stand below each
# other for every row: the printed number, the committed runs of this book, and, if the book was
# built with a profile that trains or with other data, the runs of that build.
#
# No line is a reproduction of a score on LLP unless it is a run on LLP's own features. What a difference between
# two lines is worth is said in the chapters, with intervals, and not here.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from avvp.published import published_items
from avvp.tables import (
    Table,
    coverage_table,
    experiments_of,
    item_table,
    provenance_table,
    result_table,
)

LEVELS = ("segment", "event")


def whole(paper: str, table: str) -> Table:
    """A printed table, at every level that it has."""
    parts = []
    for level in LEVELS:
        names = experiments_of(paper, table, level=level)
        if names:
            here = {"profile": profile, "data": data}
            parts.append(result_table(names, paper=paper, table=table, level=level, **here))
    return Table("\n\n".join(parts))


# %% [markdown]
# ## Where each table and figure is
#
# The papers' tables and figures by the order of the papers, and the chapters and figures that
# regenerate them.

# %% tags=["hide-input"]
item_table()

# %% [markdown]
# A row is regenerated if an experiment of the registry makes it. A row that two settings share,
# such as HAN under the name of a baseline, counts each time that it is printed.

# %% tags=["hide-input"]
coverage_table()

# %% [markdown]
# ## MGN
#
# ### Table 1: the methods
#
# The extended abstract prints the same table; its row of MGN alone differs, see
# {doc}`10_grouping`.

# %% tags=["hide-input"]
whole("mgn", "Table 1")

# %% [markdown]
# ### Table 2: grouping switched off

# %% tags=["hide-input"]
whole("mgn", "Table 2")

# %% [markdown]
# ## The extended abstract of MGN
#
# ### Table 1

# %% tags=["hide-input"]
whole("mgn_abstract", "Table 1")

# %% [markdown]
# ## The supplement of MGN
#
# ### Table 1: depth
#
# Sizes, the first column in print, are in {doc}`13_depth_and_size`.

# %% tags=["hide-input"]
whole("mgn_supp", "Table 1")

# %% [markdown]
# ### Table 2: assignment

# %% tags=["hide-input"]
whole("mgn_supp", "Table 2")

# %% [markdown]
# ## MA
#
# ### Table 1: the methods

# %% tags=["hide-input"]
whole("ma", "Table 1")

# %% [markdown]
# ### Table 2: contrast and refinement

# %% tags=["hide-input"]
whole("ma", "Table 2")

# %% [markdown]
# ### Table 3: the refined modality

# %% tags=["hide-input"]
whole("ma", "Table 3")

# %% [markdown]
# ### Table 4: the temperature

# %% tags=["hide-input"]
whole("ma", "Table 4")

# %% [markdown]
# ## Cross-Modal learning
#
# ### Table 1: segments

# %% tags=["hide-input"]
whole("cross_modal", "Table 1")

# %% [markdown]
# ### Table 2: events

# %% tags=["hide-input"]
whole("cross_modal", "Table 2")

# %% [markdown]
# ## The runs behind them

# %% tags=["hide-input"]
tables = [(item.paper, item.place) for item in published_items() if item.place[:5] == "Table"]
shown = dict.fromkeys(
    name for place in tables for level in LEVELS for name in experiments_of(*place, level=level)
)
provenance_table(list(shown), profile=profile, data=data)
