"""Text recognizers trained with CTC: for each step along the line a character or the blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.decoders.grids import only_head, softmax
from bmzoo.runtime.decoders.heads import DecoderRow, Heads
from bmzoo.runtime.predictions.text import Text
from bmzoo.runtime.preprocess import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmzoo.runtime.decoders.spec import DecoderSpec


def predictions(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int], confidence: float) -> List[Text]:
    """[B,T,C], the blank first; the best path (Graves et al. 2006): what repeats is one, then blanks go.

    `characters` are those after the blank. PaddleOCR's dictionaries leave out a space at their end, which the
    network has; a list that is one short gets it.
    """
    fits = {name: head.ndim == 3 for name, head in heads.items()}
    head = only_head("ctc_text", heads, "[batch, steps, characters]", fits)
    characters = _characters(spec, head.shape[2])
    return [_read(softmax(steps, axis=1), characters) for steps in head]


def _read(shares: NDArray[np.float32], characters: Tuple[str, ...]) -> Text:
    """[T,C] -> labels counted from the character after the blank."""
    best = shares.argmax(axis=1)
    starts = np.flatnonzero((best != 0) & np.concatenate([[True], best[1:] != best[:-1]]))
    two = np.partition(shares[starts], -2, axis=1)[:, -2:]
    return Text((best[starts] - 1).astype(np.int64), two[:, 1], two[:, 1] - two[:, 0], characters)


def _characters(spec: DecoderSpec, count: int) -> Tuple[str, ...]:
    """The characters after the blank. Raises SessionError where there are not as many as the network has."""
    known = spec.characters
    if known and len(known) == count - 2:
        known = (*known, " ")
    if known and len(known) != count - 1:
        raise SessionError(
            f"decoder: characters: {len(known)}, the network has {count - 1} after the blank",
            "one character a line, without the blank; a space at the end may be left out",
        )
    return known


def parts(heads: Heads, spec: DecoderSpec, input_hw: Tuple[int, int]) -> Dict[str, NDArray[np.float32]]:
    """The steps."""
    fits = {name: head.ndim == 3 for name, head in heads.items()}
    return {"steps": only_head("ctc_text", heads, "[batch, steps, characters]", fits)[0]}


DECODER = DecoderRow(
    None, parts, InputSpec(48, 320, "bgr", (127.5,) * 3, (1 / 127.5,) * 3, "letterbox", 127), predictions
)
