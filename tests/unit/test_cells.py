"""Tables and code as cells show them."""

import math

import pandas as pd
import pytest

from avvp.cells import agreement, code, listed, measured_on, show, show_text, takeaways
from avvp.errors import AvvpError
from avvp.events import Run
from avvp.tables import Drawn


def cells(markdown) -> list[list[str]]:
    lines = [line for line in markdown.data.splitlines() if line[1] not in ":-"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_whole_numbers_stay_whole_beside_others():
    rows = [{"n": 3, "share": 0.25, "what": "a"}, {"n": 12, "share": 100.0, "what": "b"}]
    expected = [["n", "share", "what"], ["3", "0.2", "a"], ["12", "100.0", "b"]]
    assert cells(show(rows)) == cells(show(pd.DataFrame(rows))) == expected
    assert cells(show(rows, ("", ".2f", "")))[1] == ["3", "0.25", "a"]


def test_text_is_shown_as_it_stands_and_aligned():
    shown = show_text([{"name": "1.10", "value": "2e-03"}], right=1)
    assert cells(shown)[1] == ["1.10", "2e-03"]
    rule = shown.data.splitlines()[1]
    assert rule.startswith("|:") and rule.endswith(":|")


def test_below_a_table_stands_what_it_was_measured_on():
    told = "*Measured on simulated LLP, full, 5 seeds.*"
    for shown in (show, show_text):
        assert shown([{"n": 1}], on="simulated LLP, full, 5 seeds").data.endswith(f"|\n\n{told}")
        assert "Measured" not in shown([{"n": 1}]).data


def test_runs_of_several_kinds_are_told_with_their_methods():
    drawn = {
        "han/han": Drawn("full, 5 seeds", (), ()),
        "ma/c": Drawn("medium, 3 seeds", (), ()),
        "ma/cr": Drawn("full, 5 seeds", (), ()),
    }
    assert measured_on(drawn, ["han/han", "ma/cr"]) == "full, 5 seeds"
    told = measured_on(drawn, drawn)
    assert told == "full, 5 seeds (HAN, MA (C+R)); medium, 3 seeds (MA (C))"


def test_code_is_the_source_without_its_indent():
    shown = code(Run, cells).data
    assert shown.startswith("```python\nclass Run(NamedTuple):")
    assert "\ndef cells(markdown)" in shown and shown.endswith("```")


def test_what_agrees_is_listed_and_what_does_not_is_an_error():
    told = cells(agreement([("the loss", 2e-7, 1e-5)]))
    assert told[1] == ["the loss", "2.0e-07", "1e-05"]
    for found in (2e-5, math.nan):
        with pytest.raises(AvvpError, match="probabilities differ from the release by"):
            agreement([("probabilities", found, 1e-5)])


def test_lists_in_sentences():
    assert [listed(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(["MGN, by segment", "MGN, C", "HAN"]) == "MGN, by segment; MGN, C and HAN"


def test_thousands_have_commas_years_none_and_zero_no_sign():
    rows = [{"year": 2021, "videos": 11849, "difference": -0.04, "steps": 4199.0}]
    assert cells(show(rows))[1] == ["2021", "11,849", "0.0", "4,199.0"]


def test_takeaways_stand_one_a_line():
    assert takeaways(["HAN gains.", "MGN does not."]).data == "- HAN gains.\n- MGN does not."
    assert takeaways(["Nothing was run."]).data == "Nothing was run."
