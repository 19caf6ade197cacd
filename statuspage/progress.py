"""How far long work on the command line has come."""

from collections.abc import Iterator
from typing import TypeVar

Row = TypeVar("Row")


def with_bar(rows: Iterator[Row], total: int) -> Iterator[Row]:
    """Give the rows on as they come; show a bar on a terminal."""
    # Only imports draw a bar.
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("Importing", total=total)
        for row in rows:
            yield row
            progress.advance(bar)
