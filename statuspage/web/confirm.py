"""The one page that asks before something is done that can't be taken back."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import render_template


@dataclass(frozen=True)
class Question:
    """What is asked, what a yes does, and where a no leads."""

    question: str
    consequences: Sequence[str]
    button: str
    back: str
    back_label: str
    no: str = "Keep it"


def ask(question: Question, sentence: str = "") -> str:
    """Return the page that asks; ``sentence`` says why the answer could not be carried out."""
    return render_template(
        "components/confirm.html",
        question=question.question,
        consequences=question.consequences,
        button=question.button,
        back=question.back,
        back_label=question.back_label,
        no=question.no,
        errors={"": sentence} if sentence else {},
    )
