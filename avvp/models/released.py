"""Read the weights that the authors released, under the names they gave them.

Each family is a table from released names to ours, and a list of entries that the released network
carries but never calls. Nothing is dropped in silence: the unused entries are listed in
``module.unused_released``, and a missing, unknown or mis-shaped entry is an error.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from avvp.checkpoints import read_checkpoint
from avvp.errors import AvvpError
from avvp.models.avg import AVG
from avvp.models.cross_modal import CrossModal
from avvp.models.han import HAN
from avvp.models.mgn import MGN


@dataclass(frozen=True)
class Family:
    """How one release maps onto one of our networks.

    Attributes:
        network: our class, the one that also trains.
        prefixes: released prefix -> ours; what follows the prefix (``weight``, ``bias``) is kept,
            and ``*`` stands for the number of a block.
        unused: a pattern of released names that the released forward pass never reaches, or that
            our network has no use for under some options.
        sizes: the options that follow from a state_dict.
        variants: where a release has several networks, the options of each by name.
    """

    network: type[nn.Module]
    prefixes: Mapping[str, str]
    unused: re.Pattern[str]
    sizes: Callable[[Mapping[str, Tensor]], dict[str, Any]] = lambda state: {}
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _attention(released: str, ours: str) -> dict[str, str]:
    """torch's multi-head attention writes ``in_proj_weight``: an underscore, not a point."""
    return {
        f"{released}.in_proj_": f"{ours}.in_projection.",
        f"{released}.out_proj.": f"{ours}.out_projection.",
    }


_HEAD = {
    "fc_prob.": "pooling.classifier.",
    "fc_frame_att.": "pooling.time_attention.",
    "fc_av_att.": "pooling.modality_attention.",
}
_FRONT_END = {
    "fc_a.": "front_end.audio.",
    "fc_v.": "front_end.visual_2d.",
    "fc_st.": "front_end.visual_3d.",
    "fc_fusion.": "front_end.fusion.",
}
_HAN_LAYER = {
    **_attention("hat_encoder.layers.0.cm_attn", "hybrid_attention.cross_attention"),
    **_attention("hat_encoder.layers.0.self_attn", "hybrid_attention.self_attention"),
    "hat_encoder.layers.0.linear1.": "hybrid_attention.expand.",
    "hat_encoder.layers.0.linear2.": "hybrid_attention.contract.",
    "hat_encoder.layers.0.norm1.": "hybrid_attention.norm_attention.",
    "hat_encoder.layers.0.norm2.": "hybrid_attention.norm_feed_forward.",
}
_HAN_UNUSED = (
    r"(audio_encoder|visual_encoder|cmt_encoder)\.layers\.0\."
    r"(self_attn\.(in_proj_(weight|bias)|out_proj\.(weight|bias))|(linear|norm)[12]\.(weight|bias))"
    r"|(cmt_encoder|hat_encoder)\.norm[12]\.(weight|bias)"
)

_MA_UNUSED = (
    rf"{_HAN_UNUSED}|t_att2?\.((w_[qkv]s|fc)\.(weight|bias)|layer_norm\.(gamma|beta))"
    r"|fc[12]\.(weight|bias)"
)

