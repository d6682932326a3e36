"""Loss terms: their values on small cases, their limits, and what a run's hash depends on."""

import math
from dataclasses import asdict

import pytest
import torch

from avvp.errors import AvvpError
from avvp.events import Parsing
from avvp.experiments import PROFILES, REGISTRY
from avvp.losses import (
    PRINTED_ADVERSARIAL_WEIGHTS,
    TERMS,
    AdversarialObjective,
    ContrastiveObjective,
    Objective,
    contrast,
    cross_entropy_of_probabilities,
    modality_guess,
    token_class,
    weak_targets,
)
from avvp.models.layers import segment_similarity
from avvp.results import run_hash


def parsing(**extras):
    half = torch.full((2, 25), 0.5)
    segments = torch.full((2, 10, 25), 0.5)
    return Parsing(half, half, half, segments, segments, extras)


@pytest.fixture
def targets():
    return weak_targets(torch.eye(2, 25))


def cosines(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_contrast_is_the_cross_entropy_of_a_smoothed_diagonal():
    similarity = cosines(3, 10, 10)
    expected = []
    for video in similarity.double():
        for t, row in enumerate(video):
            wanted = torch.full((10,), 0.1 / 9, dtype=torch.double)
            wanted[t] = 0.9
            expected.append(-(wanted * (row / 0.2).log_softmax(0)).sum())
    assert contrast(similarity).item() == pytest.approx(torch.stack(expected).mean().item())


def test_contrast_without_smoothing_is_the_equation_of_the_paper():
    similarity = cosines(2, 10, 10, seed=1)
    rows = torch.nn.functional.cross_entropy(
        similarity.flatten(0, 1) / 0.5, torch.arange(10).repeat(2)
    )
    assert contrast(similarity, temperature=0.5, label_smoothing=0).item() == pytest.approx(
        rows.item()
    )


def test_contrast_reads_rows_not_columns():
    similarity = cosines(1, 10, 10, seed=2)
    assert contrast(similarity) != pytest.approx(contrast(similarity.transpose(1, 2)))


def test_contrast_of_equal_similarities_is_log_ten():
    assert contrast(torch.zeros(2, 10, 10)).item() == pytest.approx(math.log(10))


def test_a_second_that_finds_itself_costs_less():
    found, lost = torch.eye(10)[None], torch.eye(10).roll(1, 0)[None]
    assert contrast(found) < contrast(torch.zeros(1, 10, 10)) < contrast(lost)


def test_similarity_is_a_cosine_and_of_nothing_zero():
    a = torch.randn(2, 10, 8, generator=torch.Generator().manual_seed(0))
    assert segment_similarity(3 * a, a).diagonal(dim1=1, dim2=2).allclose(torch.ones(2, 10))
    silent = torch.zeros(2, 10, 8)
    assert torch.equal(segment_similarity(silent, a), torch.zeros(2, 10, 10))
    # Norms are floored at 1e-12: a shorter vector does not become a unit vector.
    tiny = torch.zeros(1, 1, 8)
    tiny[..., 0] = 1e-13
    one = torch.eye(1, 8)[None]
    assert segment_similarity(tiny, one).item() == pytest.approx(0.1, rel=1e-5)


def test_token_class_is_the_sum_of_two_means():
    audio, visual = (cosines(25, 25, seed=s) for s in (3, 4))
    expected = 0.0
    for logits in (audio.double(), visual.double()):
        expected += sum(-logits[c].log_softmax(0)[c].item() for c in range(25)) / 25
    assert token_class(audio, visual).item() == pytest.approx(expected)
    assert token_class(torch.zeros(25, 25), torch.zeros(25, 25)).item() == pytest.approx(
        2 * math.log(25)
    )


def test_totals_are_weighted_sums_of_their_terms(targets):
    given = parsing(
        similarity=cosines(2, 10, 10),
        token_logits_audio=cosines(25, 25, seed=5),
        token_logits_visual=cosines(25, 25, seed=6),
    )
    weights = {"video": 1.0, "audio": 2.0, "visual": 0.5, "token_class": 3.0, "contrastive": 0.25}
    total, parts = ContrastiveObjective(weights=weights, temperature=0.3)(given, targets)
    assert list(parts) == list(weights)
    assert total.item() == pytest.approx(sum(weights[n] * parts[n].item() for n in weights))
    assert parts["contrastive"] == contrast(given.extras["similarity"], temperature=0.3)


def test_the_contrastive_objective_adds_one_term_of_weight_one(targets):
    given = parsing(similarity=cosines(2, 10, 10))
    base, _ = Objective()(given, targets)
    total, parts = ContrastiveObjective()(given, targets)
    assert total.item() == pytest.approx((base + parts["contrastive"]).item())


def test_a_guess_of_the_modality_by_hand():
    guess = torch.tensor([[[0.1, 0.8], [0.5, 0.3]]])
    truth = torch.tensor([0.0, 1.0]).expand_as(guess)
    wanted = -(math.log(0.9) + math.log(0.8) + math.log(0.5) + math.log(0.3)) / 4
    assert modality_guess(guess, truth).item() == pytest.approx(wanted)


def test_a_guess_is_not_clamped():
    """The class terms stop at the logarithm of 1e-7; this one does not."""
    guess, truth = torch.tensor([[[1e-20, 1.0]]]), torch.tensor([[[1.0, 1.0]]])
    assert modality_guess(guess, truth).item() == pytest.approx(-math.log(1e-20) / 2)


def test_the_adversarial_objective_weights_as_released_or_as_printed(targets):
    guess = torch.rand(2, 10, 2, generator=torch.Generator().manual_seed(0))
    truth = torch.arange(2.0).expand_as(guess)
    given = parsing(modality=guess, modality_truth=truth)
    _, base = Objective()(given, targets)
    expected = modality_guess(guess, truth)
    for objective, guided, critic in (
        (AdversarialObjective(), 0.3, 0.3),
        (AdversarialObjective(PRINTED_ADVERSARIAL_WEIGHTS), 0.6, 0.4),
    ):
        total, parts = objective(given, targets)
        assert parts["modality"] == expected
        wanted = base["video"] + guided * (base["audio"] + base["visual"]) + critic * expected
        assert total.item() == pytest.approx(wanted.item())


def test_the_share_of_right_guesses_is_told_and_is_no_term(targets):
    guess = torch.tensor([[[0.1, 0.8], [0.9, 0.3]], [[0.2, 0.4], [0.5, 0.6]]])
    given = parsing(modality=guess, modality_truth=torch.arange(2.0).expand_as(guess))
    _, parts = AdversarialObjective()(given, targets)
    assert parts["modality_accuracy"] == 5 / 8
    assert "modality_accuracy" not in AdversarialObjective().terms()
    assert "modality" not in TERMS


def test_clamped_probabilities_have_finite_loss():
    probability = torch.tensor([[0.0, 1.0, 1.7]], requires_grad=True)
    loss = cross_entropy_of_probabilities(probability, torch.tensor([[1.0, 0.0, 1.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert probability.grad[0, 2] == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"temperature": -0.2}, "temperature is -0.2; it must be above 0"),
        ({"temperature": math.nan}, "temperature is nan; it must be above 0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; it must be in"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1; it must be in"),
        ({"weights": {"contrasting": 1.0}}, "no loss term called 'contrasting'"),
        ({"weights": {}}, "ContrastiveObjective weighs no term of the loss"),
    ],
)
def test_impossible_options_are_one_sentence(options, sentence):
    with pytest.raises(AvvpError, match=sentence):
        ContrastiveObjective(**options)


def test_the_base_objective_has_no_contrastive_term():
    assert "contrastive" not in TERMS
    with pytest.raises(AvvpError, match="Objective has no loss term called 'contrastive'"):
        Objective(weights={"contrastive": 1.0})


@pytest.mark.parametrize("name", ["contrastive", "token_class"])
def test_a_network_without_what_a_term_needs_is_one_sentence(name, targets):
    with pytest.raises(AvvpError, match="which this network does not return"):
        ContrastiveObjective(weights={name: 1.0})(parsing(), targets)


def test_a_network_without_a_critic_cannot_be_trained_against_one(targets):
    with pytest.raises(AvvpError, match="needs 'modality', which this network does not return"):
        AdversarialObjective()(parsing(), targets)


def test_runs_of_han_keep_their_hash():
    """Runs were made before the other terms: what defines them must not gain an entry."""
    assert asdict(Objective()) == {
        "weights": {"video": 1.0, "audio": 1.0, "visual": 1.0},
        "visual_smoothing": 0.1,
    }
    hashes = {
        name: run_hash(REGISTRY["han/han"].configuration(PROFILES[name]), "data", 1)[:12]
        for name in ("medium", "full")
    }
    assert hashes == {"medium": "abb1688ca81c", "full": "36144d93202f"}


def test_the_parameters_of_the_contrastive_term_are_part_of_what_defines_a_run():
    released = asdict(ContrastiveObjective())
    assert released["temperature"] == 0.2
    assert released["label_smoothing"] == 0.1
    assert released["weights"] == {"video": 1.0, "audio": 1.0, "visual": 1.0, "contrastive": 1.0}
    assert released != asdict(ContrastiveObjective(temperature=0.1))
