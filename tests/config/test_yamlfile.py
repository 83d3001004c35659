"""YAML files: what plain words mean, and files that are no configs."""

import math
import re
from pathlib import Path

import pytest
import yaml
from tiny_config import BASE, load

from bmzoo.config.yamlfile import flow, parse_yaml
from bmzoo.errors import ConfigError

FILES = {
    "empty": (b"", "a mapping is expected at the top: NoneType"),
    "a comment only": (b"# later\n", "a mapping is expected at the top: NoneType"),
    "a list": (b"- weights\n- input\n", "a mapping is expected at the top: list"),
    "a word": (b"weights\n", "a mapping is expected at the top: str"),
    "huge": (BASE.encode() + b"#" * (1 << 20), "larger than 1048576 bytes"),
    "not UTF-8": (BASE.replace("given", "gegében").encode("latin-1"), "not UTF-8 text"),
    "deeply nested": (b"a: " + b"[" * 1500, "not valid YAML"),
    "endless number": (b"a: " + b"1" * 5000, "not valid YAML"),
    "a tag that its text is not of": (b"a: !!int 0b1", "not valid YAML: not of type int: 0b1"),
    "a date by its tag": (b"a: !!timestamp 2001-01-01", "not valid YAML"),
    "a control character": (b"a: \x00", "not valid YAML"),
    "a key that is a list": (b"? [1, 2]\n: 1\n", "not valid YAML"),
    "a key that is a number": (b"1: 2\n", "keys should be strings: 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_config_is_one_clear_error(name: str, tmp_path: Path) -> None:
    content, expected = FILES[name]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content)
    place = "" if name == "huge" else r":\d+:\d+"
    assert re.match(rf"configs/tiny\.yaml{place}: ", caught.value.message)
    assert expected in caught.value.message


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    said = {
        **{"0640": 640, "0o17": 15, "0x1F": 31, "+1": 1, "-0": 0},
        **{"1e-2": 0.01, ".5": 0.5, "5.": 5.0, "-1.5E+3": -1500.0, ".inf": math.inf, "-.Inf": -math.inf},
        **{"true": True, "FALSE": False, "~": None, "null": None, "": None},
    }
    text = ("10:40", "1:2:3", "1_000", "0b1", "yes", "no", "on", "Off", "y", "n", "2001-01-01", "=", "0o8", "1e")
    for written, meant in {**said, **{one: one for one in text}, "nullable": "nullable", "truth": "truth"}.items():
        found = parse_yaml(f"a: {written}", "x").value["a"]
        assert (type(found), found) == (type(meant), meant), written
    assert math.isnan(parse_yaml("a: .NaN", "x").value["a"])


@pytest.mark.parametrize("text", ["0640", "0o17", "1e-2", "10:40", "yes", "~", "", "null", "true", ".nan", "0b1"])
def test_what_is_written_as_text_is_read_as_text(text: str) -> None:
    written = flow({"a": [text, 1e-05, 1e30, 640, True]})
    assert parse_yaml(written, "x").value == {"a": [text, 1e-05, 1e30, 640, True]}
    assert yaml.safe_load(written)["a"][0] == text  # others read YAML 1.1


def test_text_that_is_not_utf_8_is_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"configs/tiny.yaml:2:4: not UTF-8"):
        load(tmp_path, "a: é\nb: ".encode() + b"\xff")
