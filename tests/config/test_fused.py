"""`fuse_preprocess`: where the compiler can build preprocessing in, and where a config is refused."""

from pathlib import Path

import pytest
from tiny_config import edited, load

from bmzoo.config.fused import FUSED_FORMATS, as_fed, deploy_words, order_of
from bmzoo.errors import ConfigError
from bmzoo.target import parse

TARGETS = "{chip: [bm1684, bm1688], precision: [fp32, int8], batch: [1, 2]}"
CHIPS = "[bm1684, bm1688], precision: [fp32, int8]"


def fused(fields: str, *edits: tuple[str, str], chips: str = "bm1688, precision: [fp32, int8]") -> str:
    wanted = TARGETS.replace(CHIPS, chips)
    return edited((TARGETS, f"{wanted[:-1]}, {fields}}}"), *edits)


def test_targets_of_an_entry_take_pixels_and_no_others(tmp_path: Path) -> None:
    more = f"{TARGETS}\n  - {{chip: bm1688, precision: fp16, fuse_preprocess: rgb_packed}}"
    model = load(tmp_path, edited((TARGETS, more)))
    wanted = {"bm1688_fp16_1b": "rgb_packed", "bm1688_fp32_1b": ""}
    assert {name: model.fused(parse(name, "tiny")) for name in wanted} == wanted
    assert deploy_words("rgb_packed") == ("--fuse_preprocess", "--customization_format", "RGB_PACKED")
    assert deploy_words("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (fused("fuse_preprocess: yuv_nv12"), "yuv_nv12"),
        (fused("fuse_preprocess: grayscale"), "has 1 channels, and the network takes bgr: grayscale"),
        (
            fused("fuse_preprocess: bgr_planar", ("width: 32}", "width: 32, resize: center_crop}")),
            "pictures are cropped before: bgr_planar",
        ),
        (
            fused("fuse_preprocess: bgr_planar", chips="cv181x, precision: int8"),
            "only bmodels are known to take it, and not cv181x: bgr_planar",
        ),
        (fused("fuse_preprocess: bgr_planar", chips=CHIPS), "lowering for bm1684 aborts with it"),
        (
            fused("fuse_preprocess: bgr_planar}\n  - {chip: bm1688, precision: int8, fuse_preprocess: rgb_planar"),
            "another entry asks the same target for rgb_planar: bgr_planar",
        ),
        (
            fused("fuse_preprocess: bgr_planar", ("decoder:", "inputs: {s: {value: 1}}\ndecoder:")),
            "is for networks that take a picture and nothing else: bgr_planar",
        ),
    ],
)
def test_what_cannot_be_compiled_in_is_refused_at_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert said in caught.value.message and "targets[0].fuse_preprocess" in caught.value.message


def test_what_is_fed_is_said_of_every_format() -> None:
    section = {"height": 4, "mean": [1.0, 2.0, 3.0], "scale": [2.0] * 3, "pixel_format": "bgr", "layout": "nchw"}
    assert as_fed(section, "") == section
    assert [order_of(name) for name in FUSED_FORMATS] == [
        *[("bgr", "nchw"), ("bgr", "nhwc"), ("rgb", "nchw"), ("rgb", "nhwc"), ("gray", "nchw")]
    ]
    assert as_fed(section, "rgb_packed") == {
        **{"height": 4, "mean": [0.0] * 3, "scale": [1.0] * 3},
        **{"pixel_format": "rgb", "layout": "nhwc", "dtype": "uint8"},
    }
