"""What turns a compiler's profile into milliseconds on a chip. The values are in `fitted.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """How much slower a chip is than the compiler has it. `low`, `high`: ends of the interval, by estimate."""

    arithmetic: float  # how many times as long arithmetic takes, in integers and half precision
    fp32: float  # the same for networks in fp32
    memory: float  # the same for every byte that is moved: what is reached of the bandwidth that is expected
    run: float  # ms that every run costs
    join: float  # ms that it costs cores to meet
    low: float
    high: float
