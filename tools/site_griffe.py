"""How the API's pages show `@lazy` methods: as the properties that they are to users."""

from __future__ import annotations

from typing import Any

import griffe

LAZY = {"lazy", "optional"}


class LazyAttributes(griffe.Extension):
    """Turn each method under `@lazy` or `@optional` into a property."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Replace the methods of a class."""
        for name, member in list(cls.members.items()):
            if isinstance(member, griffe.Function) and any(str(one.value) in LAZY for one in member.decorators):
                attribute = griffe.Attribute(
                    name,
                    lineno=member.lineno,
                    endlineno=member.endlineno,
                    annotation=member.returns,
                    docstring=member.docstring,
                )
                attribute.labels.add("property")
                cls.set_member(name, attribute)
