"""Tables written by hand: every slip is named with file and line."""

from pathlib import Path

import pytest

from bmzoo.chips import CHIPS, QUANTIZE
from bmzoo.commands.check_tables import run
from bmzoo.errors import SourceError
from bmzoo.quantization.tables import MODES

MLIR = "\n".join(f'#loc{i} = loc("{name}")' for i, name in enumerate(("x", "conv_Conv", "y", "größe")))
TABLE = "# op_name threshold min max\nx 4.13 -3.33 4.13\n\nconv_Conv 2.5e-1 0 .25\ny 1 -1 1\n"


def check(folder: Path, table: str | bytes, qtable: str | bytes | None = None, chip: str = "bm1688") -> None:
    """`check-tables` on tables written by hand."""
    (folder / "model.mlir").write_text(MLIR)
    for name, text in (("calibration.table", table), ("mixed.qtable", qtable)):
        if text is not None:
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    tables = ("calibration.table=tables/hand.table", *(["mixed.qtable=hand.qtable"] if qtable is not None else []))
    run(folder, ("model.mlir", chip, *tables))


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace(" ", "\t"),
        TABLE.replace("y 1", "#a note\ny 1"),
        TABLE + "größe 1 0 0",
        TABLE + "#int4_th\nx 4 -3 4\n#weight_scale\nconv_Conv 0.1 0.2 0.3 0.4 0.5\n",
    ],
)
def test_good_tables_pass(tmp_path: Path, table: str) -> None:
    check(tmp_path, table, "# layers\nconv_Conv F16\ny int4\n")


BAD = {
    "a threshold of 0": ("y 0 -1 1", "5: y: threshold must be above 0: 0"),
    "a threshold of less": ("y -1 -1 1", "5: y: threshold must be above 0: -1"),
    "a threshold of nothing": ("y 1e-40 -1 1", "5: y: threshold must be above 0: 1e-40"),
    "NaN": ("y nan -1 1", "5: y: not a finite number: nan"),
    "infinity": ("y 1 -inf 1", "5: y: not a finite number: -inf"),
    "too large": ("y 1 -1 1e39", "5: y: not a finite number: 1e39"),
    "a word": ("y 1 -1 one", "5: y: not a number: one"),
    "a comma": ("y 1,5 -1 1", "5: y: not a number: 1,5"),
    "a plus": ("y +1 -1 1", r"5: y: not a number as the compiler reads them: \+1"),
    "a large exponent": ("y 1e+2 -1 1", "5: y: not a number as the compiler reads them"),
    "a capital exponent": ("y 1E2 -1 1", "5: y: not a number as the compiler reads them"),
    "digits in groups": ("y 1_0 -1 1", "5: y: not a number as the compiler reads them"),
    "one column": ("y 1", "5: y: a row is `name threshold min max`, this one has 2 columns"),
    "two columns": ("y 1 -1", "5: y: a row is `name threshold min max`, this one has 3 columns"),
    "five columns": ("y 1 -1 1 1", "5: y: a row is `name threshold min max`, this one has 5 columns"),
    "a name alone": ("y", "5: y: a row is `name threshold min max`, this one has 1 columns"),
    "a range upside down": ("y 1 1 -1", "5: y: min is above max: 1 -1"),
    "a row twice": ("y 1 -1 1\nx 1 -1 1", "6: x: written twice, first in line 2"),
    "another tensor": ("conv_Con 1 -1 1", "5: conv_Con: no such tensor in this model"),
    "blanks before": ("  y 1 -1 1", "5: blanks before or after the row"),
    "blanks behind": ("y 1 -1 1 ", "5: blanks before or after the row"),
    "blanks alone": ("   ", "5: blanks before or after the row"),
    "a comment behind": ("y 1 -1 1 # measured", "5: y: a comment behind the row"),
    "not text": ("y\x00 1 -1 1", "5: not text"),
    "a threshold of 0 for INT4": ("y 1 -1 1\n#int4_th\nx 0 -1 1", "7: x: threshold must be above 0: 0"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_of_a_calibration_table_is_named(tmp_path: Path, what: str) -> None:
    row, said = BAD[what]
    with pytest.raises(SourceError, match=rf"^tables/hand\.table:{said}"):
        check(tmp_path, TABLE.replace("y 1 -1 1", row))


BAD_LAYERS = {
    "no mode": ("y", "2: y: a row is `layer mode`, this one has 1 words"),
    "two modes": ("y F32 F16", "2: y: a row is `layer mode`, this one has 3 words"),
    "another mode": ("y F64", "2: y: no such mode: F64"),
    "a layer twice": ("y F32\ny INT8", "3: y: written twice, first in line 2"),
    "another layer": ("conv F32", "2: conv: no such tensor in this model"),
    "blanks behind": ("y F32 ", "2: blanks before or after the row"),
    "a comment behind": ("y F32 # noisy", "2: y: a comment behind the row"),
}


@pytest.mark.parametrize("what", BAD_LAYERS)
def test_a_row_of_a_qtable_is_named(tmp_path: Path, what: str) -> None:
    row, said = BAD_LAYERS[what]
    with pytest.raises(SourceError, match=rf"^hand\.qtable:{said}"):
        check(tmp_path, TABLE, f"# layer mode\n{row}\n")


@pytest.mark.parametrize("chip", CHIPS)
def test_every_mode_that_a_chip_lacks_is_refused_with_the_reason(tmp_path: Path, chip: str) -> None:
    assert set(QUANTIZE.values()) == set(MODES)
    for precision, mode in QUANTIZE.items():
        for written in (mode, mode.lower()):
            if precision in CHIPS[chip].precisions:
                check(tmp_path, TABLE, f"y {written}\n", chip)
                continue
            said = rf"^hand\.qtable:1: y: cannot be {mode}: {chip} (has no|computes floats as) "
            with pytest.raises(SourceError, match=said) as caught:
                check(tmp_path, TABLE, f"y {written}\n", chip)
            had = [own for name, own in QUANTIZE.items() if name in CHIPS[chip].precisions]
            listed = caught.value.hint.removeprefix("modes of this chip: ").split(", ")
            assert sorted(listed) == sorted(had)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf" + TABLE.encode(), "1: begins with a byte order mark"),
        (TABLE.encode("utf-16"), "1: not UTF-8 text"),
        (TABLE.encode() + b"gr\xf6\xdfe 1 0 1\n", "6: not UTF-8 text"),
        (b"# nothing yet\n", " names no tensor"),
        (b"", " names no tensor"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=rf"^tables/hand\.table:{said}"):
        check(tmp_path, content)
    if "names" not in said:
        with pytest.raises(SourceError, match=rf"^hand\.qtable:{said}"):
            check(tmp_path, TABLE, content)


def test_what_the_tool_has_found_is_checked_by_names_only(tmp_path: Path) -> None:
    """It writes a range of 0 where a tensor always is."""
    (tmp_path / "model.mlir").write_text(MLIR)
    (tmp_path / "calibration.table").write_text("x 0 0 0\n")
    run(tmp_path, ("model.mlir",))
    (tmp_path / "calibration.table").write_text("z 1 -1 1\n")
    with pytest.raises(SourceError, match="calibration table: 1 names are not in this model: z"):
        run(tmp_path, ("model.mlir",))