_MGN_BLOCK = {
    "norm1.": "norm_attention.",
    "attn.qkv.": "attention.in_projection.",
    "attn.proj.": "attention.out_projection.",
    "norm2.": "norm_feed_forward.",
    "mlp.fc1.": "feed_forward.expand.",
    "mlp.fc2.": "feed_forward.contract.",
}
_QUERY_KEY_VALUE = {
    "q_proj.": "query.",
    "k_proj.": "key.",
    "v_proj.": "value.",
    "proj.": "out_projection.",
}
_MGN_GROUPING = {
    "norm_tokens.": "norm_tokens.",
    "mlp_inter.fc1.": "mix.expand.",
    "mlp_inter.fc2.": "mix.contract.",
    "norm_post_tokens.": "norm_mixed.",
    "norm_x.": "norm_elements.",
    **{f"pre_assign_attn.attn.{r}": f"read.attention.{o}" for r, o in _QUERY_KEY_VALUE.items()},
    "pre_assign_attn.norm2.": "read.norm_feed_forward.",
    "pre_assign_attn.mlp.fc1.": "read.feed_forward.expand.",
    "pre_assign_attn.mlp.fc2.": "read.feed_forward.contract.",
    "pre_assign_attn.norm_post.": "read.norm_out.",
    **{f"assign.{r}": f"assignment.{o}" for r, o in _QUERY_KEY_VALUE.items()},
    "norm_new_x.": "norm_grouped.",
    "mlp_channels.fc1.": "feed_forward.expand.",
    "mlp_channels.fc2.": "feed_forward.contract.",
}
_MGN_BRANCHES = {
    "audio_cug.blocks.*.": ("audio_encoder.*.", _MGN_BLOCK),
    "audio_cug.han_encoder.": ("segment_grouping.", _MGN_GROUPING),
    "audio_cug.grouping.": ("audio_grouping.", _MGN_GROUPING),
    "visual_cug.blocks.*.": ("visual_encoder.*.", _MGN_BLOCK),
    "visual_cug.grouping.": ("visual_grouping.", _MGN_GROUPING),
    "av_mcg.blocks.*.": ("cross_modal_encoder.*.", _MGN_BLOCK),
    "av_mcg.grouping.": ("cross_modal_grouping.", _MGN_GROUPING),
}
_MGN = {
    "audio_token": "audio_token",
    "visual_token": "visual_token",
    **_FRONT_END,
    **{
        released + inner: ours + our_inner
        for released, (ours, parts) in _MGN_BRANCHES.items()
        for inner, our_inner in parts.items()
    },
    "fc_prob.": "video_classifier.",
    "fc_prob_a.": "audio_classifier.",
    "fc_prob_v.": "visual_classifier.",
    "fc_cls.": "token_classifier.",
}

# The released forward pass reaches every entry; ours does not without a grouping, or with other
# scores.
_MGN_UNUSED = "|".join(
    re.escape(released).replace(r"\*", r"\d+") + "(weight|bias)" * released.endswith(".")
    for released in _MGN
)


def _mgn_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The depths; 1 for a branch without blocks, so that these are missed by name."""
    depths = []
    for branch in ("audio_cug", "visual_cug", "av_mcg"):
        found = (re.match(rf"{branch}\.blocks\.(\d+)\.", name) for name in state)
        depths.append(len({number[1] for number in found if number}) or 1)
    return {"depths": tuple(depths)}


_AVG_STREAMS = {"rgb": ("visual_2d", "img"), "r2p1d": ("visual_3d", "img"), "audio": ("audio",) * 2}
_AVG_LAYER = {
    **{f"attention.self.{part}.": f"{part}." for part in ("query", "key", "value")},
    "attention.output.dense.": "out_projection.",
    "attention.output.LayerNorm.": "norm_attention.",
    "intermediate.dense.": "expand.",
    "output.dense.": "contract.",
    "output.LayerNorm.": "norm_feed_forward.",
}
_AVG = {
    **{
        f"uniter.{stream}_embeddings.{released}": f"{ours}.{part}"
        for stream, (ours, kind) in _AVG_STREAMS.items()
        for released, part in {
            f"{kind}_linear.": "linear.",
            f"{kind}_layer_norm.": "norm_features.",
            "LayerNorm.": "norm.",
            "mask_embedding.weight": "mask_embedding",
            "position_embeddings.weight": "positions",
        }.items()
    },
    "uniter.token_type_embeddings.weight": "token_types",
    **{f"uniter.encoder.layer.*.{r}": f"layers.*.{ours}" for r, ours in _AVG_LAYER.items()},
    "fc_a.": "read_audio.",
    "fc_v.": "read_visual_2d.",
    "fc_st.": "read_visual_3d.",
    "fc_fusion.": "fusion.",
    **_HEAD,
}
_AVG_UNUSED = (
    r"uniter\.((rgb|r2p1d|audio)_embeddings\.pos_layer_norm|(rgb|r2p1d)_embeddings\.fc_v"
    r"|pooler\.dense)\.(weight|bias)"
)


def _avg_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Channels, layers and hidden channels; an entry that is absent is missed by name later."""
    found = (re.match(r"uniter\.encoder\.layer\.(\d+)\.", name) for name in state)
    sizes = {"layers": len({number[1] for number in found if number}) or 1}
    for size, entry in (
        ("hidden", "uniter.audio_embeddings.audio_linear.weight"),
        ("intermediate", "uniter.encoder.layer.0.intermediate.dense.weight"),
    ):
        if entry in state:
            sizes[size] = len(state[entry])
    return sizes


