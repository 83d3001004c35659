"""`report` and `why-slow` on the command line: what they take, what they say, and that they build nothing."""

import json
from collections.abc import Sequence

import pytest
from conftest import Project
from report_samples import document

from bmzoo.errors import BmzooError, ConfigError
from bmzoo.release.inventory import take
from bmzoo.release.manifest import manifest_json
from bmzoo.release.outcomes import Outcomes
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.report import report, since_what, why_slow
from bmzoo.tasks.row import Context

NAME = "bm1688_fp32_1b"


def ran(project: Project, task: str, *words: str) -> BmzooError | None:
    """Run the task's action as doit does; its error, if any."""
    context = Context(project.open(), TASKS, start=project.root)
    make, word = {"report": (report, "words"), "why-slow": (why_slow, "names")}[task]
    result = make(context)["actions"][0](**{word: list(words)})
    return result if result is None else BmzooError(str(result.message))


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["sinc=a"], "not understood: sinc=a", "did you mean since=a?"),
        (["since="], "says nothing: since=", "report since=OLD/zoo.json"),
        (["since=a", "since=b"], "said twice: since=b", "report since=OLD/zoo.json"),
        (["old.json"], "not understood: old.json", "report since=OLD/zoo.json"),
        (
            ["echo=yes"],
            "not understood: echo=yes",
            "variables stand in front of the task: ./doit echo=yes TASK ...",
        ),
    ],
)
def test_a_word_that_is_not_understood(words: Sequence[str], said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        since_what(words)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_the_older_manifest_is_named_once() -> None:
    assert since_what([]) == "" and since_what(["since=a=b", "since=a=b"]) == "a=b"


def test_a_report_since_an_older_manifest(project: Project) -> None:
    (project.root / "old.json").write_text(manifest_json(take(project.open(), Outcomes())))
    project.build(NAME)
    assert ran(project, "report", "since=old.json") is None
    assert project.toolchain.ran == []
    assert project.report.said == ["report: 8 targets: build/report/index.html"]
    page = (project.root / "build/report/index.html").read_text()
    assert "Since <code>old.json</code>" in page and "1 changed target" in page


def test_an_older_manifest_that_is_not_there_is_an_error_before_anything_is_written(project: Project) -> None:
    error = ran(project, "report", "since=old.json")
    assert error is not None and "old.json: cannot be read: No such file or directory" in str(error)
    assert not (project.root / "build/report").exists()


def test_why_slow_reads_the_stored_profile(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.build(NAME)
    at = project.open()
    target = at.target(NAME)
    at.layout.profile(target).write_text(json.dumps(document()))
    told = json.loads(at.layout.provenance(target).read_text())
    told["steps"]["deploy"]["files"]["profile.json"] = at.digests.of(at.layout.profile(target))
    at.layout.provenance(target).write_text(json.dumps(told))
    assert ran(project, "why-slow", NAME) is None and project.toolchain.ran == []
    assert "body.dw.conv" in capsys.readouterr().out
    assert ran(project, "why-slow", f"build:{NAME}") is None


def test_why_slow_without_a_profile(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.build("bm1684_fp32_1b")
    assert ran(project, "why-slow", "bm1684_fp32_1b") is None
    assert capsys.readouterr().out.startswith(
        "bm1684_fp32_1b: no profile: the compiler writes no profile for bm1684\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one target is needed: none given"),
        ((NAME, NAME), f"one target is needed: {NAME} {NAME}"),
        (("--all",), "one target is needed: --all"),
        ((NAME,), f"{NAME}: not built yet\nhint: ./doit build:{NAME}"),
        (("bm1688_fp23_1b",), "unknown precision: fp23"),
    ],
)
def test_why_slow_of_what_is_not_there(project: Project, words: Sequence[str], said: str) -> None:
    error = ran(project, "why-slow", *words)
    assert error is not None and said in str(error)
