"""Look at a page as everybody does: on a phone and a desk, by day and by night, magnified, by ear, by its source."""

from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route

from tests.pagechecks import check_page, text_of

Rules = dict[str, dict[str, bool]]

DESK, PHONE, MAGNIFIED = 1280, 390, 320  # 320 is 1,280 px at 400 %.
HEIGHT = 844
_AXE = Axe()
# What is unfolded is looked at too, tabs of which only one is open at a time included.
_UNFOLD = """
() => {
  for (const each of document.querySelectorAll("details")) { each.removeAttribute("name"); each.open = true; }
}
"""
# A frame is a document of its own, and looked at as one.
# Nor are style sheets and media fetched once more: that is for what plays by itself, and nothing here does. A rule that
# fails is a doubt for axe, and would go unnoticed: "debug" has it say so.
_ASK = """
async ([rules, only]) => (await axe.run(
  document,
  { resultTypes: ["violations"], iframes: false, preload: false, debug: true, rules, ...(only && { runOnly: { type: "rule", values: only } }) },
)).violations
"""
# Contrast takes two milliseconds for each text, more than everything else together. It comes of colours, sizes and what
# lies behind: only a text whose look this tab has not shown before is marked to be heard. What can't be seen stands for none.
_MARK_UNHEARD = """
() => {
  const heard = new Set(JSON.parse(sessionStorage.getItem("heard") || "[]")), grounds = new Map();
  const ground = (each) => {
    if (!each) return "";
    if (!grounds.has(each)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(each);
      grounds.set(each, `${ground(each.parentElement)}/${backgroundColor} ${backgroundImage} ${opacity} ${position}`);
    }
    return grounds.get(each);
  };
  const isSeen = (each) => {
    const { left, width, height } = each.getBoundingClientRect();
    return left >= 0 && width > 2 && height > 2 && each.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const isText = (each) => /^(INPUT|SELECT|TEXTAREA)$/.test(each.tagName)
    || [...each.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  for (const each of [document.body, ...document.body.querySelectorAll("*")]) {
    each.removeAttribute("data-unheard");
    if (!isText(each)) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(each);
    const exempt = each.closest(":disabled, [aria-disabled=true]") !== null;
    const look = `${ground(each)}|${color} ${fontSize} ${fontWeight} ${textShadow} ${exempt}`;
    each.toggleAttribute("data-unheard", !heard.has(look));
    if (isSeen(each)) heard.add(look);
  }
  sessionStorage.setItem("heard", JSON.stringify([...heard]));
}
"""
# To look for ::before at every ancestor of every text takes long, and ends in a doubt, never in a violation. The other
# options have to be named again: axe would forget them.
_WITHOUT_DOUBTS = """
axe.configure({
  checks: [{ id: "color-contrast", options: { ...axe._audit.checks["color-contrast"].options, ignorePseudo: true } }],
  rules: [{ id: "color-contrast", selector: "[data-unheard]" }],
});
"""

# What another width and other colours can change; the rest is in the source, which is the same.
_OF_LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
# A mail has no landmarks: the mail program has.
_OF_NO_MAIL = {rule: {"enabled": False} for rule in ("landmark-one-main", "region")}
_TOO_WIDE = """
() => {
  const over = document.documentElement.scrollWidth - innerWidth;
  if (over <= 0) return "";
  const far = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  return `${over} px: ${far.slice(-3).map((each) => `${each.tagName}.${each.className}`).join(", ")}`;
}
"""
# In one go: to ask takes as long as many an answer.
_HEAR = f"async (asked) => {{ ({_UNFOLD})(); ({_MARK_UNHEARD})(); return [await ({_ASK})(asked), ({_TOO_WIDE})()]; }}"


# Uncompressed, with styles, scripts and frames, wherever they come from: what is sent is less.
_WEIGHT = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, each) => sum + each.decodedBodySize, 0)
"""
CONSOLE_LIMIT = 100_000


def lend_ears(page: Page) -> None:
    """Have every document that this page opens from now on bring axe-core with it."""
    page.add_init_script(f"{_AXE.axe_script};{_WITHOUT_DOUBTS}")


def look(page: Page, path: str, status: int = 200) -> list[str]:
    """Open a page; return what is wrong with it."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == status, (path, answer.status)
    return look_here(page, path, answer.text())


def look_after(page: Page, what: str, act: Callable[[], Any], status: int = 200) -> list[str]:
    """Do what leads to another page, and look at that."""
    with page.expect_navigation() as navigation:
        act()
    answer = navigation.value
    assert answer.status == status, (what, answer.status)
    return look_here(page, what, answer.text())


def look_here(page: Page, what: str, source: str) -> list[str]:
    """Return what is wrong with the page that is open; ``source`` is what the server sent."""
    weight = page.evaluate(_WEIGHT)
    heavy = [f"{weight} bytes"] if weight > CONSOLE_LIMIT else []
    return [f"{what}: {problem}" for problem in (*_source(source), *heavy, *_shown(page, {}))]


def _source(source: str) -> list[str]:
    try:
        root = check_page(source)
    except (AssertionError, ValueError) as wrong:
        return [str(wrong) or repr(wrong)]
    title, heading = text_of(next(root.iter("title"))), text_of(next(root.iter("h1")))
    return [] if heading in title else [f"the title {title!r} does not say {heading!r}"]


def _shown(page: Page, rules: Rules) -> list[str]:
    wrong = []
    for width, scheme in ((DESK, "light"), (PHONE, "dark"), (MAGNIFIED, "")):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        if scheme:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found, by = page.evaluate(_HEAR, [rules, None if width == DESK else _OF_LOOKS])
            wrong += _said(found, scheme, width)
        else:
            by = page.evaluate(_TOO_WIDE)
        wrong += [f"wider than {width} px: {by}"] if by else []
    return wrong


def _said(violations: list[dict[str, Any]], scheme: str, width: int) -> list[str]:
    return [
        f"{scheme}, {width} px: {violation['id']}: {node['target']}: {node['html'][:160]}: "
        + "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])
        for violation in violations
        for node in violation["nodes"][:3]
    ]


def look_at_frame(page: Page, path: str) -> list[str]:
    """Open what is shown in a frame, such as a mail, whose source is made for mail programs; return what is wrong."""

    def out_of_its_sandbox(route: Route) -> None:
        answer = route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "content-security-policy"}
        route.fulfill(response=answer, headers=headers)

    page.route(f"**{path}", out_of_its_sandbox)
    answer = page.goto(path)
    assert answer is not None
    assert answer.ok, path
    return [f"{path}: {problem}" for problem in _shown(page, _OF_NO_MAIL)]
