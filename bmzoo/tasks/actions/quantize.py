"""What `quantize` does."""

from bmzoo.config.model import Model
from bmzoo.results import ladder
from bmzoo.workspace import Workspace


def run_quantize(at: Workspace, own: Model) -> None:
    at.report.say(f"quantize:{own.name}: {ladder.climb(at, own)}")
