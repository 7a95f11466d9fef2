"""The rows of a source: CSV, JSON Lines and standard input, streamed, and reachable again by their offsets."""

from clerk_jobs.rows.opening import RowSource, open_rows
from clerk_jobs.rows.row import OWN_COLUMNS, Record, Row, RowFault
from clerk_jobs.rows.source import CsvSource, JsonlSource, JsonSource, Source

__all__ = [
    "OWN_COLUMNS",
    "CsvSource",
    "JsonSource",
    "JsonlSource",
    "Record",
    "Row",
    "RowFault",
    "RowSource",
    "Source",
    "open_rows",
]
