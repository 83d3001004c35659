import io
from pathlib import Path

import pytest

from bmzoo.plan.step import Step, Subject
from bmzoo.system.partial import PROGRESS, Pieces
from bmzoo.tasks.progress import Progress, how_far

STEP = Step("rank", Subject("m", "w", "bm1684"), (), (), ())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_how_far_a_step_is_comes_from_what_it_writes(tmp_path: Path) -> None:
    assert how_far(tmp_path / PROGRESS) == ""
    pieces = Pieces(tmp_path, 16)
    pieces.keep("0", {})
    assert how_far(tmp_path / PROGRESS).startswith("1/16, about 0 s left")
    (tmp_path / PROGRESS).write_text('{"done": 12, "of": 16, "seconds_left": 40.2}')
    assert how_far(tmp_path / PROGRESS) == "12/16, about 40 s left"
    (tmp_path / PROGRESS).write_text('{"done": 1, "of": 16, "seconds_left": 200}')
    assert how_far(tmp_path / PROGRESS) == "1/16, about 3 min 20 s left"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"done": null, "of": 1, "seconds_left": 1}', "\ud800"])
def test_what_is_no_progress_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text(text, encoding="utf-8", errors="surrogatepass")
    assert how_far(tmp_path / PROGRESS) == ""


def test_a_terminal_shows_how_far_a_running_step_is(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).write_text('{"done": 12, "of": 16, "seconds_left": 40}')
    out = Terminal()
    progress = Progress(out)
    progress.started(STEP, tmp_path / PROGRESS)
    assert progress._live is not None
    progress._live.refresh()
    assert "rank m.w bm1684" in out.getvalue() and "12/16, about 40 s left" in out.getvalue()
    progress.finished(STEP, 3.0)
    progress.close()


def test_elsewhere_there_are_only_lines() -> None:
    out = io.StringIO()
    progress = Progress(out)
    progress.started(STEP)
    progress.finished(STEP, 3.0)
    assert out.getvalue() == "rank m.w bm1684 ...\nrank m.w bm1684: 3.0 s\n"
