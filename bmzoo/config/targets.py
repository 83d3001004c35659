"""Which targets a config asks for, which it leaves out, and their flags of model_deploy."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from bmzoo.chips import CHIPS
from bmzoo.config.fields import Batches, Chips, CoreCounts, Precisions, Section, as_tuple
from bmzoo.config.fused import FusedFormat
from bmzoo.errors import nearest
from bmzoo.target import Target

# Flags that change what model_deploy computes and that bmzoo does not already set from other keys.
DEPLOY_FLAGS = (
    "--asymmetric",
    "--quant_input",
    "--quant_output",
    "--quant_input_int8",
    "--quant_output_int8",
    "--quant_output_bf16",
    "--high_precision",
    "--ignore_f16_overflow",
    "--matmul_perchannel",
    "--do_winograd",
    "--op_divide",
    "--opt_post_processor",
    "--weight_deduplicate",
    "--disable_layer_group",
)


class Selection(Section):
    """A product of chips, precisions, batches and core counts."""

    chip: Chips
    """One chip or several."""
    precision: Precisions
    """One precision or several."""
    batch: Batches = (1,)
    """Pictures for each run, one number or several."""
    cores: CoreCounts = (1,)
    """TPU cores for each run, one number or several."""
    deploy: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Further flags of model_deploy, from the list of allowed ones."""
    fuse_preprocess: FusedFormat | None = None
    """Compile mean, scale and the order of channels into the artifact, which is fed bytes in this format then:
    planes (`_planar`) or pixel after pixel (`_packed`), in the order of the word. Pictures are resized before.
    """
    unverified: bool = False
    """Whether to build for chips whose simulator does not run: only their lowering can be compared with ONNX."""

    @model_validator(mode="after")
    def _flags(self) -> "Selection":
        for flag in self.deploy:
            if flag not in DEPLOY_FLAGS:
                guess = nearest(flag, DEPLOY_FLAGS)
                near = f" (did you mean {guess}?)" if guess else ""
                raise ValueError(f"deploy flag is not on the allowed list{near}: {flag}")
        return self

    @model_validator(mode="after")
    def _can_be_verified(self) -> "Selection":
        if self.unverified and not any(CHIPS[chip].unsimulated for chip in self.chip):
            raise ValueError(f"unverified is for chips that nothing simulates, not for {', '.join(self.chip)}")
        return self

    def targets(self, name: str) -> Iterator[Target]:
        """The product, as targets of the model of this name."""
        for chip, precision, batch, cores in product(self.chip, self.precision, self.batch, self.cores):
            yield Target(name, chip, precision, batch, cores)

    def asks_for(self, target: Target) -> bool:
        """Whether a target is one of those that `targets` yields."""
        given = (
            (target.chip, self.chip),
            (target.precision, self.precision),
            (target.batch, self.batch),
            (target.cores, self.cores),
        )
        return all(value in values for value, values in given)


class Exclusion(Section):
    """Leaves out the targets that match every key given."""

    chip: Chips | None = None
    """Targets of these chips."""
    precision: Precisions | None = None
    """Targets of these precisions."""
    batch: Batches | None = None
    """Targets of these batches."""
    cores: CoreCounts | None = None
    """Targets of these core counts."""

    def covers(self, target: Target) -> bool:
        return all(
            allowed is None or getattr(target, key) in allowed
            for key, allowed in ((k, getattr(self, k)) for k in ("chip", "precision", "batch", "cores"))
        )
