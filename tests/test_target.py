import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmzoo.chips import CHIPS, QUANTIZE
from bmzoo.errors import ConfigError, nearest
from bmzoo.target import MAX_BATCH, Target, check, feasible, parse

POSSIBLE = [(c.name, p, n) for c in CHIPS.values() for p in c.precisions for n in c.cores]
MODELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-.]{0,12}[A-Za-z0-9]", fullmatch=True)


@settings(max_examples=40)
@given(st.sampled_from(POSSIBLE), st.integers(1, MAX_BATCH), MODELS, MODELS)
def test_every_possible_target_survives_being_written_and_read(
    possible: tuple[str, str, int], batch: int, model: str, default: str
) -> None:
    chip, precision, cores = possible
    target = Target(model, chip, precision, batch, cores)
    assert parse(target.qualified(default), default) == target
    assert parse(f"{model}.{target}", default) == target
    check(target, "here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bm1688_int8_4b_2core", Target("usual", "bm1688", "int8", 4, 2)),
        ("slim_320.bm1684x_fp16_1b", Target("slim_320", "bm1684x", "fp16", 1)),
        ("retinaface_mobilenet0.25.bm1684_fp32_1b", Target("retinaface_mobilenet0.25", "bm1684", "fp32", 1)),
        ("a.b.c.cv186x_int4_16b", Target("a.b.c", "cv186x", "int4", 16)),
    ],
)
def test_the_model_stands_before_the_last_dot(text: str, expected: Target) -> None:
    assert parse(text, "usual") == expected
    assert expected.qualified("usual") == text


def test_one_core_is_not_marked() -> None:
    assert str(parse("bm1688_fp16_1b_1core", "usual")) == "bm1688_fp16_1b"
    assert parse("bm1688_fp16_1b", "m").artifact == "BM1688/m_fp16_1b.bmodel"
    assert parse("bm1688_fp16_1b_2core", "m").artifact == "BM1688/m_fp16_1b_2core.bmodel"
    assert parse("slim_320.bm1684x_int8_4b", "m").artifact == "BM1684X/slim_320_int8_4b.bmodel"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("bm1685_int8_1b", "unknown chip: bm1685", "did you mean bm1688? allowed: bm1684, bm1684x"),
        ("BM1688_int8_1b", "unknown chip: BM1688", "did you mean bm1688?"),
        ("tpu_int8_1b", "unknown chip: tpu", "allowed: bm1684, bm1684x, bm1688, cv186x"),
        ("bm1688_int7_1b", "unknown precision: int7", "did you mean int8? allowed: fp32"),
        ("bm1688_INT8_1b", "unknown precision: INT8", "allowed: fp32"),
        ("bm1688_int8_0b", "batch out of range: 0", "allowed: 1 to 256"),
        ("bm1688_int8_007b", "batch out of range: 007", "allowed: 1 to 256"),
        ("bm1688_int8_257b", "batch out of range: 257", "allowed: 1 to 256"),
        ("bm1688_int8_-1b", "batch out of range: -1", "allowed: 1 to 256"),
        ("bm1688_int8_\uff14b", "batch out of range: \uff14", "allowed: 1 to 256"),  # a full-width 4
        ("bm1688_int8_b", "batch out of range: nothing", "allowed: 1 to 256"),
        pytest.param("bm1688_int8_" + "9" * 5000 + "b", "batch out of range: 9", "allowed: 1 to 256", id="huge"),
        ("bm1688_int8_1b_0core", "core count out of range: 0", "allowed: 1"),
        ("bm1688_int8_1b_core", "core count out of range: nothing", "allowed: 1"),
        ("bm1688_int8_1b_3core", "bm1688 has 1 or 2 TPU cores", "nearest valid choice: bm1688_int8_1b_2core"),
        ("", "not of the form <chip>_<precision>_<batch>b", "for example bm1688_int8_4b_2core"),
        ("bm1688", "not of the form", "for example"),
        ("bm1688_int8", "not of the form", "for example"),
        ("int8_1b", "not of the form", "for example"),
        ("bm1688_int8_4", "not of the form", "for example"),
        ("bm1688_int8_4b_", "not of the form", "for example"),
        ("bm1688_int8_4b_2cores", "not of the form", "for example"),
        ("bm1688_int8_4b\n", "not of the form", "for example"),
        ("slim_320.", "not of the form", "for example"),
    ],
)
def test_a_wrong_name_says_which_part_and_what_is_allowed(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "usual")
    assert message in caught.value.message and text in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "reason", "instead"),
    [
        ("bm1684_fp16_1b", "bm1684 has no half-precision units", "bm1684_fp32_1b"),
        ("bm1684_bf16_4b", "bm1684 has no half-precision units", "bm1684_fp32_4b"),
        ("bm1684_int4_1b", "bm1684 has no 4-bit integer units", "bm1684_int8_1b"),
        ("bm1684_int4_1b_2core", "bm1684 has no 4-bit integer units", "bm1684_int8_1b"),
        ("bm1684x_int4_2b", "bm1684x has no 4-bit integer units", "bm1684x_int8_2b"),
        ("bm1684x_fp32_1b_2core", "bm1684x has 1 TPU core", "bm1684x_fp32_1b"),
        ("bm1688_fp32_1b_8core", "bm1688 has 1 or 2 TPU cores", "bm1688_fp32_1b_2core"),
        ("cv186x_int8_1b_2core", "cv186x has 1 TPU core", "cv186x_int8_1b"),
    ],
)
def test_what_a_chip_cannot_do_comes_with_the_reason_and_the_nearest_choice(
    text: str, reason: str, instead: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "usual")
    assert reason in caught.value.message
    assert caught.value.hint == f"nearest valid choice: {instead}"


@settings(max_examples=40)
@given(
    st.sampled_from(list(CHIPS)),
    st.sampled_from(list(QUANTIZE)),
    st.integers(1, MAX_BATCH),
    st.integers(1, 8),
)
def test_the_nearest_choice_is_always_possible_and_a_possible_target_is_its_own(
    chip: str, precision: str, batch: int, cores: int
) -> None:
    target = Target("m", chip, precision, batch, cores)
    nearest = feasible(target)
    check(nearest, "here")
    assert (nearest.model, nearest.chip, nearest.batch) == ("m", chip, batch)
    if (chip, precision, cores) in POSSIBLE:
        assert nearest == target


def test_the_closest_name_or_none() -> None:
    names = ["bm1684_int8_1b", "bm1688_int8_4b_2core"]
    assert nearest("bm1688_int8_4b_2cor", names) == "bm1688_int8_4b_2core"
    assert nearest("zzz", names) == ""
