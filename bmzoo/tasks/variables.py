"""Variables of the command line, `NAME=VALUE`: which there are, what they may say, where they stand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bmzoo.config.options import Options
from bmzoo.errors import ConfigError, nearest

_FLAG = {"yes": True, "1": True, "no": False, "0": False}


@dataclass(frozen=True)
class Variable:
    """`flag`: whether it says yes or no, and not a text."""

    doc: str
    flag: bool = False


VARIABLES: Mapping[str, Variable] = {
    "echo": Variable("show what the tools print", flag=True),
    "weights": Variable("insist on these weights"),
    "scheduler": Variable("run steps on other machines"),
    "key": Variable("sign what `export` writes with this private key"),
    "locked": Variable("a decision that is not committed and current is an error", flag=True),
    "yes": Variable("let `prune` remove what it lists", flag=True),
}


@dataclass(frozen=True)
class Given:
    """What the variables of a command line say. `confirmed`: `yes=1`. `key`: path of a private key, or empty."""

    options: Options = Options()
    confirmed: bool = False
    key: str = ""


def read(given: Mapping[str, str]) -> Given:
    """Check the variables of a command line. Raises ConfigError."""
    for name, text in given.items():
        _check(name, text)
    flags = {name: _FLAG[given[name]] for name, known in VARIABLES.items() if known.flag and name in given}
    options = Options(
        weights=given.get("weights"),
        echo=flags.get("echo", False),
        scheduler=given.get("scheduler"),
        locked=flags.get("locked", False),
    )
    return Given(options, flags.get("yes", False), given.get("key", ""))


def split(words: Sequence[str], takers: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """The variables of a command line, and all its other words in order.

    What follows the name of a task in `takers` belongs to that task, whatever it looks like. Raises ConfigError for
    a variable given twice.
    """
    rest: list[str] = []
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        if word in takers:
            return [*rest, *words[position:]], found
        name, sign, value = word.partition("=")
        if not sign or word.startswith("-"):
            rest.append(word)
        elif found.setdefault(name, value) != value:
            raise ConfigError(f"{word}: given before as {name}={found[name]}", "say it once")
    return rest, found


def belongs_in_front(word: str) -> str:
    """The hint for a word of a task that looks like a variable; empty for any other."""
    name = word.partition("=")[0]
    return (
        f"variables stand in front of the task: ./doit {word} TASK ..." if "=" in word and name in VARIABLES else ""
    )


def _check(name: str, text: str) -> None:
    if name not in VARIABLES:
        guess = nearest(name, VARIABLES)
        hint = f"did you mean {guess}={text}?" if guess else f"variables: {', '.join(VARIABLES)}"
        raise ConfigError(f"{name}={text}: no such variable: {name or 'nothing before ='}", hint)
    if VARIABLES[name].flag and text not in _FLAG:
        raise ConfigError(f"{name}={text}: neither yes nor no: {text or 'nothing'}", f"{name}=yes, {name}=no")
    if not text:
        raise ConfigError(f"{name}=: says nothing", "leave it out, or name something")
