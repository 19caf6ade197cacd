"""A page's own CSS: plain rules pass, whatever could load or run something is refused with line and reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.stylesheets import SIZE_LIMIT, check_css
from statuspage.rules.vocabulary import RuleBroken


def refusal(text: str) -> str:
    with pytest.raises(RuleBroken) as refused:
        check_css(text)
    return refused.value.errors["custom_css"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".top { background: #fff }",
        ".top, .foot a:hover { color: rgb(10 20 30 / 50%); padding: 0 calc(1rem + 2px); }",
        ":root { --radius: 4px; --accent: var(--ink) }",
        "h1 > a[href^='https'] ~ p::before { content: '→ {;}' ; }",
        "/* a note */\n.brand { font: italic 700 1.2rem/1.4 Georgia, 'Times New Roman', serif !important; }",
        "@media (max-width: 40rem) { .top { display: none } .foot { margin: -1px } }",
        "@media print and (min-width: 10cm) { }",
        ".banner { background: linear-gradient(to right, #fff, rgba(0,0,0,.1)); }",
        ".a {}",
        ".components > li:nth-child(2n+1) { transform: translateX(2px) rotate(1deg) }",
    ],
)
def test_plain_rules_pass_as_they_were_typed(text: str) -> None:
    assert check_css(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".a { background: url(https://evil.example/x.png) }", "Line 1: url() is not allowed"),
        (".a {\n color: red;\n background: URL('x') }", "Line 3: url() is not allowed"),
        (".a { background: image-set('x.png' 1x) }", "image-set() is not allowed"),
        (".a { background: u\\72l(x) }", "Line 1: this sign is not allowed (\\)"),
        (".a { background: u/**/rl(x) }", "this can’t be read|rl() is not allowed"),
        ("@import 'x.css';", "Line 1: @import is not allowed"),
        ("\n\n@import url(x);", "Line 3: @import is not allowed"),
        ("@font-face { font-family: x; src: local(x) }", "@font-face is not allowed"),
        ("@charset 'utf-8';", "@charset is not allowed"),
        ("@supports (display: grid) { .a { color: red } }", "@supports is not allowed"),
        ("@media print { @media screen { .a { color: red } } }", "@media is not allowed here"),
        (".a { width: expression(alert(1)) }", "expression() is not allowed"),
        (".a { behavior: none }", "behavior is not allowed"),
        (".a { -moz-binding: none }", "-moz-binding is not allowed"),
        (".a { color: javascript:alert(1) }", "alert() is not allowed"),
        (".a { color: red } </style><script>", "this sign is not allowed (</)"),
        ("<!-- .a { color: red } -->", "this sign is not allowed (<!)"),
        (".a { color: attr(data-x) }", "attr() is not allowed"),
        (".a { color: red", "this block is never closed"),
        ("@media print { .a { color: red }", "this block is never closed"),
        (".a { color: red } }", "Line 1: a closing } too many"),
        (".a { content: 'x }", "a quotation mark is missing"),
        # A browser sees two strings and a picture between them, not one comment.
        (".a { content: '/*' } .b { background: url(x) } .c { content: '*/' }", "Line 1: a comment that never ends"),
        ("/* never", "a comment that never ends"),
        ("color: red;", "a rule is expected here"),
        (".a { color red }", "this can’t be read: color red"),
        (".a { COLOR: red }", "this can’t be read"),
        (".a { .b { color: red } }", "this block is never closed"),
        ("a{color:red}\0", "this sign is not allowed (U+0000)"),
        ("x" * (SIZE_LIMIT + 1), "This is too long: 20 kB at most."),
    ],
)
def test_what_could_load_or_run_or_break_out_is_refused_with_line_and_reason(text: str, said: str) -> None:
    assert any(part in refusal(text) for part in said.split("|")), refusal(text)


PIECES = st.sampled_from(
    [
        ".a",
        "{",
        "}",
        ";",
        ":",
        "color",
        "red",
        "url(",
        "(",
        ")",
        "'",
        '"',
        "/*",
        "*/",
        "@media print",
        "@import",
        "\\",
        "\n",
    ]
)


@given(pieces=st.lists(PIECES, max_size=24))
def test_whatever_passes_holds_nothing_that_loads(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        passed = check_css(text)
    except RuleBroken as refused:
        assert refused.errors["custom_css"].startswith("Line ")  # noqa: PT017  (some pass)
    else:
        assert "@import" not in _bare(passed)
        assert "url(" not in _bare(passed)
        assert "\\" not in passed


def _bare(text: str) -> str:
    """The text without comments and strings, where words are only words."""
    kept, position = [], 0
    while position < len(text):
        ends = {"/*": "*/", "'": "'", '"': '"'}
        start = next((each for each in ends if text.startswith(each, position)), None)
        if start is None:
            kept.append(text[position])
            position += 1
        else:
            position = text.index(ends[start], position + len(start)) + len(ends[start])
    return "".join(kept)
