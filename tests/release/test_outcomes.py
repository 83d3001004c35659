from bmzoo.release.outcomes import Outcomes, Problem


def test_a_failure_is_its_first_line_and_what_it_left() -> None:
    told = Outcomes()
    told.failed("build:a", "disagrees: 3 < 4\nhint: thresholds are in the config", "build/failed/a")
    told.failed("build:b", "killed\nhint: free memory", "build/failed/b/log.txt")
    assert told.problem("build:a") == Problem("build:a", "disagrees: 3 < 4", "build/failed/a", own=True)
    assert told.problem("build:b") == Problem("build:b", "killed", "build/failed/b/log.txt", own=True)
    assert told.problem("build:c") is None


def test_what_did_not_run_is_followed_to_what_failed_first() -> None:
    told = Outcomes()
    told.failed("model:m", "no weights\nhint: get some")
    told.left_out("transform:1b", ["model:m"])
    told.left_out("build:a", ["calibrate:m", "transform:1b"])
    assert told.problem("build:a") == Problem("model:m", "no weights", None, own=False)
    told.left_out("build:b", ["nobody:knows"])
    assert told.problem("build:b") is None


def test_of_a_traceback_the_last_line_counts() -> None:
    told = Outcomes()
    told.failed("build:a", "PythonAction Error\nTraceback (most recent call last):\n  File x\nKeyError: 'y'\n")
    told.failed("build:b", "")
    problems = [told.problem("build:a"), told.problem("build:b")]
    assert [p.cause for p in problems if p is not None] == ["KeyError: 'y'", "failed without a word"]
