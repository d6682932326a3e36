"""The reference lines of the real test split, by way of files that any other system could write."""

import json

from avvp.cli import main
from avvp.data import read_annotations
from avvp.exchange import Predictions, write_predictions
from avvp.results import RESULTS

LINES = ("weak", "modality", "truth")


def masks(test, line):
    if line == "truth":
        return test.audio, test.visual
    if line == "weak":
        weak = test.weak[:, :, None].expand(test.audio.shape)
        return weak, weak
    return tuple(
        mask.any(-1, keepdim=True).expand(mask.shape) for mask in (test.audio, test.visual)
    )


def test_exported_reference_lines_get_their_committed_scores(shared, tmp_path, capsys):
    committed = json.loads((RESULTS / "llp" / "reference_lines.json").read_text())
    test = read_annotations(shared / "llp")["test"]
    for line in LINES:
        predictions = Predictions(test.ids, *masks(test, line), {})
        write_predictions(tmp_path / line, predictions, form="dcase")
        words = ("--predictions", tmp_path / line, "--annotations", shared / "llp", "--json")
        assert main(["evaluate", *map(str, words)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["videos"] == committed["splits"]["test"]["videos"]
        assert told["metrics"] == committed["splits"]["test"]["lines"][line]
