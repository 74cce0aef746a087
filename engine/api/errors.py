"""The one error a person can act on."""

from __future__ import annotations


class UserError(Exception):
    """A failure that the person can mend; everything else is a bug.

    `code` names the kind and is the key of its translation (`errors.CODE`), `text` says in English
    what happened, `hint` says what to do next. `values` fill the placeholders of a translation.
    """

    def __init__(self, code: str, text: str, hint: str = "", **values: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.hint = hint
        self.values = values

    def __str__(self) -> str:
        return f"{self.text} {self.hint}".strip()

    def to_json(self) -> dict[str, object]:
        """The error as it travels in a reply or a job's record."""
        return {"code": self.code, "text": self.text, "hint": self.hint, "values": self.values}

    @classmethod
    def from_json(cls, data: dict[str, object]) -> UserError:
        """Rebuild an error that came over a pipe."""
        values = data.get("values")
        return cls(
            str(data.get("code", "unknown")),
            str(data.get("text", "")),
            str(data.get("hint", "")),
            **(values if isinstance(values, dict) else {}),
        )
