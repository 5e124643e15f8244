"""From the parser's events to values and their places, in one pass. Strict: whatever YAML would silently
guess is a finding."""

from typing import cast

import yaml

from gateway.config.places import EVERYTHING, Mark, Node, span_of
from gateway.config.scalars import read_plain
from gateway.config.source import SourceFile
from gateway.config.words import quoted

MAX_DEPTH = 48


def _node(event: yaml.Event) -> Node:
    # Events of a parser that reads text always have marks.
    return Node(cast("Mark", event.start_mark), cast("Mark", event.end_mark))


class Builder:
    """Builds values and places from the parser's events, without recursion: depth is bounded here, where
    a composer that calls itself would run out of stack."""

    def __init__(self, source: SourceFile) -> None:
        self.value: object = None
        self.root: Node | None = None
        self._source = source
        self._stack: list[tuple[Node, dict[str, object] | list[object]]] = []
        self._node: Node | None = None
        """The innermost open collection, and its value; None outside of any."""
        self._into: dict[str, object] | list[object] = []
        self._key: str | None = None
        self._awaits_value = False
        self._skipping = 0
        """How many collections deep we are in something that is not kept: a key that is not text."""
        self._documents = 0

    def take(self, event: yaml.Event) -> bool:
        """Take the next event. Return False when there is no sense in going on."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            return self._open(event, is_mapping=isinstance(event, yaml.MappingStartEvent))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._report(
                    "E007",
                    event,
                    "a second YAML document begins here",
                    "a file is one document: remove the line with ---",
                )
                return False
        return True

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text: str = event.value
        plain = event.implicit[0]
        if event.tag is not None or event.anchor is not None:
            self._decorated(event)
        node = _node(event)
        node.text = text
        node.plain = plain
        if self._skipping:
            return
        if type(self._into) is dict and not self._awaits_value and self._node is not None:
            self._take_key(node, text, plain=plain)
            return
        value = read_plain(text) if plain else text
        if value is None and self._node is not None:
            self._nothing(node)
        else:
            self._put(node, value)

    def _take_key(self, node: Node, text: str, *, plain: bool) -> None:
        self._awaits_value = True
        self._key = None
        if plain and text == "<<":
            self._report("E005", node, "merge keys are not supported", "write the entries out")
            if self._node is not None:
                self._node.lose(EVERYTHING)
        elif plain and not isinstance(read_plain(text), str):
            shown = quoted(text) if text else "nothing"
            self._report("E008", node, f"a key must be text, found {shown}", f'put it in quotes: "{text}"')
        else:
            parent = self._node
            if parent is None or parent.keys is None:  # pragma: no cover - keys occur only in mappings
                return
            if text in parent.keys:
                first = parent.keys[text].start.line + 1
                self._report(
                    "E004",
                    node,
                    f"the key {quoted(text)} is already used in line {first}",
                    "join the two; the first would be lost",
                )
            else:
                self._key = text
                parent.keys[text] = node

    def _nothing(self, node: Node) -> None:
        """Take a value that is not there. It is never read as absence: `when:` with its lines commented out
        would open a route."""
        self._awaits_value = False
        parent = self._node
        if parent is None:  # pragma: no cover - called only inside of collections
            return
        if parent.keys is None:
            self._report("E100", node, "this entry of the list is empty", "remove it, or write its value")
            parent.lose(len(parent.items or ()))
        elif self._key is not None:
            key = parent.keys.pop(self._key)
            parent.lose(self._key)
            if (key.end.line, key.end.column) == (node.start.line, node.start.column):
                # `{id}` is a mapping for YAML: nothing separates the key from what follows it.
                self._report(
                    "E100",
                    key,
                    f"{quoted(self._key)} has no value",
                    f'a text in braces must be quoted: "{{{self._key}}}"',
                )
            else:
                self._report(
                    "E100",
                    key,
                    f"{node.text} is no value for {quoted(self._key)}"
                    if node.text
                    else f"nothing is written after {quoted(self._key)}",
                    "write its value, or remove the key",
                )

    def _put(self, node: Node, value: object) -> None:
        parent, into = self._node, self._into
        if parent is None:
            self.root, self.value = node, value
        elif type(into) is dict:
            self._awaits_value = False
            if self._key is not None and parent.fields is not None:
                parent.fields[self._key] = node
                into[self._key] = value
        elif type(into) is list and parent.items is not None:
            parent.items.append(node)
            into.append(value)

    def _open(self, event: yaml.CollectionStartEvent, *, is_mapping: bool) -> bool:
        if event.tag is not None or event.anchor is not None:
            self._decorated(event)
        if self._skipping:
            self._skipping += 1
            return self._skipping < MAX_DEPTH
        if type(self._into) is dict and self._node is not None and not self._awaits_value:
            self._report("E008", event, "a key must be text, found a collection", "put the key in quotes")
            self._skipping = 1
            return True
        if self._node is not None and len(self._stack) + 1 >= MAX_DEPTH:
            self._report("E011", event, f"the file is nested more than {MAX_DEPTH} levels deep")
            return False
        node = _node(event)
        value: dict[str, object] | list[object]
        if is_mapping:
            node.fields, node.keys, value = {}, {}, {}
        else:
            node.items, value = [], []
        self._put(node, value)
        if self._node is not None:
            self._stack.append((self._node, self._into))
        self._node, self._into, self._awaits_value = node, value, False
        return True

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        if self._skipping:
            self._skipping -= 1
            if self._skipping == 0:
                self._key, self._awaits_value = None, True
            return
        if self._node is not None:
            self._node.end = cast("Mark", event.end_mark)
        if self._stack:
            self._node, self._into = self._stack.pop()
        else:
            self._node = None
        self._awaits_value = False

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._report(
            "E005",
            event,
            f"the alias *{event.anchor} is not supported",
            f'write the value out; a text that begins with * must be quoted: "*{event.anchor}"',
        )
        node = _node(event)
        node.text = ""
        if self._skipping:
            return
        if type(self._into) is dict and self._node is not None and not self._awaits_value:
            self._key, self._awaits_value = None, True
        else:
            self._put(node, None)

    def _decorated(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._report(
                "E005",
                event,
                f"the anchor &{event.anchor} is not supported",
                "write values out where they are used; a text that begins with & must be quoted",
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self._report(
                "E006",
                event,
                f"the tag {shown} is not supported",
                "remove it; a text that begins with ! must be quoted",
            )

    def _report(self, code: str, at: yaml.Event | Node, message: str, suggestion: str | None = None) -> None:
        place = at if isinstance(at, Node) else _node(at)
        self._source.report_span(code, span_of(place), message, suggestion)
