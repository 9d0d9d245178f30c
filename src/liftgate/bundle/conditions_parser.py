"""Tokens of a condition to a tree: a Pratt parser with CEL's precedence, and limits that hold for hostile text too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute

from liftgate.bundle.conditions_lexer import RESERVED, ConditionError, Flaw, Kind, Token, tokens

MAX_DEPTH = 64
"""Nesting of parentheses and of operators."""

_POWER = {"?": 1, "||": 2, "&&": 3}
_POWER |= dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 4)
_POWER |= {"+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_UNARY_POWER = 7


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands: characters `start` to `end`; `height` of its tree."""

    start: int
    end: int
    height: int = 1


@dataclass(frozen=True, slots=True)
class Literal:
    """A bool, int, double or string as written."""

    value: bool | int | float | str
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """`now`, or a root and a field such as `profile.age`."""

    root: str
    field: str
    span: Span = attribute(compare=False)

    @property
    def text(self) -> str:
        """As conditions say it."""
        return f"{self.root}.{self.field}" if self.field else self.root


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`, or `target.name(arguments)`."""

    name: str
    target: Node | None
    arguments: tuple[Node, ...]
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`!` or `-`."""

    operator: str
    operand: Node
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Comparison, arithmetic, or `in`."""

    operator: str
    left: Node
    right: Node
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """`&&` or `||` over two or more operands."""

    operator: str
    operands: tuple[Node, ...]
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class Ternary:
    """`test ? yes : no`."""

    test: Node
    yes: Node
    no: Node
    span: Span = attribute(compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Node, ...]
    span: Span = attribute(compare=False)


Node = Literal | Name | Call | Unary | Binary | Logic | Ternary | ListOf


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below."""
    match node:
        case Call(target=target, arguments=arguments):
            return arguments if target is None else (target, *arguments)
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Logic(operands=operands):
            return operands
        case Ternary(test=test, yes=yes, no=no):
            return (test, yes, no)
        case ListOf(items=items):
            return items
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def parse(text: str) -> Node:
    """Return the tree of a condition. Raises ConditionError."""
    return _Parser(tokens(text)).whole()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind is not Kind.END
        return token

    def _is(self, *texts: str) -> bool:
        return self._peek().kind in (Kind.SIGN, Kind.WORD) and self._peek().text in texts

    def _expect(self, text: str, after: str) -> Token:
        if not self._is(text):
            raise self._wrong(self._peek(), f"`{text}` is missing {after}", f"write `{text}`")
        return self._take()

    @staticmethod
    def _wrong(token: Token, problem: str, mend: str) -> ConditionError:
        return ConditionError(Flaw(token.start + 1, problem, mend))

    def _span(self, start: int, *below: Node) -> Span:
        height = 1 + max((node.span.height for node in below), default=0)
        if height > MAX_DEPTH:
            raise self._too_deep(start)
        return Span(start, self._tokens[self._at - 1].end, height)

    @staticmethod
    def _too_deep(start: int) -> ConditionError:
        return ConditionError(Flaw(start + 1, f"is nested more than {MAX_DEPTH} levels deep", "write `in [...]`, or split it"))

    def whole(self) -> Node:
        """Return the tree of everything."""
        if self._peek().kind is Kind.END:
            raise ConditionError(Flaw(1, "is empty", "write a condition, or leave the key out"))
        node = self._expression(0)
        if self._peek().kind is not Kind.END:
            raise self._wrong(self._peek(), f"`{self._peek().text}` does not belong here", "join conditions with `&&` or `||`")
        return node

    def _expression(self, power: int) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep(self._peek().start)
        left = self._prefix()
        while self._peek().kind in (Kind.SIGN, Kind.WORD) and _POWER.get(self._peek().text, 0) > power:
            left = self._infix(left)
        self._depth -= 1
        return left

    def _infix(self, left: Node) -> Node:
        operator = self._take().text
        start = left.span.start
        if operator == "?":
            # CEL wants parentheses around a `?` in the middle; at the end it nests by itself.
            yes = self._expression(_POWER["?"])
            self._expect(":", "after the value for yes of `? :`")
            no = self._expression(0)
            return Ternary(left, yes, no, self._span(start, left, yes, no))
        right = self._expression(_POWER[operator])
        if operator in ("&&", "||"):
            operands = [left, right]
            while self._is(operator):
                self._take()
                operands.append(self._expression(_POWER[operator]))
            return Logic(operator, tuple(operands), self._span(start, *operands))
        return Binary(operator, left, right, self._span(start, left, right))

    def _prefix(self) -> Node:
        token = self._take()
        node: Node
        if token.kind in (Kind.INT, Kind.DOUBLE, Kind.STRING):
            node = Literal(token.value, self._span(token.start))
        elif token.kind is Kind.WORD:
            node = self._word(token)
        elif token.text in ("!", "-") and token.kind is Kind.SIGN:
            operand = self._expression(_UNARY_POWER)
            return Unary(token.text, operand, self._span(token.start, operand))
        elif token.text == "(" and token.kind is Kind.SIGN:
            node = self._expression(0)
            self._expect(")", "to close `(`")
        elif token.text == "[" and token.kind is Kind.SIGN:
            items = self._list("]")
            node = ListOf(items, self._span(token.start, *items))
        elif token.kind is Kind.END:
            raise self._wrong(token, "ends too early", "complete the expression")
        else:
            raise self._wrong(token, f"`{token.text}` does not belong here", "write a value, a name or `(` here")
        return self._members(node)

    def _word(self, token: Token) -> Node:
        if token.text in ("true", "false"):
            return Literal(token.text == "true", self._span(token.start))
        if token.text == "null":
            raise self._wrong(token, "null is not part of the subset", "write `has(profile.x)` to ask whether a value is there")
        if token.text in RESERVED:
            raise self._wrong(token, f"`{token.text}` does not belong here", "write a value, a name or `(` here")
        if self._is("("):
            self._take()
            arguments = self._list(")")
            return Call(token.text, None, arguments, self._span(token.start, *arguments))
        return Name(token.text, "", self._span(token.start))

    def _members(self, node: Node) -> Node:
        while self._is(".", "["):
            sign = self._take()
            if sign.text == "[":
                raise self._wrong(sign, "`[...]` after a value is not part of the subset", "write `profile.name`")
            word = self._take()
            if word.kind is not Kind.WORD:
                raise self._wrong(word, "a name is missing after `.`", "write, for example, `profile.age`")
            if self._is("("):
                self._take()
                arguments = self._list(")")
                node = Call(word.text, node, arguments, self._span(node.span.start, node, *arguments))
            elif isinstance(node, Name) and not node.field:
                node = Name(node.root, word.text, self._span(node.span.start))
            else:
                raise self._wrong(word, f"`.{word.text}` after a value is not part of the subset", "features have no parts")
        return node

    def _list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._is(end):
            items.append(self._expression(0))
            if not self._is(end):
                self._expect(",", f"between the items before `{end}`")
                if end == ")" and self._is(end):
                    raise self._wrong(self._peek(), "an argument is missing after `,`", "remove the comma")
        self._take()
        return tuple(items)
