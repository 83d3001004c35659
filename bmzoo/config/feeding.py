"""Whether the sections of a config agree on what the network is fed."""

from collections.abc import Iterator, Sequence

from bmzoo.chips import CHIPS
from bmzoo.config.fused import order_of
from bmzoo.config.inputs import Input
from bmzoo.config.schema import ModelConfig
from bmzoo.config.yamlfile import Document, Location
from bmzoo.runtime.picture_words import CHANNELS_OF
from bmzoo.target import Target


def check_fed(config: ModelConfig, document: Document) -> None:
    """Check that there is something to feed, pictures where there is `input`, and none where there is not."""
    if config.input is None:
        _check_unpictured(config, document)
        return
    if config.verify.images is None:
        hint = "for example verify: {images: {folder: pictures/other}}"
        raise document.error(("verify", "images"), "missing key: `input` takes pictures", hint)
    if config.calibration is not None and config.calibration.count is not None:
        hint = "calibration: {images: {folder: ..., count: ...}}"
        raise document.error(("calibration", "count"), "is for models that take no pictures", hint)
    _check_size(config, config.input, document)


def check_fused(config: ModelConfig, targets: Sequence[Target], document: Document) -> None:
    """Check that preprocessing which is to be compiled in can be, in one format for each target."""
    for index, selection in enumerate(config.targets):
        wanted = selection.fuse_preprocess
        if wanted is None:
            continue
        asked = [target for target in targets if selection.asks_for(target)]
        others = (s.fuse_preprocess for s in config.targets for t in asked if s.asks_for(t))
        said = _why_not_fused(config, wanted, asked) or next(
            (f"another entry asks the same target for {one}" for one in others if one not in (None, wanted)), ""
        )
        if said:
            raise document.error(("targets", index, "fuse_preprocess"), f"{said}: {wanted}", "leave it out")


def _why_not_fused(config: ModelConfig, wanted: str, targets: Sequence[Target]) -> str:
    """Why the compiler cannot build preprocessing in, or an empty text."""
    picture = config.input
    if picture is None or config.inputs:
        return "is for networks that take a picture and nothing else"
    if picture.resize == "center_crop":
        return "the crop would be compiled in as well, and pictures are cropped before"
    channels = CHANNELS_OF[order_of(wanted)[0]]
    if channels != picture.channels:
        return f"has {channels} channels, and the network takes {picture.pixel_format}"
    return next((said for target in targets if (said := _why_no_chip_fuses(target.chip))), "")


def _why_no_chip_fuses(chip: str) -> str:
    if chip == "bm1684":  # fp32 and int8 tried, with TPU-MLIR 1.30.2
        return "TPU-MLIR's lowering for bm1684 aborts with it (TopToTpuPass.cpp)"
    return f"only bmodels are known to take it, and not {chip}" if CHIPS[chip].suffix != ".bmodel" else ""


def _check_unpictured(config: ModelConfig, document: Document) -> None:
    if not any(one.value is None for one in config.inputs.values()):
        hint = "`input` for a picture, `inputs` by name for everything else"
        raise document.error(
            ("inputs",) if config.inputs else (), "missing key: nothing is fed to the network", hint
        )
    for place, said in _of_pictures(config):
        raise document.error(place, said, "leave it out, or say below `input` what pictures become")


def _of_pictures(config: ModelConfig) -> Iterator[tuple[Location, str]]:
    """What a config says of pictures, by its place."""
    if config.decoder.kind != "none":
        yield (
            ("decoder", "kind"),
            f"reads what a network says of pictures, and there is no `input`: {config.decoder.kind}",
        )
    sections = {"verify": config.verify, "calibration": config.calibration, "quantization": config.quantization}
    for name, section in sections.items():
        if section is not None and section.images is not None:
            yield (name, "images"), "there is no `input` that takes pictures"
    if config.evaluate is not None:
        yield ("evaluate",), "there is no `input` that takes pictures"
    for index, weights in enumerate(config.weights):
        if weights.scenes is not None:
            yield ("weights", index, "scenes"), "there is no `input` that takes pictures"


def _check_size(config: ModelConfig, picture: Input, document: Document) -> None:
    """Check that what needs a size before the model's file is read has one."""
    missing = next((key for key in ("height", "width") if getattr(picture, key) is None), None)
    if missing is None:
        return
    for weights in config.weights:
        why = (
            "scenes are drawn"
            if weights.scenes is not None
            else "the graph is made"
            if weights.architecture
            else ""
        )
        if why:
            raise document.error(("input", missing), f"missing key: {why} in this size", f"weights: {weights.name}")
