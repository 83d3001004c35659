"""The emulated devices, and module-wide settings."""

from __future__ import annotations

import logging
import os
from typing import Dict

from bmzoo.sail.binding import bound
from bmzoo.sail.enums import LogLevel
from bmzoo.sail.errors import Partial, SailDeviceError

# Number of emulated devices; default 1.
TPUS = "BMZOO_SAIL_TPUS"
# Result of Handle.get_target; by default the chip of the bmodel that was loaded last.
TARGET = "BMZOO_SAIL_TARGET"
DEFAULT_TARGET = "BM1684X"

LOGGER = logging.getLogger("sophon.sail")
_LEVELS = {LogLevel.TRACE: 5, LogLevel.DEBUG: 10, LogLevel.INFO: 20, LogLevel.WARN: 30}
_LEVELS.update({LogLevel.ERROR: 40, LogLevel.CRITICAL: 50, LogLevel.OFF: 60})


def get_available_tpu_num() -> int:
    """Number of devices: $BMZOO_SAIL_TPUS, or 1."""
    text = os.environ.get(TPUS, "1")
    if not text.isdigit():
        raise SailDeviceError(f"${TPUS}: must be a whole number: {text}")
    return int(text)


@bound("print_flag: bool, /")
def set_print_flag(flag: bool) -> None:
    """Sets sail's environment variable; this runtime prints no times."""
    os.environ["SAIL_PRINT_VIP_TIMES"] = "1" if flag else "0"


@bound("dump_io_flag: bool, /")
def set_dump_io_flag(flag: bool) -> None:
    """Accepted for compatibility; nothing is dumped."""


@bound("loglevel: LogLevel, /")
def set_loglevel(loglevel: LogLevel) -> int:
    """Set which of this module's messages appear on stderr. 0."""
    LOGGER.setLevel(_LEVELS[loglevel])
    return 0


class Handle(Partial):
    """A device by number; all handles of a device are alike. Raises SailDeviceError when there is none."""

    _targets: Dict[int, str] = {}

    @bound("tpu_id: int, /")
    def __init__(self, tpu_id: int) -> None:
        if not 0 <= tpu_id < get_available_tpu_num():
            raise SailDeviceError(f"no such device: {tpu_id}; ${TPUS} is the number of devices played")
        self._id = tpu_id

    def get_device_id(self) -> int:
        """Number of the device."""
        return self._id

    def get_sn(self) -> str:
        """A serial number that no card has."""
        return "SIMULATED"

    def get_target(self) -> str:
        """ "BM1684", "BM1684X", "BM1688" or "CV186AH"."""
        return os.environ.get(TARGET) or self._targets.get(self._id, DEFAULT_TARGET)

    def found(self, chip: str) -> None:
        """Remember the chip of a bmodel (bmzoo's name for it) that was loaded on this device."""
        self._targets[self._id] = {"cv186x": "CV186AH"}.get(chip, chip.upper())
