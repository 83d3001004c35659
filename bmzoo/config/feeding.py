"""Whether the sections of a config agree on what the network is fed."""

from collections.abc import Iterator

from bmzoo.config.inputs import Input
from bmzoo.config.schema import ModelConfig
from bmzoo.config.yamlfile import Document, Location


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