_GLOBAL_CONTEXT = {
    "qx_linear.": "query.",
    "vx_linear.": "value.",
    "kx_linear.": "key.",
    "qc_linear.": "query_context.",
    "kc_linear.": "key_context.",
    "Vqx_linear.": "query_gate.",
    "Vqc_linear.": "query_context_gate.",
    "Vkx_linear.": "key_gate.",
    "Vkc_linear.": "key_context_gate.",
    "out.": "out.",
}
_CROSS_MODAL_LAYERS = {
    ("sa_layer_a", "self_attn"): "self_audio",
    ("sa_layer_v", "self_attn"): "self_visual",
    ("cma_layer.layers.0", "cm_attn"): "cross",
}
_CROSS_MODAL = {
    "shared_fc.": "shared.",
    **_HEAD,
    **_FRONT_END,
    **{
        released: our_name
        for (layer, attention), ours in _CROSS_MODAL_LAYERS.items()
        for released, our_name in {
            **_attention(f"{layer}.{attention}", f"{ours}.attention"),
            **{
                f"{layer}.{attention}.{r}": f"{ours}.attention.{o}"
                for r, o in _GLOBAL_CONTEXT.items()
            },
            f"{layer}.linear1.": f"{ours}.expand.",
            f"{layer}.linear2.": f"{ours}.contract.",
            f"{layer}.norm1.": f"{ours}.norm_attention.",
            f"{layer}.norm2.": f"{ours}.norm_feed_forward.",
        }.items()
    },
    "mod_classifier.fc1.": "discriminator.first.",
    "mod_classifier.norm1.": "discriminator.norm_first.",
    "mod_classifier.fc2.": "discriminator.second.",
    "mod_classifier.norm2.": "discriminator.norm_second.",
    "mod_classifier.fc3.": "discriminator.last.",
    "norm_a.": "norm_audio.",
    "norm_v.": "norm_visual.",
}
_CROSS_MODAL_UNUSED = (
    r"cma_layer\.norm[12]\.(weight|bias)|norm_[av]\.(weight|bias)"
    r"|mod_classifier\.(fc[123]\.(weight|bias)"
    r"|norm[12]\.(weight|bias|running_mean|running_var|num_batches_tracked))"
)
_PLAIN, _CONTEXT = {"global_context": "off"}, {"global_context": "released"}
_CROSS_MODAL_VARIANTS = {
    "main": {"skip": True, **_CONTEXT},
    "basic": {"skip": False, **_PLAIN},
    "skip": {"skip": True, **_PLAIN},  # as repaired: the released file cannot run
    "adv_skip": {"skip": True, **_PLAIN},
    "gcaa": {"skip": False, **_CONTEXT},
    "skip_gcaa": {"skip": True, **_CONTEXT},
    "adv_skip_gcaa": {"skip": True, **_PLAIN},  # it has no global context, whatever its name says
}

_HAN_PREFIXES = {**_HEAD, **_FRONT_END, **_HAN_LAYER}
FAMILIES: dict[str, Family] = {
    "han": Family(HAN, _HAN_PREFIXES, re.compile(_HAN_UNUSED)),
    "ma": Family(HAN, _HAN_PREFIXES, re.compile(_MA_UNUSED)),
    "mgn": Family(MGN, _MGN, re.compile(_MGN_UNUSED), _mgn_sizes),
    "avg": Family(AVG, _AVG, re.compile(_AVG_UNUSED), _avg_sizes),
    "cross_modal": Family(
        CrossModal,
        _CROSS_MODAL,
        re.compile(_CROSS_MODAL_UNUSED),
        variants=_CROSS_MODAL_VARIANTS,
    ),
}


def released_state(
    state_dict: Mapping[str, Any], *, told: str = "the checkpoint"
) -> dict[str, Tensor]:
    """Unwrap a ``state_dict`` key and strip ``module.`` prefixes.

    Args:
        state_dict: as released.
        told: what it is, for messages.

    Raises:
        AvvpError: when what is left is not a mapping from names to tensors.
    """
    inner = state_dict
    if isinstance(inner, Mapping) and isinstance(inner.get("state_dict"), Mapping):
        inner = inner["state_dict"]
    if not isinstance(inner, Mapping) or not inner:
        raise AvvpError(
            f"{told} must be a mapping from names to tensors, and is a {type(inner).__name__} with "
            "nothing of the kind in it."
        )
    for name, value in inner.items():
        if not isinstance(value, Tensor):
            raise AvvpError(
                f"entry {name!r} of {told} is a {type(value).__name__}; expected a tensor: it is "
                "no state_dict."
            )
    return {str(name).removeprefix("module."): value for name, value in inner.items()}


