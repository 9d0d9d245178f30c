"""The tree of a condition, type-checked as strictly as CEL does and turned into steps over columns in one walk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from liftgate.bundle.conditions_calls import Calls, Flawed
from liftgate.bundle.conditions_lexer import MAX_INT
from liftgate.bundle.conditions_parser import Binary, Call, ListOf, Literal, Logic, Name, Node, Ternary, Unary
from liftgate.bundle.conditions_program import NOW, Truth
from liftgate.bundle.conditions_types import CEL_TYPE, Bool, Number, Text, Type, Value
from liftgate.bundle.mistake import did_you_mean, nearest, one_of

_ORDER = {"<": ("less", False), "<=": ("less_equal", False), ">": ("less", True), ">=": ("less_equal", True)}
_WORDS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}
_ARITHMETIC: Mapping[tuple[str, Type, Type], tuple[str, Type]] = {
    **{(sign, Type.INT, Type.INT): (f"int_{word}", Type.INT) for sign, word in _WORDS.items()},
    **{(sign, Type.DOUBLE, Type.DOUBLE): (f"double_{word}", Type.DOUBLE) for sign, word in _WORDS.items() if sign != "%"},
    ("+", Type.TIMESTAMP, Type.DURATION): ("moment_add", Type.TIMESTAMP),
    ("+", Type.DURATION, Type.TIMESTAMP): ("moment_add", Type.TIMESTAMP),
    ("-", Type.TIMESTAMP, Type.DURATION): ("moment_subtract", Type.TIMESTAMP),
    ("-", Type.TIMESTAMP, Type.TIMESTAMP): ("span_subtract", Type.DURATION),
    ("+", Type.DURATION, Type.DURATION): ("span_add", Type.DURATION),
    ("-", Type.DURATION, Type.DURATION): ("span_subtract", Type.DURATION),
}
_MAX_TABLE = 1_000_000
_FEW = 8
"""Up to so many values a chain of comparisons is cheaper than a search."""


class Checker(Calls):
    """Turns one condition into a program. Collects every flaw; a part with a flaw has no value and causes no others."""

    def compute(self, node: Node) -> Value:
        """Return the value of a part. Raises Flawed once its flaw is noted."""
        match node:
            case Literal():
                return self._literal(node)
            case Name():
                return self._name(node)
            case Unary():
                return self._unary(node)
            case Logic():
                return self._logic(node)
            case Ternary():
                return self._ternary(node)
            case Binary(operator="in"):
                return self._in(node)
            case Binary():
                return self._binary(node)
            case Call():
                return self.call(node)
            case ListOf():
                self.flaw(node, "a list stands alone", 'write, for example, `context.country in ["DE", "NL"]`')

    def _literal(self, node: Literal) -> Value:
        if isinstance(node.value, bool):
            return Bool(self.program.truth(node.value))
        if isinstance(node.value, str):
            return Text((node.value,), node.value)
        kind = Type.INT if isinstance(node.value, int) else Type.DOUBLE
        return Number(self.program.constant(float(node.value)), kind)

    def _name(self, node: Name) -> Value:
        if node.text == "now":
            return Number(NOW, Type.TIMESTAMP)
        if node.root == "offer" and node.field:
            return self._offer(node)
        index = self.scope.schema.index.get(node.text)
        if index is None:
            self._unknown_name(node)
        column = self.scope.schema.inputs[index]
        register = self.program.column(index)
        kind = CEL_TYPE[column.type]
        if kind is Type.BOOL:
            one, zero = self.program.constant(1.0), self.program.constant(0.0)
            return Bool(Truth(self.program.emit("equal", register, one), self.program.emit("equal", register, zero)))
        if kind is Type.STRING:
            return Text(column.values, register=register, declared=node.text not in self.scope.undeclared)
        return Number(register, kind)

    def _offer(self, node: Name) -> Value:
        if node.field == "value":
            return Number(self.program.constant(self.offer.value), Type.DOUBLE)
        if node.field == "id":
            return Text((*self.scope.offer_ids, self.offer.offer_id), self.offer.offer_id)
        if node.field == "group":
            return Text((*self.scope.groups, "", self.offer.group), self.offer.group)
        self.flaw(node, f"there is no `{node.text}`", "write `offer.id`, `offer.group` or `offer.value`")

    def _unknown_name(self, node: Name) -> NoReturn:
        if node.text in self.scope.tainted:
            self.taint()
        known = [*self.scope.schema.index, "now", "offer.id", "offer.group", "offer.value"]
        same_end = [name for name in known if name.rsplit(".", 1)[-1] == (node.field or node.root)]
        section = {"profile": "features", "context": "context"}.get(node.root)
        if same_end:
            mend = f"did you mean `{same_end[0]}`?"
        elif section:
            fields = {name.split(".", 1)[1]: name for name in known if name.startswith(f"{node.root}.")}
            near = nearest(node.field, fields)
            mend = f"did you mean `{fields[near]}`?" if near else f"define `{node.field}` in `{section}:`"
        else:
            mend = did_you_mean(node.text, known, one_of(known))
        self.flaw(node, f"there is no `{node.text}`", mend)

    def _unary(self, node: Unary) -> Value:
        (value,) = self.need(node.operand)
        if node.operator == "!":
            if isinstance(value, Bool):
                return Bool(Truth(value.truth.false, value.truth.true))
            self.flaw(node, f"`!` wants a bool, not {value.type.value}", "compare it first")
        if value.type in (Type.INT, Type.DOUBLE) and isinstance(value, Number):
            return Number(self.program.emit(f"negative_{value.type.value}", value.register), value.type)
        self.flaw(node, f"`-` wants a number, not {value.type.value}", "remove it")

    def _logic(self, node: Logic) -> Value:
        truths: list[Truth] = []
        for operand in node.operands:
            value = self.value(operand)
            if isinstance(value, Bool):
                truths.append(value.truth)
            elif value is not None:
                self.note(operand, f"`{node.operator}` wants bools, not {value.type.value}", "compare it first")
        if len(truths) < len(node.operands):
            raise Flawed
        result = truths[0]
        true, false = ("and", "or") if node.operator == "&&" else ("or", "and")
        for truth in truths[1:]:
            result = Truth(self.program.emit(true, result.true, truth.true), self.program.emit(false, result.false, truth.false))
        return Bool(result)

    def _ternary(self, node: Ternary) -> Value:
        test, yes, no = self.need(node.test, node.yes, node.no)
        if not isinstance(test, Bool):
            self.flaw(node.test, f"`? :` wants a bool before `?`, not {test.type.value}", "compare it first")
        if yes.type is not no.type:
            self._mixed(node, "? :", node.yes, yes, node.no, no)
        emit = self.program.emit
        if isinstance(yes, Bool) and isinstance(no, Bool):
            picks = [
                emit("or", emit("and", test.truth.true, one), emit("and", test.truth.false, other))
                for one, other in ((yes.truth.true, no.truth.true), (yes.truth.false, no.truth.false))
            ]
            return Bool(Truth(*picks))
        if isinstance(yes, Number) and isinstance(no, Number):
            return Number(emit("choose", test.truth.true, test.truth.false, yes.register, no.register), yes.type)
        self.flaw(node, "`? :` between strings is not part of the subset", "compare first: `test ? a == x : b == x`")

    def _binary(self, node: Binary) -> Value:
        left, right = self.need(node.left, node.right)
        if node.operator in _WORDS:
            return self._arithmetic(node, left, right)
        if left.type is not right.type:
            self._mixed(node, node.operator, node.left, left, node.right, right)
        if node.operator in _ORDER:
            if isinstance(left, Number) and isinstance(right, Number):
                return Bool(self._ordered(node.operator, left, right))
            self.flaw(node, f"`{node.operator}` between {left.type.value}s is not part of the subset", "use `==`, `!=` or `in`")
        equal = self._equal(node, left, right)
        if node.operator == "==":
            return equal
        return Bool(Truth(equal.truth.false, equal.truth.true))

    def _ordered(self, sign: str, left: Number, right: Number) -> Truth:
        name, swap = _ORDER[sign]
        opposite = "less_equal" if name == "less" else "less"
        a, b = (right.register, left.register) if swap else (left.register, right.register)
        # NaN makes both comparisons false, which is unknown.
        return Truth(self.program.emit(name, a, b), self.program.emit(opposite, b, a))

    def _equal(self, node: Node, left: Value, right: Value) -> Bool:
        emit = self.program.emit
        if isinstance(left, Bool) and isinstance(right, Bool):
            a, b = left.truth, right.truth
            same = emit("or", emit("and", a.true, b.true), emit("and", a.false, b.false))
            differ = emit("or", emit("and", a.true, b.false), emit("and", a.false, b.true))
            return Bool(Truth(same, differ))
        if isinstance(left, Number) and isinstance(right, Number):
            return Bool(self._any_equal(left.register, [right.register]))
        if isinstance(left, Text) and isinstance(right, Text):
            return self._equal_texts(node, left, right)
        raise AssertionError("values of one type are of one kind")

    def _any_equal(self, register: int, others: list[int]) -> Truth:
        """Say whether a number equals one of others; unknown where one of them is."""
        emit = self.program.emit
        true, known = emit("equal", register, others[0]), emit("equal", register, register)
        for other in others[1:]:
            true = emit("or", true, emit("equal", register, other))
        for other in others:
            known = emit("and", known, emit("equal", other, other))
        return Truth(true, emit("and_not", known, true))

    def _equal_texts(self, node: Node, left: Text, right: Text) -> Bool:
        if left.constant is not None and right.constant is not None:
            return self._constant_texts(node, left, right)
        if left.constant is not None or right.constant is not None:
            column, constant = (right, left) if left.constant is not None else (left, right)
            if not self._declares(node, column, constant.constant or ""):
                raise Flawed
            return Bool(self._codes(column, [constant.constant or ""]))
        if not (left.declared and right.declared):
            self.flaw(node, "two strings can be compared only if both have declared values", "add `values:` to the context input")
        if len(left.values) * len(right.values) > _MAX_TABLE:
            self.flaw(node, "the two have too many declared values to be compared", "declare fewer values")
        return Bool(self._table_truth(left, right))

    def _constant_texts(self, node: Node, left: Text, right: Text) -> Bool:
        a, b = left.constant or "", right.constant or ""
        for one, text in ((left, b), (right, a)):
            # A literal knows only itself; `offer.id` and `offer.group` know all that there are.
            if len(one.values) > 1 and text not in one.values:
                self.flaw(node, f'there is no "{text}"', did_you_mean(text, one.values, one_of(one.values)))
        return Bool(self.program.truth(a == b))

    def _declares(self, node: Node, column: Text, text: str) -> bool:
        if text in column.values:
            return True
        mend = did_you_mean(text, column.values, one_of(column.values))
        self.note(node, f'"{text}" is not among the declared values', mend)
        return False

    def _codes(self, column: Text, texts: Iterable[str]) -> Truth:
        codes = sorted({float(column.values.index(text)) for text in texts})
        return self._among(column.register, codes)

    def _among(self, register: int, numbers: list[float]) -> Truth:
        emit = self.program.emit
        if len(numbers) <= _FEW:
            return self._any_equal(register, [self.program.constant(number) for number in numbers])
        true = emit("is_in", register, self.program.constant(tuple(numbers)))
        return Truth(true, emit("and_not", emit("equal", register, register), true))

    def _in(self, node: Binary) -> Value:
        if not isinstance(node.right, ListOf):
            self.flaw(node.right, "`in` wants a list of constants", 'write, for example, `in ["DE", "NL"]`')
        if not node.right.items:
            self.flaw(node.right, "the list is empty", "write at least one value")
        left, *items = self.need(node.left, *node.right.items)
        texts: list[str] = []
        numbers: list[float] = []
        for item, at in zip(items, node.right.items, strict=True):
            if item.type is not left.type:
                self._mixed(at, "in", node.left, left, at, item)
            if isinstance(item, Text) and item.constant is not None:
                texts.append(item.constant)
            elif isinstance(item, Number) and item.register in self.program.constants:
                numbers.append(float(self.program.constants[item.register]))
            else:
                self.flaw(at, "a list may hold constant numbers, strings, timestamps and durations only", "join comparisons with `||`")
        if isinstance(left, Text):
            return self._text_in(node, left, texts)
        if not isinstance(left, Number):
            raise AssertionError("a list of numbers has a number on its left")
        return Bool(self._among(left.register, sorted(set(numbers))))

    def _text_in(self, node: Binary, left: Text, texts: list[str]) -> Bool:
        items = node.right.items if isinstance(node.right, ListOf) else ()
        if left.constant is not None:
            for at, text in zip(items, texts, strict=True):
                self._constant_texts(at, left, Text((text,), text))
            return Bool(self.program.truth(left.constant in texts))
        # A list, not a generator: every unknown text is noted.
        if not all([self._declares(at, left, text) for at, text in zip(items, texts, strict=True)]):  # noqa: C419
            raise Flawed
        return Bool(self._codes(left, texts))

    def _arithmetic(self, node: Binary, left: Value, right: Value) -> Value:
        found = _ARITHMETIC.get((node.operator, left.type, right.type))
        if found is None or not isinstance(left, Number) or not isinstance(right, Number):
            if {left.type, right.type} == {Type.INT, Type.DOUBLE} and node.operator != "%":
                self._mixed(node, node.operator, node.left, left, node.right, right)
            problem = f"`{node.operator}` does not go between {left.type.value} and {right.type.value}"
            mend = "`%` works on ints: write int(...)" if node.operator == "%" else "see the table of operators in docs/bundle.md"
            self.flaw(node, problem, mend)
        return Number(self.program.emit(found[0], left.register, right.register), found[1])

    def _mixed(self, node: Node, sign: str, left_node: Node, left: Value, right_node: Node, right: Value) -> NoReturn:
        """Note that two types do not mix, and say what to write."""
        mend = "write a value of the same type on both sides"
        pair = ((left_node, left, right), (right_node, right, left))
        for at, value, other in pair:
            if {value.type, other.type} == {Type.INT, Type.DOUBLE}:
                if isinstance(at, Literal) and isinstance(at.value, int):
                    mend = f"write {at.value}.0"
                    break
                if isinstance(at, Literal) and isinstance(at.value, float) and at.value.is_integer() and abs(at.value) <= MAX_INT:
                    mend = f"write {int(at.value)}"
                    break
                if value.type is Type.INT:
                    mend = f"write double({self.quote(at)})"
            elif isinstance(at, Literal) and isinstance(at.value, str) and other.type in (Type.TIMESTAMP, Type.DURATION):
                mend = f"write {other.type.value}({self.quote(at)})"
        problem = (
            f"{self.quote(left_node)} is {left.type.value} and {self.quote(right_node)} is {right.type.value}: `{sign}` does not mix them"
        )
        self.flaw(node, problem, mend)
