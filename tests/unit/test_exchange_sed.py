"""Our files in the hands of sed_eval and sed_scores_eval: the same events, the same counts."""

import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # dcase_util imports pkg_resources
    import dcase_util
    import sed_eval
    import sed_scores_eval
    from sed_scores_eval.base_modules.io import read_ground_truth_events, read_sed_scores

from avvp.events import LABELS, SEGMENTS, segments_to_runs
from avvp.exchange import BOTH, Predictions, write_predictions
from avvp.metrics import evaluate_videos
from tests.unit.test_exchange import made_up

MODALITIES = list(enumerate(BOTH))
VIDEOS = tuple(f"video{n:06d}_0_10" for n in range(20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Truths, and predictions with their scores, of twenty videos."""
    place = tmp_path_factory.mktemp("exchange")
    truth = [made_up(videos=len(VIDEOS), seed=seed) for seed in (1, 2)]
    generator = torch.Generator().manual_seed(3)
    scores = [torch.rand(true.shape, generator=generator) * 0.6 + 0.3 * true for true in truth]
    for values in (*truth, *scores):
        values[3] = 0  # a video without events
    predicted = [score >= 0.5 for score in scores]
    write_predictions(place / "truth", Predictions(VIDEOS, *truth, {}), form="dcase")
    write_predictions(
        place / "said",
        Predictions(VIDEOS, *predicted, {}),
        form="dcase",
        scores=dict(zip(BOTH, scores, strict=True)),
    )
    return place, predicted, truth


@pytest.mark.parametrize(("index", "modality"), MODALITIES)
def test_they_read_the_events_that_we_wrote(index, modality, folder):
    place, predicted, _ = folder
    ours = {
        (VIDEOS[n], float(onset), float(offset), LABELS[c])
        for n, c, onset, offset in segments_to_runs(predicted[index])
    }
    path = place / "said" / f"{modality}.tsv"
    listed = dcase_util.containers.MetaDataContainer().load(str(path))
    entries = {(x.filename, x.onset, x.offset, x.event_label) for x in listed if x.event_label}
    assert entries == ours and listed.unique_files == list(VIDEOS)
    read = read_ground_truth_events(path)
    assert {(video, *event) for video, events in read.items() for event in events} == ours
    assert set(read) == set(VIDEOS)


@pytest.mark.parametrize(("index", "modality"), MODALITIES)
def test_sed_eval_counts_the_same_seconds(index, modality, folder):
    place, predicted, truth = folder
    said, true = (
        dcase_util.containers.MetaDataContainer().load(str(place / name / f"{modality}.tsv"))
        for name in ("said", "truth")
    )
    theirs = sed_eval.sound_event.SegmentBasedMetrics(
        event_label_list=list(LABELS), time_resolution=1.0
    )
    for video in VIDEOS:
        events = [
            [x for x in listed.filter(filename=video) if x.event_label] for listed in (true, said)
        ]
        containers = (dcase_util.containers.MetaDataContainer(x) for x in events)
        theirs.evaluate(*containers, evaluated_length_seconds=SEGMENTS)
    counts = evaluate_videos(*predicted, *truth).counts[0, index]
    assert counts.sum() > 300
    for label, (hits, false_positives, false_negatives) in zip(
        LABELS, counts.tolist(), strict=True
    ):
        found = theirs.class_wise[label]
        assert (found["Ntp"], found["Nfp"], found["Nfn"]) == (
            hits,
            false_positives,
            false_negatives,
        )
    hits, false_positives, false_negatives = counts.sum(dim=0).tolist()
    micro = 2 * hits / (2 * hits + false_positives + false_negatives)
    assert theirs.overall_f_measure()["f_measure"] == pytest.approx(micro)


@pytest.mark.parametrize(("index", "modality"), MODALITIES)
def test_sed_scores_eval_counts_the_same_seconds(index, modality, folder):
    place, predicted, truth = folder
    scores = read_sed_scores(place / "said" / "scores" / modality)
    _, _, _, found = sed_scores_eval.segment_based.fscore(
        scores=scores,
        ground_truth=read_ground_truth_events(place / "truth" / f"{modality}.tsv"),
        audio_durations=dict.fromkeys(VIDEOS, float(SEGMENTS)),
        threshold=0.5,
        segment_length=1.0,
    )
    counts = evaluate_videos(*predicted, *truth).counts[0, index]
    for label, three in zip(LABELS, counts.tolist(), strict=True):
        theirs = found[label]
        assert [theirs["tps"], theirs["fps"], theirs["n_ref"] - theirs["tps"]] == three
