"""Results as plain records: for tables, for pandas, for notebooks."""

import html
from typing import Any

from convae_zoo.errors import UsageError


class Records:
    """A result that is a list of records, each of the same fields; notebooks show it as a table."""

    __slots__ = ()

    def to_records(self) -> list[dict[str, Any]]:
        """Return the records, of plain Python values."""
        raise NotImplementedError

    def to_frame(self) -> Any:
        """Return the records as a pandas DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UsageError("a frame needs pandas: pip install pandas") from error
        return pd.DataFrame.from_records(self.to_records())

    def _repr_html_(self) -> str:
        records = self.to_records()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in (records[0] if records else ()))
        rows = (
            "".join(f"<td>{html.escape(_text(value))}</td>" for value in record.values())
            for record in records
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        caption = html.escape(repr(self))
        return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
