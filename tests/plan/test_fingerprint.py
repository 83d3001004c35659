from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmzoo.plan.fingerprint import fingerprint, material
from bmzoo.plan.step import Command, File, Step, Subject

FEW = settings(max_examples=20)
WORD = st.text(max_size=12)
WORDS = st.lists(WORD, max_size=3).map(tuple)
ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


@st.composite
def steps(draw: st.DrawFn) -> Step:
    commands = st.lists(st.builds(Command, WORD, WORDS, WORD), min_size=1, max_size=3).map(tuple)
    documents = st.dictionaries(WORD, WORD, min_size=1, max_size=3).map(lambda d: tuple(d.items()))
    inputs = st.dictionaries(WORD, st.just(File("x")), min_size=1, max_size=3).map(lambda d: tuple(d.items()))
    outputs = st.lists(WORD, min_size=1, max_size=3).map(tuple)
    return Step(
        draw(WORD), Subject(draw(WORD), draw(WORD)), draw(commands), draw(inputs), draw(outputs), draw(documents)
    )


def key(step: Step, inputs: Mapping[str, str] | None = None, **more: Mapping[str, str]) -> str:
    digests = {name: f"digest of {name}" for name, _ in step.inputs} if inputs is None else inputs
    tools = {c.tool: f"identity of {c.tool}" for c in step.commands}
    return fingerprint(material(step, digests, more.get("tools", tools), more.get("environment", ENVIRONMENT)))


CHANGES: dict[str, Any] = {
    "kind": lambda s: replace(s, kind=s.kind + "x"),
    "tool": lambda s: replace(s, commands=(replace(s.commands[0], tool=s.commands[0].tool + "x"), *s.commands[1:])),
    "argument": lambda s: replace(
        s, commands=(*s.commands[:-1], replace(s.commands[-1], args=(*s.commands[-1].args, "")))
    ),
    "redirection": lambda s: replace(
        s, commands=(replace(s.commands[0], stdout=s.commands[0].stdout + "x"), *s.commands[1:])
    ),
    "another command": lambda s: replace(s, commands=(*s.commands, s.commands[-1])),
    "document": lambda s: replace(s, documents=((s.documents[0][0], s.documents[0][1] + "x"), *s.documents[1:])),
    "another document": lambda s: replace(s, documents=(*s.documents, ("a name that is longer", ""))),
    "output": lambda s: replace(s, outputs=(*s.outputs[:-1], s.outputs[-1] + "x")),
    "order of outputs": lambda s: replace(s, outputs=(s.outputs[0] + "x", *s.outputs)),
}


@pytest.mark.parametrize("what", CHANGES)
@FEW
@given(steps())
def test_any_change_of_a_step_changes_its_fingerprint(what: str, step: Step) -> None:
    assert key(CHANGES[what](step)) != key(step)


@FEW
@given(steps(), st.data())
def test_any_change_from_outside_changes_the_fingerprint(step: Step, data: st.DataObject) -> None:
    digests = {name: f"digest of {name}" for name, _ in step.inputs}
    name = data.draw(st.sampled_from(sorted(digests)))
    assert key(step, {**digests, name: "another"}) != key(step)
    assert key(step, {k: v for k, v in digests.items() if k != name}) != key(step)
    tools = {c.tool: f"identity of {c.tool}" for c in step.commands}
    tool = data.draw(st.sampled_from(sorted(tools)))
    assert key(step, tools={**tools, tool: "another version"}) != key(step)
    assert key(step, environment={**ENVIRONMENT, "LANG": "C"}) != key(step)
    assert key(step, environment={**ENVIRONMENT, "NEW": ""}) != key(step)
    assert key(step, environment={}) != key(step)


@FEW
@given(steps(), st.floats(1, 1e6))
def test_what_does_not_change_the_result_does_not_count(step: Step, timeout: float) -> None:
    digests = {name: f"digest of {name}" for name, _ in step.inputs}
    tools = {c.tool: f"identity of {c.tool}" for c in step.commands}
    same = {
        "timeout": key(replace(step, timeout=timeout)),
        "subject": key(replace(step, subject=Subject(detail="another target of the same recipe"))),
        "order of inputs": key(step, dict(reversed(digests.items()))),
        "order of documents": key(replace(step, documents=step.documents[::-1])),
        "order of variables": key(step, environment=dict(reversed(ENVIRONMENT.items()))),
        "a tool that is not run": key(step, tools={**tools, "a tool that nobody runs": "1"}),
    }
    assert same == dict.fromkeys(same, key(step))


def test_arguments_do_not_run_into_each_other() -> None:
    keys = {
        key(Step("k", Subject(detail="s"), commands, (), ("o",)))
        for commands in (
            (Command("a", ("b c",)),),
            (Command("a", ("b", "c")),),
            (Command("a", ("b",), "c"),),
            (Command("a b", ("c",)),),
            (Command("a", ("b",)), Command("a", ("c",))),
            (Command("a", ("b", "c", "")),),
        )
    }
    assert len(keys) == 6


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    step = Step("k", Subject(detail="s"), (Command("t", ("ä",)),), (("i", File("x")),), ("o",), (("d", "\ud800"),))
    assert key(step) == "1a5c03b66897bffca610a5a1cff515fe751c8a212b87c0e86f7370eb010cc0d2"
