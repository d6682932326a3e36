"""MGN: multi-modal grouping network (Mo and Tian, NeurIPS 2022), as released.

Every class has a token a modality. Encoders let tokens and segments of one modality read each
other; grouping blocks then hand the segments out to the tokens. Shapes: B videos, T = 10 segments,
C = 25 classes, D = 128 channels; N elements are grouped onto n tokens.
"""

from typing import Literal, NamedTuple, get_args

import torch
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor, nn
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.events import CLASSES, SEGMENTS, Parsing
from avvp.models.layers import FrontEnd, segment_similarity, widened

Assigned = Literal["soft", "hard"]
Score = Literal["released", "printed", "over_time", "video", "segments"]

HEADS = 8
EXPANSION = 4
MIXED = 64
"""Hidden size of token mixing, whatever the number of tokens."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention in 8 heads of consecutive channels (Eq. 3, MGN): (B, T, D) reads (B, S, D)."""
    # In float32 also under autocast: in bfloat16 its gradient takes a processor ten times as long.
    with torch.autocast(query.device.type, enabled=False):
        wide = torch.promote_types(query.dtype, torch.float32)
        q, k, v = (
            x.to(wide).unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (query, key, value)
        )
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class DropPath(nn.Module):
    """In training, leave the whole branch out for a share of the samples, and scale the others."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """``branch`` (B, ...)."""
        if not self.training or not self.rate:
            return branch
        kept = torch.rand(len(branch), *[1] * (branch.ndim - 1), device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


class FeedForward(nn.Module):
    """Linear, exact GELU, linear, along the last axis."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return self.contract(functional.gelu(self.expand(x)))


class SelfAttention(nn.Module):
    """Attention of a sequence to itself; one matrix holds the rows of query, key, value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_projection = nn.Linear(width, 3 * width)
        self.out_projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.out_projection(attend(*self.in_projection(x).chunk(3, dim=-1)))


class EncoderBlock(nn.Module):
    """A transformer block that normalises before each branch (Eqs. 7-8 and 14, MGN)."""

    def __init__(self, width: int, *, drop_path: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width)
        self.drop_path = DropPath(drop_path)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, EXPANSION * width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = x + self.drop_path(self.attention(self.norm_attention(x)))
        return x + self.drop_path(self.feed_forward(self.norm_feed_forward(x)))


class CrossAttention(nn.Module):
    """Tokens read the elements that they are about to get."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out_projection = nn.Linear(width, width)

    def forward(self, tokens: Tensor, elements: Tensor) -> Tensor:
        """``tokens`` (B, n, D), ``elements`` (B, N, D) -> (B, n, D)."""
        read = attend(self.query(tokens), self.key(elements), self.value(elements))
        return self.out_projection(read)


class Reading(nn.Module):
    """Cross-attention and a feed-forward block; no norm stands before the attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = CrossAttention(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, EXPANSION * width)
        self.norm_out = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, elements: Tensor) -> Tensor:
        """``tokens`` (B, n, D), ``elements`` (B, N, D) -> (B, n, D)."""
        x = tokens + self.attention(tokens, elements)
        return self.norm_out(x + self.feed_forward(self.norm_feed_forward(x)))


class Assignment(nn.Module):
    """Hand every element out to the tokens, then sum what each token got (Eqs. 10-11, MGN).

    The softmax runs over the tokens: it is the elements that are shared out. Hard: each element
    goes to one token, with the gradient of the softmax (straight through); in training standard
    Gumbel noise is added to the logits first.
    """

    def __init__(self, width: int, *, hard: bool) -> None:
        super().__init__()
        self.hard = hard
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out_projection = nn.Linear(width, width)

    def share(self, logits: Tensor) -> Tensor:
        """(B, n, N) -> (B, n, N), which sums to 1 over the n tokens."""
        if self.hard and self.training:
            # The logarithm of an exponential variable is a negative Gumbel variable, in float32
            # also under autocast: bfloat16 is too coarse for its tail.
            logits = logits - torch.empty_like(logits, dtype=torch.float32).exponential_().log()
        soft = widened(logits).softmax(dim=1)
        if not self.hard:
            return soft
        chosen = torch.zeros_like(soft).scatter(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return chosen - soft.detach() + soft

    def forward(self, tokens: Tensor, elements: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``tokens`` (B, n, D), ``elements`` (B, N, D).

        Returns:
            what each token got (B, n, D), the noise-free logits and the assignment (B, n, N).
        """
        query, key = self.query(tokens), self.key(elements)
        logits = query @ key.transpose(1, 2) * query.shape[-1] ** -0.5
        assignment = self.share(logits)
        # The release divides by the sum plus one, not by the sum: short of a weighted mean.
        weights = assignment / (assignment.sum(dim=2, keepdim=True) + 1)
        return self.out_projection(weights @ self.value(elements)), logits, assignment


