"""Plain language: technical detail, jargon and blame in a text for customers, with the plain alternative.

The rules are data. They mark words and never change a text: whoever writes
decides.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """What is wrong with a word."""

    ADDRESS = "address"
    ERROR_CODE = "error code"
    PROGRAM_TEXT = "program text"
    JARGON = "jargon"
    BLAME = "blame"


@dataclass(frozen=True)
class Rule:
    """Words to look for, and what to say instead."""

    category: Category
    pattern: str
    """A regular expression, in any case unless it says otherwise."""
    plain: str


@dataclass(frozen=True)
class WordingWarning:
    """A word that readers may not understand."""

    category: Category
    found: str
    plain: str


def _jargon(words: str, plain: str) -> Rule:
    return Rule(Category.JARGON, rf"\b(?:{words})\b", plain)


RULES = (
    Rule(Category.ADDRESS, r"\b\d{1,3}(?:\.\d{1,3}){3}\b", "leave the address out"),
    Rule(
        Category.ADDRESS, r"\b[a-z0-9-]+\.(?:internal|local|svc|cluster|lan)\b", "say which feature, not which machine"
    ),
    Rule(Category.ADDRESS, r"\b(?:db|web|app|api|prod|node|host)-?\d{1,3}\b", "say which feature, not which machine"),
    Rule(
        Category.ERROR_CODE,
        r"\b(?:http|status|error|code)s? ?(?:code )?[45]\d\d\b",
        "say what customers see: an error, a blank page",
    ),
    Rule(Category.ERROR_CODE, r"\b[45]xx\b|\b[45]\d\ds\b", "say what customers see: an error, a blank page"),
    Rule(Category.ERROR_CODE, r"(?-i:\b[A-Z]{2,6}-\d{3,6}\b)", "leave the number out"),
    Rule(
        Category.PROGRAM_TEXT,
        r"\btraceback\b|(?-i:\b\w+(?:Exception|Error)\b)|\bstack trace\b",
        "say what stopped working",
    ),
    Rule(
        Category.PROGRAM_TEXT,
        r"(?-i:\b(?:SELECT|INSERT|UPDATE|DELETE)\b[^.]*\b(?:FROM|INTO|SET|WHERE)\b)",
        "say what stopped working",
    ),
    Rule(Category.PROGRAM_TEXT, r"\bnull pointer\b|\bsegfault\b|\bout of memory\b|\boom\b", "say what stopped working"),
    _jargon("databases?|postgres(?:ql)?|mysql|redis|mongo(?:db)?", "our systems"),
    _jargon("dns|cdn|tls|bgp|tcp|vpn", "our network"),
    _jargon("load balancers?|prox(?:y|ies)|gateways?", "our systems"),
    _jargon("kubernetes|k8s|pods?|clusters?|shards?|replicas?|replication", "our systems"),
    _jargon("cach(?:e|es|ing)", "stored data"),
    _jargon("latency", "slowness"),
    _jargon("throughput", "speed"),
    _jargon("time-?outs?|timed out", "no answer in time"),
    _jargon("roll(?:ed|ing)?[ -]?backs?|revert(?:ed|ing)?", "undo"),
    _jargon("deploy(?:s|ed|ing|ments?)?", "change"),
    _jargon("hot-?fix(?:es|ed)?|patch(?:es|ed|ing)?", "correction"),
    _jargon("fail-?overs?|failing over", "switch"),
    _jargon("mitigat(?:e|es|ed|ing|ions?)", "ease"),
    _jargon("regressions?", "mistake in a change"),
    _jargon("back-?ends?|front-?ends?|upstreams?|downstreams?|micro-?services?", "our systems"),
    _jargon("queues?|workers?|threads?|cron", "our systems"),
    _jargon("rca|mttr|sla|slo|sev-?\\d", "say it in words"),
    Rule(Category.BLAME, r"\bhuman error\b|\b(?:operator|user) error\b", "say which check was missing"),
    Rule(
        Category.BLAME,
        r"\b(?:somebody|someone|an? (?:engineer|employee|colleague|developer)) (?:forgot|failed|broke|misconfigured)\b",
        "say which check was missing",
    ),
    Rule(
        Category.BLAME,
        r"\b(?:fault|mistake) of (?:an?|our|the) (?:engineer|employee|colleague|supplier|vendor)\b",
        "say what happened, not who did it",
    ),
)

_COMPILED = tuple((rule, re.compile(rule.pattern, re.IGNORECASE)) for rule in RULES)


def warnings(text: str) -> tuple[WordingWarning, ...]:
    """Return what readers may not understand, in the text's order; the same word once."""
    found = [
        (match.start(), WordingWarning(rule.category, match.group(), rule.plain))
        for rule, pattern in _COMPILED
        for match in pattern.finditer(text)
    ]
    told: dict[str, WordingWarning] = {}
    for _, warning in sorted(found, key=lambda each: each[0]):
        told.setdefault(warning.found.lower(), warning)
    return tuple(told.values())
