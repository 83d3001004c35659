"""What a config's artifacts are measured on, and what they must reach: the verdict and the evaluation."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from bmzoo.config.fields import Chips, Name, PathText, Precisions, Ratio, Section, as_tuple
from bmzoo.config.images import Images
from bmzoo.target import Target


class Thresholds(Section):
    """What an artifact must reach against the ONNX model; unset values come from less specific rules."""

    cosine: Ratio | None = None
    """Smallest cosine similarity of a head."""
    sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None
    """Smallest signal-to-quantization-noise ratio of a head, in dB."""
    iou: Ratio | None = None
    """Smallest IoU at which a face, an object or a region counts as found; of points, how near they must be: of the
    points of a pose, smallest OKS, as COCO measures keypoints.
    """
    missed: Ratio | None = None
    """Largest share of what the ONNX model finds that is missed: faces, objects, pictures, pixels, characters."""
    extra: Ratio | None = None
    """Largest share, of as many, of what is found and the ONNX model does not have."""
    faces: Annotated[int, Field(ge=0)] | None = None
    """Fewest of these that both must find; 0 where pictures without any are enough to compare."""
    engines: Ratio | None = None
    """Largest difference between simulator and MLIR, relative to the range of the head."""
    engines_sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None
    """Smallest signal-to-noise ratio between simulator and MLIR, in dB."""
    consistency: Ratio | None = None
    """Largest difference between batches and between core counts, relative to the range of the head."""


class Rule(Thresholds):
    """Thresholds for the targets that match every key given."""

    chip: Chips | None = None
    """Only targets of these chips."""
    precision: Precisions | None = None
    """Only targets of these precisions."""
    target: str | None = None
    """Only this target, such as `bm1688_int8_4b_2core`."""
    weights: Name | None = None
    """Only what is made from these weights."""

    def applies(self, target: Target, weights: str) -> bool:
        """Whether the rule is for a target made from these weights."""
        return (
            self.weights in (None, weights)
            and (self.chip is None or target.chip in self.chip)
            and (self.precision is None or target.precision in self.precision)
            and (self.target is None or self.target == str(target))
        )


class Verify(Section):
    """The first verdict: one full batch of pictures on the chip simulator against ONNX."""

    images: Images | None = None
    """Pictures to compare on; the first ones fill the batch that runs on the simulator. Needed where `input` is."""
    confidence: Ratio = 0.5
    """Lowest score of a face that is compared."""
    margin: Ratio = 0.02
    """Faces this near to the confidence are left out on both sides."""
    quantized: Annotated[int, Field(ge=1, le=1000)] = 8
    """Pictures for `int8` and `int4`, at least the batch, at most `images.count`."""
    floats: Annotated[int, Field(ge=1, le=1000)] = 2
    """Pictures for float precisions, at least the batch, at most `images.count`."""
    thresholds: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()
    """What must be reached; later rules win over earlier ones."""


class Evaluate(Section):
    """Pictures whose answers are known, used for reporting only; which metric, follows from the decoder."""

    truth: PathText
    """A file beside the pictures, or the folder of all; see "Ground truth" in docs/accuracy-and-tuning.md."""
    confidence: Ratio | None = None
    """Lowest score that counts; left out: 0.02 for faces, 0.001 for objects by COCO, 0.5 for regions."""
    nms: Ratio | None = None
    """Largest overlap (IoU) of two that both stay; left out: 0.4 for faces, 0.65 for objects by COCO."""
