"""What was just done, said on the next page; with a button that takes it back where that is possible."""

from flask import flash

CATEGORY = "done"


def say(sentence: str, undo: str = "", *, verb: str = "Undo") -> None:
    """Have the next page say what was done.

    ``undo`` is the path of the form that takes it back, ``verb`` what its button says.
    """
    flash({"sentence": sentence, "undo": undo, "verb": verb}, CATEGORY)  # type: ignore[arg-type]
