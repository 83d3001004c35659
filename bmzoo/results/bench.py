"""`bench`: stage times per image of an artifact, on the engine that this machine has for it, or of ONNX."""

from bmzoo.commands.prepare import input_spec
from bmzoo.config.fused import as_fed
from bmzoo.config.model import Model
from bmzoo.errors import ConfigError, SourceError
from bmzoo.execute import published
from bmzoo.measure.model_facts import resolved_input
from bmzoo.measure.specs import decoder_spec
from bmzoo.measure.stages import machine, stage_times
from bmzoo.plan.fed import pictures
from bmzoo.plan.shared import import_step
from bmzoo.results.decoding import told_decoder
from bmzoo.runtime.engines.card import CardSession
from bmzoo.runtime.engines.registry import open_session
from bmzoo.runtime.preprocess import read_image
from bmzoo.runtime.settings import Settings
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace

# The simulator takes seconds a batch: its times say nothing of the chip, only what a verification costs.
ROUNDS = {".onnx": 15, ".bmodel": 1, ".cvimodel": 1}


def time_stages(at: Workspace, model: Model, target: Target | None) -> str:
    """Times the target's artifact, or the ONNX model for None; writes `build/bench/....json`. Returns a line."""
    weights = at.weights.chosen(model).name
    network = at.layout.artifact(target) if target else at.layout.onnx(model.name, weights)
    if not network.is_file():
        raise SourceError(f"{at.layout.shown(network)}: not there yet", "build it first")
    config = at.weights.using(model).config
    at.weights.announce(model)
    if config.input is None or config.verify.images is None:
        raise ConfigError(
            f"configs/{model.path.name}: input: missing key: what takes pictures is timed, stage by stage"
        )
    told = at.builder(model).run(import_step(model, at.weights.chosen(model))).read_json("model.json")
    settings = Settings(
        input_spec(as_fed(resolved_input(config.input.model_dump(), told), model.fused(target) if target else "")),
        decoder_spec(told_decoder(at, model, network.parent), network.parent),
        config.verify.confidence,
        config.decoder.nms,
    )
    found = at.sources(model).pictures(pictures(config.verify.images)).files[:8]
    session = open_session(network)
    engine = "card" if isinstance(session, CardSession) else "onnx" if target is None else "simulator"
    try:
        times = stage_times(session, [read_image(path) for path in found], settings, ROUNDS[network.suffix])
    finally:
        session.close()
    told = {
        "schema": published.DOCUMENT_SCHEMA,
        "network": at.layout.shown(network),
        "weights": weights,
        "engine": engine,
        "machine": machine(),
        "milliseconds_per_image": times,
    }
    files.write(files.json_text(told), at.layout.bench(network))
    return ", ".join(f"{stage} {value:.2f} ms" for stage, value in times.items())
