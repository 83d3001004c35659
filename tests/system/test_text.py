from bmzoo.system import markdown
from bmzoo.system.text import aligned

COLUMNS = {"name": ["a", "longer"], "loss": ["0.5", "12.25"], "why": ["", "chance"]}


def test_words_go_left_and_numbers_right() -> None:
    assert aligned(COLUMNS, ("name", "why")) == [
        "name     loss  why",
        "a         0.5",
        "longer  12.25  chance",
    ]
    assert aligned({"name": []}, ("name",)) == ["name"]


def test_the_same_as_markdown() -> None:
    assert markdown.table({**COLUMNS, "empty": ["", ""]}, ("name", "why")) == (
        "| name   |  loss | why    |\n"
        "| ------ | ----: | ------ |\n"
        "| a      |   0.5 | –      |\n"
        "| longer | 12.25 | chance |\n"
    )
