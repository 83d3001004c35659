"""What one step needs of the machine that runs it. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass

from bmzoo.plan.step import Step


@dataclass(frozen=True)
class Needs:
    """Processor cores that are kept busy, and memory in bytes at the peak."""

    cores: int
    memory: int

    def resources(self) -> dict[str, float]:
        """As Dask counts them; a worker is started with the same names."""
        return {"cores": float(self.cores), "memory": float(self.memory)}

    def __str__(self) -> str:
        return f"cores={self.cores} memory={self.memory:.0e}".replace("e+0", "e").replace("e+", "e")


GB = 10**9
# Steps of a small network (2 MB, 640x640) take 0.1 to 0.4 GB; larger ones are to fit as well.
BY_KIND: Mapping[str, Needs] = {
    "import": Needs(1, GB),
    "ranges": Needs(1, 2 * GB),
    "scales": Needs(1, GB),
    "transform": Needs(1, 2 * GB),
    "calibrate": Needs(2, 4 * GB),
    "audit": Needs(2, 4 * GB),
    "rank": Needs(2, 4 * GB),
    "choose": Needs(2, 4 * GB),
    "search": Needs(2, 4 * GB),
    "cut": Needs(1, GB),
    "agree": Needs(2, 2 * GB),
    "deploy": Needs(1, 2 * GB),
    "combine": Needs(1, GB),
    "simulate": Needs(1, 2 * GB),
    "measure": Needs(1, GB),
    "lower": Needs(1, 2 * GB),
    "infer": Needs(1, 2 * GB),
    "compare": Needs(1, GB),
    "drift": Needs(1, 2 * GB),
    "evaluate": Needs(2, 2 * GB),
}
OTHERS = Needs(2, 4 * GB)


def needs(step: Step) -> Needs:
    """By the step's kind; a kind that is not in the table gets the most."""
    return BY_KIND.get(step.kind, OTHERS)
