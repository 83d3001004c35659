"""MultiDecoder: several videos, a channel each.

A card decodes in a thread for each channel and drops what nobody fetches. Here a frame is decoded when it is read,
so none is dropped and none has to be waited for.
"""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Optional

from bmzoo.sail.binding import bound
from bmzoo.sail.decoder import Decoder
from bmzoo.sail.device import LOGGER, Handle
from bmzoo.sail.enums import DecoderStatus
from bmzoo.sail.errors import FAILED
from bmzoo.sail.image import BMImage

NO_CHANNEL = -1


class _Channel:
    """Every (`skip` + 1)th frame of a video, which begins again after its end."""

    def __init__(self, path: str, device: int, skip: int) -> None:
        self.decoder = Decoder(path, True, device)
        self.status = DecoderStatus.OPENED
        self._handle, self._skip, self._lock = Handle(device), skip, threading.Lock()

    def read(self, image: BMImage) -> int:
        with self._lock:
            for _ in range(self._skip + 1):
                code = self._next(image)
                if code:
                    return code
        return 0

    def _next(self, image: BMImage) -> int:
        frame = BMImage()
        code = self.decoder.read(self._handle, frame)
        if code:
            code = self.decoder.reconnect() or self.decoder.read(self._handle, frame)
        if code:
            self.status = DecoderStatus.CLOSED
            return FAILED
        image.pixels, image.pts_dts = frame.pixels, frame.pts_dts
        return 0


class MultiDecoder:
    """Videos on one device; the queue's size and the way of dropping have no visible effect."""

    @bound("queue_size: int = 10, tpu_id: int = 0, discard_mode: int = 0")
    def __init__(self, queue_size: int = 10, tpu_id: int = 0, discard_mode: int = 0) -> None:
        self._device = Handle(tpu_id).get_device_id()
        self._channels: Dict[int, _Channel] = {}
        self._count = 0

    @bound("file_path: str, frame_skip_num: int = 0")
    def add_channel(self, file_path: str, frame_skip_num: int = 0) -> int:
        """Open a video, of which every (frame_skip_num + 1)th frame is read: number of its channel.

        Raises RuntimeError when it cannot be opened.
        """
        self._channels[self._count] = _Channel(file_path, self._device, max(0, frame_skip_num))
        self._count += 1
        return self._count - 1

    @bound("channel_idx: int, /")
    def del_channel(self, channel_idx: int) -> int:
        """Close a channel. 0, or a code when there is none."""
        channel = self._channels.pop(channel_idx, None)
        if channel is None:
            return FAILED
        channel.decoder.release()
        return 0

    @bound("channel_idx: int, image: BMImage, read_mode: int = 0", "channel_idx: int, /")
    def read(self, channel_idx: int, *arguments: Any, **named: Any) -> Any:
        """The next frame; after the last one the first again. `(channel, image, read_mode=0)` -> 0, or a code;
        `(channel)` -> a new BMImage, empty when there is no such channel.
        """
        channel, made = self._channel(channel_idx), BMImage()
        code = NO_CHANNEL if channel is None else channel.read(made)
        if not arguments:
            return made
        if code == 0:
            arguments[0].pixels, arguments[0].pts_dts = made.pixels, made.pts_dts
        return code

    @bound("channel_idx: int, image: bm_image, read_mode: int = 0", "channel_idx: int, /")
    def read_(self, channel_idx: int, *arguments: Any, **named: Any) -> Any:
        """The same for an image of an array."""
        channel, made = self._channel(channel_idx), BMImage()
        code = NO_CHANNEL if channel is None else channel.read(made)
        if not arguments:
            return made.data()
        if code == 0:
            arguments[0].pixels = made.pixels
        return code

    @bound("channel_idx: int, /")
    def reconnect(self, channel_idx: int) -> int:
        """Start again from the first frame. 0, or a code."""
        channel = self._channel(channel_idx)
        return FAILED if channel is None else channel.decoder.reconnect()

    @bound("channel_idx: int, /")
    def clear_queue(self, channel_idx: int) -> int:
        """Forget frames that wait: there are none. 0, or a code."""
        return FAILED if self._channel(channel_idx) is None else 0

    @bound("channel_idx: int, /")
    def get_frame_shape(self, channel_idx: int) -> List[int]:
        """[1, 3, height, width] in pixels; empty when there is no such channel."""
        channel = self._channel(channel_idx)
        return [] if channel is None else channel.decoder.get_frame_shape()

    @bound("channel_idx: int, /")
    def get_channel_fps(self, channel_idx: int) -> float:
        """Frames a second; 1 when there is no such channel."""
        channel = self._channel(channel_idx)
        return 1.0 if channel is None else channel.decoder.get_fps()

    @bound("channel_idx: int, /")
    def get_channel_status(self, channel_idx: int) -> DecoderStatus:
        """NONE, OPENED, or CLOSED when it cannot be read any more."""
        channel = self._channel(channel_idx)
        return DecoderStatus.NONE if channel is None else channel.status

    @bound("channel_idx: int, /")
    def get_drop_num(self, channel_idx: int) -> int:
        """0: none is dropped."""
        return 0

    @bound("channel_idx: int, /")
    def reset_drop_num(self, channel_idx: int) -> None:
        """Nothing to do."""

    @bound("flag: bool, /")
    def set_local_flag(self, flag: bool) -> None:
        """Accepted: a card slows local videos down to 25 frames a second."""

    @bound("time_second: int, /")
    def set_read_timeout(self, time_second: int) -> None:
        """Accepted: nothing has to be waited for."""

    def _channel(self, number: int) -> Optional[_Channel]:
        if number not in self._channels:
            LOGGER.info("MultiDecoder: no such channel: %d", number)
        return self._channels.get(number)
