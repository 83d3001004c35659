"""Reads the words of a shell script as commands: which belong together, and where each ends."""

from collections.abc import Callable, Sequence

from bmzoo.config_import.shell_nodes import (
    ArithmeticCommand,
    Block,
    Chain,
    Choice,
    Condition,
    ConditionLoop,
    CountLoop,
    EachLoop,
    FunctionDefinition,
    Negation,
    Node,
    SimpleCommand,
)
from bmzoo.config_import.shell_words import NotShell, Operator, Part, Token, Word, shell_tokens

_DEEPEST = 100  # nested commands: more is no script that a person wrote


def shell_tree(text: str) -> Block:
    """The tree of a script. Raises NotShell."""
    parser = _Parser(shell_tokens(text))
    block = parser.block(())
    parser.end()
    return block


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise NotShell(self._tokens[self._at].line, f"a `{self._shown()}` that ends nothing")

    def block(self, ends: Sequence[str]) -> Block:
        """Commands up to a keyword or an operator, which stays."""
        line, found = self._line, list[Node]()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotShell(line, "nested too deeply")
        while self._skip((";", "\n", "&")) and not self._is_any(ends) and not self._is_any((")", "}", ";;")):
            if not ends and self._is_any(("fi", "done", "esac", "then", "else", "elif", "do")):
                break
            found.append(self._chain())
        self._depth -= 1
        return Block(tuple(found), line)

    def _chain(self) -> Node:
        left = self._command()
        while self._is_any(("&&", "||", "|")):
            line, operator = self._line, self._shown()
            self._at += 1
            self._skip(("\n",))
            left = Chain(left, operator, self._command(), line)
        return left

    def _command(self) -> Node:
        word, line = self._shown(), self._line
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if isinstance(token, Operator) and token.text == "((":
            self._at += 1
            return ArithmeticCommand(token.inner, line)
        if word == "!":
            self._at += 1
            return Negation(self._command(), line)
        compound: dict[str, Callable[[], Node]] = {
            **{"if": self._if, "for": self._for, "while": self._while, "until": self._while, "case": self._case},
            **{"{": self._braces, "(": self._parentheses, "function": self._function, "select": self._for},
        }
        if word in compound:
            found = compound[word]()
            self._redirections()
            return found
        following = self._tokens[self._at + 1 : self._at + 3]
        if word and [getattr(each, "text", "") for each in following] == ["(", ")"]:
            return self._function()
        return self._simple()

    def _if(self) -> Node:
        line, branches = self._line, list[tuple[Block, Block]]()
        self._expect("if")
        while True:
            condition = self.block(("then",))
            self._expect("then")
            branches.append((condition, self.block(("elif", "else", "fi"))))
            if self._is_any(("elif",)):
                self._at += 1
                continue
            if self._is_any(("else",)):
                self._at += 1
                branches.append((Block(()), self.block(("fi",))))
            self._expect("fi")
            return Condition(tuple(branches), line)

    def _for(self) -> Node:
        line = self._line
        self._at += 1
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if isinstance(token, Operator) and token.text == "((":
            self._at += 1
            parts = (*token.inner.split(";"), "", "", "")[:3]
            return CountLoop((parts[0], parts[1], parts[2]), self._body(), line)
        name, words = self._shown(), None
        self._at += 1
        self._skip(("\n",))
        if self._is_any(("in",)):
            self._at += 1
            words = tuple(self._words())
        return EachLoop(name, words, self._body(), line)

    def _while(self) -> Node:
        line, until = self._line, self._shown() == "until"
        self._at += 1
        condition = self.block(("do",))
        return ConditionLoop(condition, until, self._body(), line)

    def _body(self) -> Block:
        self._skip((";", "\n"))
        self._expect("do")
        found = self.block(("done",))
        self._expect("done")
        return found

    def _case(self) -> Node:
        line = self._line
        self._at += 1
        subject = self._next_word()
        self._skip(("\n",))
        self._expect("in")
        branches: list[tuple[tuple[Word, ...], Block]] = []
        while self._skip((";", "\n", ";;")) and not self._is_any(("esac",)):
            self._skip(("(",))
            patterns = [self._next_word()]
            while self._is_any(("|",)):
                self._at += 1
                patterns.append(self._next_word())
            self._expect(")")
            branches.append((tuple(patterns), self.block(("esac",))))
        self._expect("esac")
        return Choice(subject, tuple(branches), line)

    def _braces(self) -> Node:
        self._expect("{")
        found = self.block(())
        self._expect("}")
        return found

    def _parentheses(self) -> Node:
        self._expect("(")
        found = self.block(())
        self._expect(")")
        return found

    def _function(self) -> Node:
        line = self._line
        if self._shown() == "function":
            self._at += 1
        name = self._next_word().bare
        if self._is_any(("(",)):
            self._at += 1
            self._expect(")")
        self._skip(("\n",))
        return FunctionDefinition(name, self._command(), line)

    def _simple(self) -> Node:
        line = self._line
        words = tuple(self._words(tests=True))
        if not words:
            raise NotShell(line, f"a `{self._shown()}` where a command is expected")
        return SimpleCommand(words, line)

    def _words(self, tests: bool = False) -> list[Word]:
        """Words up to an operator; redirections are left out. Between `[[` and `]]` operators are words too."""
        found: list[Word] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            inside = tests and bool(found) and found[0].bare == "[[" and found[-1].bare != "]]"
            if isinstance(token, Operator):
                if inside and token.text != "\n":
                    found.append(_word(token))
                elif not inside and self._redirection():
                    continue
                elif not inside:
                    break
                self._at += 1
                continue
            self._at += 1
            found.append(token)
        return found

    def _redirections(self) -> None:
        while self._at < len(self._tokens) and self._redirection():
            pass

    def _redirection(self) -> bool:
        """Pass over `> file`; whether there was one."""
        if not self._is_any(("<", ">", ">>", "<<", "<<-", "<<<", ">&", "<&", "&>", "&>>", ">|")):
            return False
        self._at += 1
        if self._at < len(self._tokens) and isinstance(self._tokens[self._at], Word):
            self._at += 1
        return True

    def _next_word(self) -> Word:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if not isinstance(token, Word):
            raise NotShell(self._line, f"a `{self._shown()}` where a word is expected")
        self._at += 1
        return token

    def _expect(self, text: str) -> None:
        if not self._is_any((text,)):
            raise NotShell(self._line, f"`{text}` is missing before `{self._shown() or 'the end'}`")
        self._at += 1

    def _skip(self, texts: Sequence[str]) -> bool:
        """Pass over operators; whether anything is left."""
        while self._at < len(self._tokens) and isinstance(self._tokens[self._at], Operator) and self._is_any(texts):
            self._at += 1
        return self._at < len(self._tokens)

    def _is_any(self, texts: Sequence[str]) -> bool:
        return bool(texts) and self._at < len(self._tokens) and self._shown() in texts

    def _shown(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        return token.text if isinstance(token, Operator) else token.bare

    @property
    def _line(self) -> int:
        return self._tokens[min(self._at, len(self._tokens) - 1)].line if self._tokens else 1


def _word(operator: Operator) -> Word:
    return Word((Part("text", operator.text),), operator.line)
