"""Scripts are followed as bash would: what is expected is what bash prints for the same lines."""

from pathlib import Path

import pytest

from bmzoo.config_import.shell_run import ToolCall, tool_calls
from bmzoo.config_import.shell_tree import shell_tree
from bmzoo.config_import.shell_words import NotShell


def words_of(text: str, *arguments: str) -> list[tuple[str, ...]]:
    """The words of every model_deploy that a script would call."""
    return [call.words for call in tool_calls(shell_tree(text), arguments, {})]


def remarks_of(text: str, *arguments: str) -> list[str]:
    found: dict[str, None] = {}
    tool_calls(shell_tree(text), arguments, found)
    return list(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model_deploy.py a 'b c' \"d e\" f\\ g", [("a", "b c", "d e", "f g")]),
        ("model_deploy a # not this\nmodel_deploy.py b", [("a",), ("b",)]),
        ("model_deploy.py \\\n  --x 1 \\\n  --y=2", [("--x", "1", "--y=2")]),
        ("x=1; model_deploy.py $x ${x}b $xb '$x' \"$x\"", [("1", "1b", "$x", "1")]),
        ("x='a b'; model_deploy.py $x \"$x\"", [("a", "b", "a b")]),
        ("model_deploy.py $none \"$none\" x", [("", "x")]),
        ("x=BM; model_deploy.py ${x,,} ${x^^} ${x:-y} ${z:-y} ${z:=w}", [("bm", "BM", "BM", "y", "w")]),
        ("x=net_4b.onnx; model_deploy.py ${x%.onnx} ${x%%_*} ${x#*_} ${x##*.} ${#x}", [
            ("net_4b", "net", "4b.onnx", "onnx", "11"),
        ]),
        ("x=a-b-a; model_deploy.py ${x/a/c} ${x//a/c} ${x:2:1}", [("c-b-a", "c-b-c", "b")]),
        ("a=(1 4 'x y'); model_deploy.py ${a[1]} \"${a[@]}\" ${#a[@]}", [("4", "1", "4", "x y", "3")]),
        ("a=(1); a+=(2); model_deploy.py ${a[@]}", [("1", "2")]),
        ("x=3; model_deploy.py $((x + 1)) $((x*x-1)) $(( $x / 2 ))", [("4", "8", "1")]),
        ("for b in 1 4; do model_deploy.py $b; done", [("1",), ("4",)]),
        ("for b in {1,4}; do model_deploy.py ${b}b\ndone", [("1b",), ("4b",)]),
        ("for b in {1..3}\ndo\nmodel_deploy.py $b\ndone", [("1",), ("2",), ("3",)]),
        ("for ((i=0; i<2; i++)); do model_deploy.py $i; done", [("0",), ("1",)]),
        ("i=0\nwhile [ $i -lt 2 ]; do model_deploy.py $i; i=$((i+1)); done", [("0",), ("1",)]),
        ("i=0; until ((i >= 2)); do model_deploy.py $i; let i++; done", [("0",), ("1",)]),
        ("for b in 1 2 3; do if [ $b = 2 ]; then continue; fi; model_deploy.py $b; done", [("1",), ("3",)]),
        ("for b in 1 2 3; do [[ $b == 2 ]] && break; model_deploy.py $b; done", [("1",)]),
        ("f() { model_deploy.py $1 $2; }\nf a b; f c", [("a", "b"), ("c",)]),
        ("function f\n{\n model_deploy.py $#\n return\n model_deploy.py no\n}\nf a b", [("2",)]),
        ("f() { shift; model_deploy.py \"$@\"; }; f a 'b c' d", [("b c", "d")]),
        ("if test x = y; then model_deploy.py 1\nelif [ -z '' ]; then model_deploy.py 2\nelse false; fi", [
            ("2",),
        ]),
        ("if [ ! -d out ]; then model_deploy.py made; fi", [("made",)]),
        ("if [ ! -f in ]; then echo no; exit 1; fi\nmodel_deploy.py x", [("x",)]),
        ("if [ -z '' ]; then exit 1; fi\nmodel_deploy.py x", []),
        ("[ 1 -eq 1 ] && model_deploy.py y || model_deploy.py n", [("y",)]),
        ("[[ a == b* || bm1688 == bm* ]] && model_deploy.py y", [("y",)]),
        ("[[ bm1688 =~ ^bm[0-9]+$ ]] && model_deploy.py y", [("y",)]),
        ("case bm1688 in bm1684) model_deploy.py 1;; bm1688|cv186x) model_deploy.py 2;; *) exit;; esac", [
            ("2",),
        ]),
        ("model_deploy.py a > log.txt 2>&1 | tee x; model_deploy.py b &> y", [("a",), ("b",)]),
        ("cat > f <<EOF\nmodel_deploy.py no\nEOF\nmodel_deploy.py yes", [("yes",)]),
        ("(model_deploy.py a); { model_deploy.py b; }", [("a",), ("b",)]),
        ("python3 /opt/tools/model_deploy.py a", [("a",)]),
        ("exit 0\nmodel_deploy.py never", []),
        ("export T=bm1688; local U=x; model_deploy.py $T", [("bm1688",)]),
        ("set -e; set -- a b; model_deploy.py $2", [("b",)]),
    ],
)  # fmt: skip
def test_lines_say_what_bash_says(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words_of(text) == expected


def test_arguments_choose() -> None:
    text = "if [ ! $1 ]; then target=bm1684x\nelse target=${1,,}; fi\nmodel_deploy.py $target ${2:-1}"
    assert words_of(text) == [("bm1684x", "1")]
    assert words_of(text, "BM1688", "2") == [("bm1688", "2")]


def test_a_substitution_is_not_run_and_said(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    text = f"x=$(touch {witness})\ny=`touch {witness}`\nrm -rf {tmp_path}\nmodel_deploy.py $x"
    assert words_of(text) == [(f"$(touch {witness})",)]
    said = remarks_of(text)
    assert not witness.exists() and tmp_path.is_dir()
    assert [line.partition(": ")[0] for line in said] == ["line 1", "line 2", "line 3"]
    assert "not run" in said[0] and "rm -rf" in said[2]


def test_what_only_running_tells_is_said() -> None:
    text = "if [ $(nproc) -gt 4 ]; then model_deploy.py a; else model_deploy.py b; fi\nfor f in $(ls); do x; done"
    assert words_of(text) == [("b",)]
    assert any("only running tells" in line for line in remarks_of(text))
    assert any("a loop over $(ls)" in line for line in remarks_of(text))


def test_a_call_says_its_line() -> None:
    calls = tool_calls(shell_tree("#!/bin/bash\n\nx=1\nmodel_transform.py \\\n --mlir a\n"), (), {})
    assert calls == [ToolCall("model_transform", ("--mlir", "a"), 4)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("echo a\necho 'b", 2),
        ('x=1\ny="', 2),
        ("if true; then\necho a", 2),
        ("echo a\nfi", 2),
        ("while true; do model_deploy.py x; done", 1),
        ("f() { f; }\nf", 1),
        ("x=$((1 +* 2))", 1),
        ("echo ${x@Q}", 1),
        ("for ((;;)); do :; done", 1),
        ("(" * 500, 1),
    ],
)
def test_what_is_not_understood_says_its_line(text: str, line: int) -> None:
    with pytest.raises(NotShell) as caught:
        words_of(text)
    assert caught.value.line == line
