"""The papers' numbers are read as they stand in the file."""

from pathlib import Path

import pandas as pd
import pytest

import avvp
from avvp.errors import AvvpError
from avvp.metrics import METRICS
from avvp.published import Row, published, published_cells, published_rows

FILE = Path(avvp.__file__).parent / "package_data" / "published.csv"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """The same file, read by another library."""
    return pd.read_csv(FILE, keep_default_na=False)


def test_a_row_in_words_has_no_name_of_an_option():
    assert Row("ma", "Table 1", "HAN").in_words == "HAN"
    assert Row("ma", "Table 4", "MA", "tau=0.1").in_words == "MA (temperature 0.1)"
    assert Row("ma", "Table 3", "MA", "refine=visual").in_words == "MA (visual labels refined)"
    assert not [row for row in published_rows() if "=" in row.in_words]


def test_every_cell_is_read_in_order(frame):
    assert list(map(tuple, frame.itertuples(index=False))) == [tuple(c) for c in published_cells()]


def test_every_cell_is_found_again_in_its_row(frame):
    found = {row: published(*row) for row in published_rows()}
    assert sum(map(len, found.values())) == len(frame)
    for cell in published_cells():
        assert found[cell.place][cell.key] == cell.value


def test_scores_go_by_the_keys_of_the_metrics():
    assert set(published("mgn", "Table 1", "HAN")) == set(METRICS)
    assert "segment/audio" not in published("ma", "Table 1", "STPN")
    assert "model_size" in published("mgn_supp", "Table 1", "HAN")


def test_rows_of_a_paper_and_of_a_table(frame):
    for paper, group in frame.groupby("paper"):
        assert {row.paper for row in published_rows(paper)} == {paper}
        for table, cells in group.groupby("table"):
            expected = cells[["paper", "table", "row", "setting"]].drop_duplicates()
            rows = published_rows(paper, table)
            assert [tuple(row) for row in rows] == list(map(tuple, expected.values))
    assert published_rows("nobody") == ()


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (("avvp", "Table 1", "HAN"), "no paper 'avvp' .* it has 'mgn', "),
        (("ma", "Table 9", "HAN"), "no table 'Table 9' .* it has 'Table 1', .* 'text'"),
        (("ma", "Table 2", "HAN"), "no row 'HAN' .* it has 'Baseline', 'MA'"),
        (("ma", "Table 2", "MA", "X"), "no setting 'X' .* it has 'C', 'R', 'C\\+R'"),
    ],
)
def test_unknown_names_give_one_sentence(place, sentence):
    with pytest.raises(AvvpError, match=sentence) as raised:
        published(*place)
    assert "\n" not in str(raised.value)