class Grouping(nn.Module):
    """Group N elements onto n tokens (Eqs. 9 and 15, MGN).

    Args:
        tokens: n, which is built into the mixing of tokens.
        width: D.
        hard: see :class:`Assignment`.
    """

    def __init__(self, tokens: int, width: int, *, hard: bool) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(width)
        self.mix = FeedForward(tokens, MIXED)
        self.norm_mixed = nn.LayerNorm(width)
        self.norm_elements = nn.LayerNorm(width)
        self.read = Reading(width)
        self.assignment = Assignment(width, hard=hard)
        self.norm_grouped = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, EXPANSION * width)

    def forward(self, elements: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``elements`` (B, N, D), ``tokens`` (B, n, D).

        Returns:
            the groups (B, n, D), the noise-free logits and the assignment (B, n, N).
        """
        x = self.norm_elements(elements)
        mixed = self.mix(self.norm_tokens(tokens).transpose(1, 2)).transpose(1, 2)
        g = self.read(self.norm_mixed(mixed), x)
        got, logits, assignment = self.assignment(g, x)
        h = got + g
        return h + self.feed_forward(self.norm_grouped(h)), logits, assignment


def score_map(logits: Tensor, assignment: Tensor, *, score: Score, hard: bool = False) -> Tensor:
    """What a video's probability of a class is multiplied by in each second (Eq. 18, MGN).

    Args:
        logits: (B, C, T), noise-free: how well each segment fits each class token.
        assignment: (B, C, T), how the segments were handed out; sums to 1 over the C tokens.
        score: ``"printed"`` is the assignment itself, so at most one class a second can pass 0.5.
            ``"over_time"`` is a softmax over the seconds. ``"released"`` is one plus a softmax over
            the seconds of the softmax over classes, and the assignment itself where that is hard.
            ``"video"`` is 1: no localisation at all.
        hard: the assignment is hard.

    Returns:
        (B, C, T) float32.

    Raises:
        AvvpError: ``score`` is no map.
    """
    if score == "video":
        return torch.ones_like(logits, dtype=torch.float32)
    if score == "printed" or (score == "released" and hard):
        return assignment.float()
    if score == "over_time":
        return logits.float().softmax(dim=2)
    if score == "released":
        return 1 + logits.float().softmax(dim=1).softmax(dim=2)
    raise AvvpError(f"score {score!r} multiplies no map; it scores the segments themselves.")


class Grouped(NamedTuple):
    """What MGN knows of B videos before it classifies."""

    audio: Tensor  #: (B, C, D) class-aware audio features, g^a of Eq. (9)
    visual: Tensor  #: (B, C, D)
    both: Tensor  #: (B, C, D) g^av of Eq. (15)
    logits_audio: Tensor  #: (B, C, T) noise-free: which segment goes to which token; 0: no grouping
    logits_visual: Tensor
    assignment_audio: Tensor  #: (B, C, T) sums to 1 over C; 0 where there is no grouping
    assignment_visual: Tensor
    encoded_audio: Tensor  #: (B, T, D) after its encoder, in the order of time
    encoded_visual: Tensor
    fused_visual: Tensor  #: (B, T, D) before its encoder


class MGN(nn.Module):
    """Multi-modal grouping network.

    As released, sound has an extra grouping block: its segments are grouped onto the visual
    segments (before the visual encoder) before the class tokens see them. From there on the time
    index of sound is that of the image. That block is hard where ``unimodal`` is soft, and soft
    where it is hard: the flag is inverted in the release. So the network is stochastic in training
    for either choice, unless ``extra_grouping`` says otherwise.

    Args:
        depths: encoder blocks of audio, of visual, and across modalities.
        unimodal: how segments are assigned to class tokens (CUG).
        crossmodal: how audio tokens are assigned to visual ones (MCG).
        unimodal_grouping: False leaves CUG out: the class tokens as they leave the encoder, where
            they read the segments, stand in for the groups. Nothing is assigned then, and ``score``
            has to be ``"video"``. Our reading: the papers define no such network.
        crossmodal_grouping: False leaves MCG out, encoder included: the joint token of a class is
            the mean of its audio and its visual token. Our reading, as above.
        audio_time: ``"visual"`` is the release, where sound is regrouped onto the visual segments.
            ``"own"`` leaves that block out, so that the audio segments keep their own time (ours).
        extra_grouping: how that block assigns: ``"released"`` is the inverted flag, ``"intended"``
            does as ``unimodal`` says.
        score: see :func:`score_map`; no loss sees such a score. ``"segments"``, ours, is no map:
            the classifier that has to recognise the class tokens also judges every encoded segment,
            and a modality's video probability is the mean of these, weighted by a softmax over time
            of the segments' similarity to the class token (the logits of the assignment). So the
            weak label trains the seconds, as in MMIL pooling. No parameter is added, and the
            classifiers of the modalities' tokens go.
        width: D, a multiple of 8.
        drop_path: rate at which an encoder's branch is left out, the same in every block.
    """

    def __init__(
        self,
        *,
        depths: tuple[int, int, int] = (3, 3, 6),
        unimodal: Assigned = "soft",
        crossmodal: Assigned = "soft",
        unimodal_grouping: bool = True,
        crossmodal_grouping: bool = True,
        audio_time: Literal["visual", "own"] = "visual",
        extra_grouping: Literal["released", "intended"] = "released",
        score: Score = "released",
        width: int = 128,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        known = isinstance(depths, (tuple, list)) and len(depths) == 3
        if not known or not all(isinstance(d, int) and d > 0 for d in depths):
            raise AvvpError(
                f"depths is {depths!r}; expected three whole numbers of at least 1: the blocks of "
                "audio, of visual, and across modalities."
            )
        for name, value in (("unimodal", unimodal), ("crossmodal", crossmodal)):
            if value not in get_args(Assigned):
                raise AvvpError(f"{name} is {value!r}; it must be 'soft' or 'hard'.")
        for name, value in (
            ("unimodal_grouping", unimodal_grouping),
            ("crossmodal_grouping", crossmodal_grouping),
        ):
            if not isinstance(value, bool):
                raise AvvpError(f"{name} is {value!r}; it must be True or False.")
        if audio_time not in ("visual", "own"):
            raise AvvpError(f"audio_time is {audio_time!r}; it must be 'visual' or 'own'.")
        if extra_grouping not in ("released", "intended"):
            raise AvvpError(
                f"extra_grouping is {extra_grouping!r}; it must be 'released' or 'intended'."
            )
        if score not in get_args(Score):
            raise AvvpError(f"score is {score!r}; it must be one of {', '.join(get_args(Score))}.")
        if not unimodal_grouping and score != "video":
            raise AvvpError(
                f"score is {score!r}, but without unimodal grouping no segment is assigned to a "
                "class; it must be 'video'."
            )
        if width < HEADS or width % HEADS:
            raise AvvpError(f"width is {width}; it must be a multiple of {HEADS}.")
        if not 0 <= drop_path < 1:
            raise AvvpError(f"drop_path is {drop_path}; it must be in [0, 1).")

        def encoder(depth: int) -> nn.Sequential:
            return nn.Sequential(*(EncoderBlock(width, drop_path=drop_path) for _ in range(depth)))

        hard, hard_across = unimodal == "hard", crossmodal == "hard"
        self.unimodal = unimodal
        self.unimodal_grouping = unimodal_grouping
        self.crossmodal_grouping = crossmodal_grouping
        self.audio_time = audio_time
        self.score = score
        # Built in the order of the release, so that a seed draws the weights in that order.
        self.front_end = FrontEnd(width)
        self.audio_token = nn.Parameter(torch.zeros(CLASSES, width))
        self.visual_token = nn.Parameter(torch.zeros(CLASSES, width))
        self.audio_encoder = encoder(depths[0])
        if unimodal_grouping and audio_time == "visual":
            hard_extra = hard != (extra_grouping == "released")
            self.segment_grouping = Grouping(SEGMENTS, width, hard=hard_extra)
        if unimodal_grouping:
            self.audio_grouping = Grouping(CLASSES, width, hard=hard)
        self.visual_encoder = encoder(depths[1])
        if unimodal_grouping:
            self.visual_grouping = Grouping(CLASSES, width, hard=hard)
        if crossmodal_grouping:
            self.cross_modal_encoder = encoder(depths[2])
            self.cross_modal_grouping = Grouping(CLASSES, width, hard=hard_across)
        self.video_classifier = nn.Linear(width, 1)
        if score != "segments":
            self.audio_classifier = nn.Linear(width, 1)
            self.visual_classifier = nn.Linear(width, 1)
        self.token_classifier = nn.Linear(width, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def features(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Grouped:
        """Encode and group; arguments as in :meth:`forward`."""
        a, v = self.front_end(audio, visual_2d, visual_3d)  # (B, T, D) each

        def encoded(encoder: nn.Sequential, segments: Tensor, token: Tensor) -> list[Tensor]:
            tokens = token.expand(len(segments), -1, -1)  # (B, C, D)
            both = encoder(torch.cat([segments, tokens], dim=1))  # (B, T + C, D)
            return both.split([SEGMENTS, CLASSES], dim=1)

        a_hat, audio_tokens = encoded(self.audio_encoder, a, self.audio_token)
        v_hat, visual_tokens = encoded(self.visual_encoder, v, self.visual_token)
        if self.unimodal_grouping:
            sound = a_hat
            if self.audio_time == "visual":
                sound, _, _ = self.segment_grouping(a_hat, v)  # (B, T, D), a row a visual segment
            g_a, logits_a, assignment_a = self.audio_grouping(sound, audio_tokens)
            g_v, logits_v, assignment_v = self.visual_grouping(v_hat, visual_tokens)
        else:
            g_a, g_v = audio_tokens, visual_tokens
            logits_a, logits_v, assignment_a, assignment_v = g_a.new_zeros(
                4, len(a), CLASSES, SEGMENTS
            )
        if self.crossmodal_grouping:
            across = self.cross_modal_encoder(torch.cat([g_a, g_v], dim=1))  # (B, 2C, D)
            g_av, _, _ = self.cross_modal_grouping(*across.chunk(2, dim=1))
        else:
            g_av = (g_a + g_v) / 2
        return Grouped(
            g_a, g_v, g_av, logits_a, logits_v, assignment_a, assignment_v, a_hat, v_hat, v
        )  # fmt: skip

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).

        Returns:
            As released, segment scores may exceed 1 (up to 1.232, soft assignment). Extras:
            ``token_logits_audio`` and ``_visual`` (C, C); ``assignment_audio`` and ``_visual``
            (B, C, T), the soft, noise-free one; ``similarity`` (B, T, T), our choice for MA's
            contrast, which no release combines with MGN: encoded sound against the image before its
            encoder.
        """
        grouped = self.features(audio, visual_2d, visual_3d)
        video = self.video_classifier(grouped.both).squeeze(-1).float().sigmoid()  # Eq. 16
        modalities = (
            (grouped.audio, grouped.logits_audio, grouped.assignment_audio),
            (grouped.visual, grouped.logits_visual, grouped.assignment_visual),
        )
        if self.score == "segments":
            encoded = grouped.encoded_audio, grouped.encoded_visual
            scored = [
                self._pooled(segments, logits)
                for segments, (_, logits, _) in zip(encoded, modalities, strict=True)
            ]
        else:
            classifiers = self.audio_classifier, self.visual_classifier
            hard = self.unimodal == "hard"
            scored = []
            for (g, logits, assignment), classifier in zip(modalities, classifiers, strict=True):
                p = classifier(g).squeeze(-1).float().sigmoid()  # (B, C), Eq. 13
                score = score_map(logits, assignment, score=self.score, hard=hard)
                scored.append((p, p[:, :, None] * score))  # Eq. 18
        (heard, segment_audio), (seen, segment_visual) = scored
        segment_audio, segment_visual = (x.transpose(1, 2) for x in (segment_audio, segment_visual))
        soft_audio, soft_visual = (
            logits.float().softmax(dim=1)
            for logits in (grouped.logits_audio, grouped.logits_visual)
        )
        extras = {
            "token_logits_audio": self.token_classifier(self.audio_token),
            "token_logits_visual": self.token_classifier(self.visual_token),
            "assignment_audio": soft_audio,
            "assignment_visual": soft_visual,
            "similarity": segment_similarity(grouped.encoded_audio, grouped.fused_visual),
        }
        return Parsing(video, heard, seen, segment_audio, segment_visual, extras)

    def _pooled(self, segments: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """``segments`` (B, T, D), ``logits`` (B, C, T) -> probabilities (B, C) and (B, C, T)."""
        each = self.token_classifier(segments).float().sigmoid().transpose(1, 2)
        return (logits.float().softmax(dim=2) * each).sum(dim=2), each

    def event_features(
        self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor, heard: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One feature a class of every video, audio and visual: its class-aware token.

        Args:
            audio, visual_2d, visual_3d: as in :meth:`forward`.
            heard, seen: (B, C, T) bool, not used here: a token stands for the whole video.

        Returns:
            two tensors (B, C, D).
        """
        grouped = self.features(audio, visual_2d, visual_3d)
        return grouped.audio, grouped.visual

    def token_scores(self) -> dict[str, float]:
        """How well the token classifier knows the class tokens (SUPP, section 5).

        Returns:
            ``token_audio_precision``, ``_recall``, ``_f1`` and the same of ``token_visual``, each
            a mean over the C classes, in [0, 1].
        """
        own = range(CLASSES)
        with torch.no_grad():
            found = {
                "audio": self.token_classifier(self.audio_token).argmax(dim=-1).tolist(),
                "visual": self.token_classifier(self.visual_token).argmax(dim=-1).tolist(),
            }
        scores = {}
        for modality, predicted in found.items():
            three = precision_recall_fscore_support(
                own, predicted, average="macro", zero_division=0.0
            )[:3]
            for name, value in zip(("precision", "recall", "f1"), three, strict=True):
                scores[f"token_{modality}_{name}"] = float(value)
        return scores
