"""CloudFormation's functions: from a template's expressions to plain values.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from slimreel.local.stack.errors import BadReference, Unsupported

NO_VALUE: Final = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


def is_function(value: Any) -> bool:
    """Whether this is a call such as `{"Ref": …}` and not plain data."""
    return isinstance(value, dict) and len(value) == 1 and _is_function_name(next(iter(value)))


def _is_function_name(key: Any) -> bool:
    return isinstance(key, str) and (key.startswith("Fn::") or key in ("Ref", "Condition"))


def references(value: Any) -> Iterator[str]:
    """Every name that `Ref`, `Fn::GetAtt` and `Fn::Sub` in `value` use, parameters included."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif is_function(value):
        ((function, argument),) = value.items()
        if function == "Ref":
            yield argument
        elif function == "Fn::GetAtt":
            yield attribute_path(argument)[0]
        elif function == "Fn::Sub":
            text, variables = sub_parts(argument)
            names = (name.partition(".")[0] for name in _VARIABLE.findall(text))
            yield from (name for name in names if name not in variables)
            yield from references([*variables.values()])
        else:
            yield from references(argument)
    elif isinstance(value, dict):
        yield from references([*value.values()])


def attribute_path(argument: Any) -> tuple[str, str]:
    """`(logical id, attribute)` of a GetAtt argument in either spelling."""
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if len(parts) != 2:
        raise BadReference(f"Fn::GetAtt needs a resource and an attribute, not {argument!r}.")
    return str(parts[0]), str(parts[1])


def sub_parts(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the local variables of a Sub argument in either spelling."""
    if isinstance(argument, str):
        return argument, {}
    text, variables = argument
    return str(text), dict(variables)


class Resolver:
    """Gives the value of expressions.

    Args:
        ref: what `Ref` gives for a name.
        attribute: what `Fn::GetAtt` gives for a resource and attribute.
        conditions: the template's Conditions section.
        mappings: the template's Mappings section.
    """

    def __init__(
        self,
        *,
        ref: Callable[[str], Any],
        attribute: Callable[[str, str], str],
        conditions: Mapping[str, Any],
        mappings: Mapping[str, Any],
    ) -> None:
        self._ref = ref
        self._attribute = attribute
        self._conditions = conditions
        self._mappings = mappings
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": ref,
            "Fn::GetAtt": lambda argument: attribute(*attribute_path(argument)),
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
            "Fn::Equals": self._equals,
            "Fn::Not": lambda argument: not self.value(argument[0]),
            "Fn::And": lambda argument: all(self.value(item) for item in argument),
            "Fn::Or": lambda argument: any(self.value(item) for item in argument),
            "Condition": self.condition,
        }

    def value(self, expression: Any) -> Any:
        """The plain value of an expression; `AWS::NoValue` members are left out.

        Raises:
            BadReference: it names something that does not exist.
            Unsupported: it calls a function that is not known here.
        """
        if isinstance(expression, list):
            items = (self.value(item) for item in expression)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(expression, dict):
            return expression
        if not is_function(expression):
            members = {key: self.value(item) for key, item in expression.items()}
            return {key: item for key, item in members.items() if item is not NO_VALUE}
        ((name, argument),) = expression.items()
        function = self._functions.get(name)
        if function is None:
            raise Unsupported(f"The function {name} is not known to the local cloud.")
        return function(argument)

    def condition(self, name: str) -> bool:
        if name not in self._conditions:
            raise BadReference(f"There is no condition {name}.")
        return bool(self.value(self._conditions[name]))

    def _sub(self, argument: Any) -> str:
        text, variables = sub_parts(argument)

        def replacement(found: re.Match[str]) -> str:
            name = found[1]
            if name in variables:
                return str(self.value(variables[name]))
            if "." in name:
                return self._attribute(*attribute_path(name))
            return str(self._ref(name))

        return _VARIABLE.sub(replacement, text).replace("${!", "${")

    def _join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator).join(str(item) for item in self.value(items))

    def _select(self, argument: Any) -> Any:
        index, items = argument
        return self.value(items)[int(self.value(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(str(separator))

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = (self.value(part) for part in argument)
        try:
            return self._mappings[name][first][second]
        except KeyError as missing:
            raise BadReference(f"Mapping {name} has no {first}.{second}.") from missing

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.condition(condition) else no)

    def _equals(self, argument: Any) -> bool:
        left, right = (self.value(item) for item in argument)
        return str(left) == str(right)
