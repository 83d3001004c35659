import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bmzoo.errors import SessionError
from bmzoo.runtime.engines import registry
from bmzoo.runtime.engines.registry import find_tpuc_root, open_session
from bmzoo.runtime.engines.session import OnnxSession


class Spy:
    """In place of a session: keeps what it was opened with."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        self.given, self.settings = given, settings


@pytest.fixture(autouse=True)
def spies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MlirSession", "open_simulator", "CardSession"):
        monkeypatch.setattr(registry, name, type(name, (Spy,), {}))
    absent = replace(registry.ENGINES["card"], here=lambda: False)
    monkeypatch.setitem(registry.ENGINES, "card", absent)


def test_onnx(tiny_onnx: Path) -> None:
    assert isinstance(open_session(tiny_onnx, threads=1), OnnxSession)


@pytest.mark.parametrize(
    ("name", "engine", "expected"),
    [
        ("a.mlir", "auto", "MlirSession"),
        ("a.b.mlir", "mlir", "MlirSession"),
        ("a.bmodel", "auto", "open_simulator"),
        ("a.bmodel", "simulator", "open_simulator"),
        ("a.bmodel", "card", "CardSession"),
        ("a.cvimodel", "auto", "open_simulator"),
    ],
)
def test_the_suffix_decides(name: str, engine: str, expected: str) -> None:
    session: Any = open_session(Path(name), engine=engine, tpuc_root=Path("/tpuc"))
    assert type(session).__name__ == expected
    assert session.given[0] == Path(name)


def test_a_card_comes_before_its_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    present = replace(registry.ENGINES["card"], here=lambda: True)
    monkeypatch.setitem(registry.ENGINES, "card", present)
    assert type(open_session(Path("a.bmodel"))).__name__ == "CardSession"


def test_settings_reach_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = open_session(Path("a.mlir"), tpuc_root=Path("/r"), threads=2, timeout=5.0, log=Path("/log"))
    assert session.given == (Path("a.mlir"), Path("/r"))
    assert session.settings == {"threads": 2, "timeout": 5.0, "log": Path("/log")}
    session = open_session(Path("a.mlir"), tpuc_root=Path("/r"))
    assert session.settings == {"threads": 0, "log": None}, "the session's own timeout"
    monkeypatch.setenv("TPUC_ROOT", "/named")
    session = open_session(Path("a.bmodel"))
    assert session.given[1] == Path("/named")


@pytest.mark.parametrize(
    ("name", "engine", "message", "hint"),
    [
        (
            "a.txt",
            "auto",
            r"a\.txt: no engine runs files of this kind: \.txt",
            "allowed: .bmodel, .cvimodel, .mlir, .onnx",
        ),
        ("a", "auto", "this kind: no suffix", "allowed: "),
        ("a.onnx", "simulater", "engine: unknown: simulater", "did you mean `simulator`?"),
        ("a.onnx", "q", "engine: unknown: q", "allowed: auto, onnx, mlir, simulator, card"),
        ("a.onnx", "card", "not a file for engine `card`, which runs .bmodel files", ""),
        ("a.bmodel", "onnx", "not a file for engine `onnx`", "what runs .bmodel files: simulator, card"),
        ("a.cvimodel", "card", "which runs .bmodel files", "what runs .cvimodel files: simulator"),
    ],
)
def test_what_cannot_be_opened(name: str, engine: str, message: str, hint: str) -> None:
    with pytest.raises(SessionError, match=message) as caught:
        open_session(Path(name), engine=engine)
    assert caught.value.hint.startswith(hint)


def test_where_the_toolchain_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TPUC_ROOT", raising=False)
    (tmp_path / "tpu_mlir").mkdir()
    (tmp_path / "tpu_mlir" / "__init__.py").write_text("raise RuntimeError('found, not imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_tpuc_root() == tmp_path / "tpu_mlir"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SessionError, match="TPU-MLIR is not here"):
        find_tpuc_root()
    monkeypatch.setenv("TPUC_ROOT", str(tmp_path))
    assert find_tpuc_root() == tmp_path
