"""Cross-Modal learning's networks (Interspeech 2021): HAN's parts in another order, and a critic.

Each modality attends to itself by weights of its own, then to what the other one made of itself.
Skips carry the unmixed features past the mixing; a discriminator behind a gradient reversal tries
to tell the modalities apart. Shapes: B videos, T = 10 segments, C = 25 classes, D = 512 channels.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from avvp.errors import AvvpError
from avvp.events import Parsing
from avvp.models.layers import Attention, FrontEnd, MMILPooling, widened

GlobalContext = Literal["off", "released", "intended"]
Reversal = Literal["released", "intended"]

STRENGTH_OUTSIDE_TRAINING = 0.5
"""The release's default; in evaluation nothing but a gradient could notice it."""


def reversal_strength(done: float, *, epochs: int, schedule: Reversal = "released") -> float:
    """How strongly the discriminator's gradient is reversed: 2 / (1 + exp(-10 p)) - 1.

    Args:
        done: the share of all training steps that lie behind, in [0, 1].
        epochs: of the whole training.
        schedule: ``"released"`` counts epochs from 1, so p runs from 1 / epochs to 1 + 1 / epochs;
            ``"intended"`` lets p run from 0 to 1, so that training begins without a critic.
    """
    p = done + (1 / epochs if schedule == "released" else 0.0)
    return 2 / (1 + math.exp(-10 * p)) - 1