def released_name(family: str, ours: str) -> str:
    """The released name of one of our parameters, e.g. ``front_end.audio.weight``.

    Raises:
        AvvpError: the release has no such parameter.
    """
    block = re.search(r"(?<=\.)\d+(?=\.)", ours)
    name = re.sub(r"(?<=\.)\d+(?=\.)", "*", ours)
    for prefix, our_prefix in FAMILIES[family].prefixes.items():
        if name.startswith(our_prefix):
            name = prefix + name.removeprefix(our_prefix)
            return name.replace("*", block[0]) if block else name
    raise AvvpError(f"family {family!r} has no released name for {ours!r}.")


def construct(name: str, network: type[nn.Module], options: Mapping[str, Any]) -> nn.Module:
    """Make a network of that class.

    Raises:
        AvvpError: the network has no such option.
    """
    known = inspect.signature(network).parameters
    for option in options:
        if option not in known:
            raise AvvpError(
                f"model {name!r} has no option {option!r}; it has {', '.join(known) or 'none'}."
            )
    return network(**options)


def load_released(
    family: str, state_dict: Mapping[str, Any] | str | Path, **options: Any
) -> nn.Module:
    """Build our network of a family and fill it with released weights.

    Args:
        family: one of ``FAMILIES``.
        state_dict: bare, under a ``state_dict`` key, or with ``module.`` prefixes; or the path of
            a file with one.
        options: of the network. Sizes follow from the entries; one that is given must agree. Where
            a release has several networks, ``variant`` names one of them (``"cross_modal"``:
            ``main``, ``basic``, ``skip``, ``adv_skip``, ``gcaa``, ``skip_gcaa`` or
            ``adv_skip_gcaa``) and other options change it.

    Returns:
        The module in evaluation mode; ``unused_released`` lists the entries it has no use for.

    Raises:
        AvvpError: unknown family, variant or option; a file that is no checkpoint; a missing,
            unknown or mis-shaped entry; another size.
    """
    if family not in FAMILIES:
        raise AvvpError(f"no released family is called {family!r}; there are {sorted(FAMILIES)}.")
    table = FAMILIES[family]
    name = repr(family)
    if table.variants:
        variant = options.pop("variant", None)
        if variant not in table.variants:
            raise AvvpError(
                f"variant is {variant!r}; a released {name} network is one of "
                f"{', '.join(table.variants)}."
            )
        options = {**table.variants[variant], **options}
        name += f" ({variant})"
    told = "the checkpoint"
    if isinstance(state_dict, (str, Path)):
        told, state_dict = str(state_dict), read_checkpoint(state_dict)
    state = released_state(state_dict, told=told)
    sizes = table.sizes(state)
    for option, size in sizes.items():
        given = options.get(option, size)
        if (tuple(given) if isinstance(given, list) else given) != size:
            raise AvvpError(f"{told} has {option} {size}, not {given!r}.")
    network = construct(family, table.network, {**options, **sizes})
    wanted = {released_name(family, ours): ours for ours in network.state_dict()}
    unused = tuple(n for n in state if table.unused.fullmatch(n) and n not in wanted)
    missing = sorted(set(wanted) - set(state))
    if missing:
        raise AvvpError(
            f"{told} lacks {missing[0]!r} ({len(missing)} entries are missing): it is not "
            f"a {name} checkpoint of this size."
        )
    unknown = sorted(set(state) - set(wanted) - set(unused))
    if unknown:
        raise AvvpError(
            f"{told} has {unknown[0]!r} ({len(unknown)} such entries), which a {name} checkpoint "
            "does not have."
        )
    ours = network.state_dict()
    for released, own in wanted.items():
        if state[released].shape != ours[own].shape:
            raise AvvpError(
                f"entry {released!r} of {told} has shape {tuple(state[released].shape)}; expected "
                f"{tuple(ours[own].shape)}."
            )
        if not state[released].isfinite().all():
            raise AvvpError(f"{told}: {released!r} holds values that are not finite.")
    network.load_state_dict({own: state[released] for released, own in wanted.items()})
    network.unused_released = unused
    return network.eval()


def count_elements(state_dict: Mapping[str, Any], names: tuple[str, ...] | None = None) -> int:
    """Elements in a released state_dict, of the entries in ``names`` or of all."""
    state = released_state(state_dict)
    return sum(state[name].numel() for name in (state if names is None else names))