class ReverseGradient(torch.autograd.Function):
    """The identity; its gradient is multiplied by minus the strength (Sec. 3.1, Cross-Modal)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, strength: Tensor) -> Tensor:
        """``x`` (...), as it is."""
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        """Keep the strength, a factor (); ``output`` (...) is not needed."""
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        """``gradient`` (...), turned round and scaled."""
        (strength,) = ctx.saved_tensors
        return -strength * gradient, None


class GlobalContextAttention(nn.Module):
    """Attention whose queries and keys are blended with the mean of their sequence.

    A gate a second, computed from the projected second and the projected mean, says how much of the
    mean a query or a key takes; values stay as they are. One head of the full width.
    """

    def __init__(self, width: int = 512, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.query_context = nn.Linear(width, width)
        self.key_context = nn.Linear(width, width)
        self.query_gate = nn.Linear(width, 1)
        self.query_context_gate = nn.Linear(width, 1)
        self.key_gate = nn.Linear(width, 1)
        self.key_context_gate = nn.Linear(width, 1)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``source`` (B, S, D) from ``query`` (B, T, D).

        Returns:
            the read-out (B, T, D) and the attention weights (B, T, S) before dropout.
        """
        # The means are taken of what comes in; the context has projections of its own.
        q, q_context = self.query(query), self.query_context(query.mean(dim=1, keepdim=True))
        k, k_context = self.key(source), self.key_context(source.mean(dim=1, keepdim=True))
        by_query = (self.query_gate(q) + self.query_context_gate(q_context)).sigmoid()  # (B, T, 1)
        by_key = (self.key_gate(k) + self.key_context_gate(k_context)).sigmoid()  # (B, S, 1)
        q, k = q.lerp(q_context, by_query), k.lerp(k_context, by_key)
        attention = widened(q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return self.out(self.dropout(attention) @ self.value(source)), attention


class AttentionLayer(nn.Module):
    """Attention and a feed-forward block, a norm after either: for one modality or across."""

    def __init__(self, width: int, *, dropout: float, global_context: GlobalContext) -> None:
        super().__init__()
        attention = Attention if global_context == "off" else GlobalContextAttention
        self.first_for_all = global_context == "released"
        self.attention = attention(width, dropout=dropout)
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def read(self, query: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to the seconds of ``query`` (B, T, D), read from ``source`` (B, S, D).

        Returns:
            the read-out, (B, T, D), or (B, 1, D) where all seconds get the same one, and the
            attention (B, T, S).
        """
        read, attention = self.attention(query, source)
        # The release takes element 0 of a result that is no tuple: the first second.
        return read[:, :1] if self.first_for_all else read, attention

    def forward(self, query: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """``query`` (B, T, D), ``source`` (B, S, D) -> (B, T, D) and the attention (B, T, S)."""
        read, attention = self.read(query, source)
        # Of a read-out for all seconds, dropout leaves out the same channels in all of them.
        x = self.norm_attention(query + self.dropout(read))
        hidden = self.dropout(self.expand(x).relu())
        return self.norm_feed_forward(x + self.dropout(self.contract(hidden))), attention


class ModalityDiscriminator(nn.Module):
    """Guess of every feature whether it is of sound (0) or image (1) (Eq. 2, Cross-Modal).

    The release shuffles the rows before its batch norms. Every step of it is the same for all rows
    or a mean over them, so that changes nothing, and is left out here.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.first = nn.Linear(width, 128)
        self.norm_first = nn.BatchNorm1d(128)
        self.second = nn.Linear(128, 10)
        self.norm_second = nn.BatchNorm1d(10)
        self.last = nn.Linear(10, 1)

    def forward(self, audio: Tensor, visual: Tensor, *, strength: Tensor | float) -> Tensor:
        """The probability of being visual.

        Args:
            audio, visual: (B, T, D) each.
            strength: of the reversal: to the discriminator the gradient is its own, to what lies
                before it the gradient is multiplied by minus the strength.

        Returns:
            (B, T, 2) float32, audio first.
        """
        both = torch.stack([audio, visual], dim=2)  # (B, T, 2, D)
        strength = torch.as_tensor(strength, device=both.device)
        rows = ReverseGradient.apply(both.relu(), strength).flatten(0, 2)
        hidden = self.norm_first(self.first(rows).float()).relu()
        hidden = self.norm_second(self.second(hidden).float()).relu()
        return self.last(hidden).float().sigmoid().reshape(both.shape[:3])


class Mixed(NamedTuple):
    """Features of B videos on their way through the network, each (B, T, D)."""

    audio_alone: Tensor  #: after attention within the modality
    visual_alone: Tensor
    audio: Tensor  #: what is pooled: after attention across, shared projection and skip
    visual: Tensor


class CrossModal(nn.Module):
    """Base, and what Cross-Modal learning adds to it.

    Args:
        skip: add the features before attention across modalities to those after it, and normalise.
        global_context: ``"off"`` is plain attention. ``"released"`` and ``"intended"`` blend
            queries and keys with the mean of their sequence (:class:`GlobalContextAttention`), in
            all three attentions; as released, all seconds then get the read-out of the first one.
        discriminator: guess the modality of the features, behind a gradient reversal. Every
            released variant does.
        reversal: when the reversal acts how strongly, see :func:`reversal_strength`.
        width: D.
        dropout: of the attention weights, the read-outs and the feed-forward blocks.
    """

    def __init__(
        self,
        *,
        skip: bool = True,
        global_context: GlobalContext = "released",
        discriminator: bool = True,
        reversal: Reversal = "released",
        width: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for name, value in (("skip", skip), ("discriminator", discriminator)):
            if not isinstance(value, bool):
                raise AvvpError(f"{name} is {value!r}; it must be True or False.")
        for name, value, choices in (
            ("global_context", global_context, get_args(GlobalContext)),
            ("reversal", reversal, get_args(Reversal)),
        ):
            if value not in choices:
                raise AvvpError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")

        def layer() -> AttentionLayer:
            return AttentionLayer(width, dropout=dropout, global_context=global_context)

        self.skip = skip
        self.reversal = reversal
        # On the device, where a recorded step reads it; no part of what is saved.
        strength = torch.tensor(STRENGTH_OUTSIDE_TRAINING)
        self.register_buffer("reversal_strength", strength, persistent=False)
        self.shared = nn.Linear(width, width)
        self.pooling = MMILPooling(width)
        self.front_end = FrontEnd(width)
        self.self_audio = layer()
        self.self_visual = layer()
        self.cross = layer()
        if discriminator:
            self.discriminator = ModalityDiscriminator(width)
        if skip:
            self.norm_audio = nn.LayerNorm(width)
            self.norm_visual = nn.LayerNorm(width)

    def at_progress(self, done: float, *, epochs: int) -> None:
        """Set the strength of the reversal; :func:`avvp.training.fit` calls this before a step.

        Args:
            done: the share of all steps that lie behind, in [0, 1].
            epochs: of the whole training.
        """
        strength = reversal_strength(done, epochs=epochs, schedule=self.reversal)
        self.reversal_strength.fill_(strength)

    def features(
        self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor
    ) -> tuple[Mixed, dict[str, Tensor]]:
        """Features, and attention maps (B, T, T); arguments as in :meth:`forward`."""
        a, v = self.front_end(audio, visual_2d, visual_3d)
        a_alone, map_a = self.self_audio(a, a)
        v_alone, map_v = self.self_visual(v, v)
        # The layer across modalities is shared, so both go through it as one batch of 2B.
        alone, other = torch.cat([a_alone, v_alone]), torch.cat([v_alone, a_alone])
        across, maps = self.cross(alone, other)
        a_hat, v_hat = self.shared(across).chunk(2)
        if self.skip:
            a_hat = self.norm_audio(a_hat + a_alone)
            v_hat = self.norm_visual(v_hat + v_alone)
        map_cross_a, map_cross_v = maps.chunk(2)
        return Mixed(a_alone, v_alone, a_hat, v_hat), {
            "attention_self_audio": map_a,
            "attention_self_visual": map_v,
            "attention_cross_audio": map_cross_a,
            "attention_cross_visual": map_cross_v,
        }

    def forward(self, audio: Tensor, visual_2d: Tensor, visual_3d: Tensor) -> Parsing:
        """Parse B videos.

        With a discriminator, the extras hold its guess ``modality`` and what would be right,
        ``modality_truth``, both (B, T, 2), audio first: 0 is audio and 1 visual.

        Args:
            audio: (B, T, 128).
            visual_2d: (B, T, 2048) pooled, or (B, 8T, 2048) frames.
            visual_3d: (B, T, 512).
        """
        mixed, extras = self.features(audio, visual_2d, visual_3d)
        if hasattr(self, "discriminator"):
            guess = self.discriminator(mixed.audio, mixed.visual, strength=self.reversal_strength)
            extras["modality"] = guess
            extras["modality_truth"] = torch.arange(2.0, device=guess.device).expand_as(guess)
        return self.pooling(mixed.audio, mixed.visual).parsing(**extras)
