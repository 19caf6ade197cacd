"""The page's own settings: name, time zone, support address, its looks and languages, what counts as downtime."""

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import branding, components
from statuspage.db import db
from statuspage.models import Logo, Page
from statuspage.rules.branding import MOST_LINKS, OWN_SHADES
from statuspage.rules.colours import check_colour, contrast, shades
from statuspage.rules.languages import LANGUAGES
from statuspage.rules.vocabulary import AccountRole, NotFound, RuleBroken
from statuspage.web import access
from statuspage.web.forms import show_again, typed

blueprint = Blueprint("admin_page", __name__, url_prefix="/admin/page")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def show() -> ResponseReturnValue:
    """Show the page's settings."""
    return _page({}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def edit() -> ResponseReturnValue:
    """Change the page's settings."""
    form = request.form
    components.edit_page(
        form.get("name", ""),
        form.get("time_zone", ""),
        form.get("support_url", ""),
        current_user.id,
        clock.now(),
    )
    return redirect(url_for("admin_page.show", saved=1), 303)


@blueprint.post("/uptime")
@access.needs(AccountRole.ADMIN)
def edit_uptime() -> ResponseReturnValue:
    """Change what counts as downtime."""
    form = request.form
    excludes_maintenance = form.get("maintenance") != "counts"
    components.edit_uptime_rule(form.get("degraded_percent", ""), excludes_maintenance, current_user.id, clock.now())
    return redirect(url_for("admin_page.show", saved=1), 303)


@blueprint.post("/look")
@access.needs(AccountRole.ADMIN)
def edit_look() -> ResponseReturnValue:
    """Change accent and logo, or only show how the accent would look."""
    form, file = request.form, request.files.get("logo")
    accent = form.get("accent", "")
    if form.get("try"):
        return _page(typed() | {"accent": check_colour(accent)}, {})
    logo = file.stream.read() if file is not None else b""
    branding.edit_look(accent, logo, form.get("removes_logo") == "yes", current_user.id, clock.now())
    return redirect(url_for("admin_page.show", saved=1), 303)


@blueprint.get("/sample")
@access.needs(AccountRole.ADMIN)
def sample() -> ResponseReturnValue:
    """Show how an accent would look: a part of the page, for the script that asks while somebody types."""
    try:
        accent = check_colour(request.args.get("accent", ""))
    except RuleBroken as broken:
        return broken.errors["accent"], 422, {"Content-Type": "text/plain; charset=utf-8"}
    page = db.session.execute(select(Page)).scalar_one()
    return render_template("admin/sample.html", sample=_sample(accent), page_name=page.name)


@blueprint.get("/logo")
@access.needs(AccountRole.ADMIN)
def logo() -> ResponseReturnValue:
    """Show the logo as it is kept, published or not."""
    found = db.session.scalar(select(Logo))
    if found is None:
        raise NotFound("logo")
    return Response(found.content, mimetype=f"image/{found.name.rpartition('.')[2]}")


@blueprint.post("/links")
@access.needs(AccountRole.ADMIN)
def edit_links() -> ResponseReturnValue:
    """Change the links of header and footer."""
    branding.edit_links(_posted_links("header"), _posted_links("footer"), current_user.id, clock.now())
    return redirect(url_for("admin_page.show", saved=1), 303)


def _posted_links(field: str) -> list[tuple[str, str]]:
    form = request.form
    numbers = range(MOST_LINKS)
    return [(form.get(f"{field}_{n}_label", ""), form.get(f"{field}_{n}", "")) for n in numbers]


@blueprint.post("/languages")
@access.needs(AccountRole.ADMIN)
def edit_languages() -> ResponseReturnValue:
    """Change the page's language and which others readers may choose."""
    form = request.form
    branding.edit_languages(form.get("language", ""), form.getlist("languages"), current_user.id, clock.now())
    return redirect(url_for("admin_page.show", saved=1), 303)


@blueprint.post("/css")
@access.needs(AccountRole.ADMIN)
def edit_css() -> ResponseReturnValue:
    """Change the page's own CSS."""
    branding.edit_css(request.form.get("custom_css", ""), current_user.id, clock.now())
    return redirect(url_for("admin_page.show", saved=1), 303)


def _page(values: dict[str, str], errors: Mapping[str, str]) -> str:
    """The page's settings; what was typed into one of the forms stands in place of what is saved."""
    page = db.session.execute(select(Page)).scalar_one()
    saved = {
        "name": page.name,
        "time_zone": page.time_zone,
        "support_url": page.support_url,
        "accent": page.accent,
        "custom_css": page.custom_css,
        "language": page.language,
        "degraded_percent": str(page.uptime_degraded_percent),
        "maintenance": "excluded" if page.uptime_excludes_maintenance else "counts",
        **_saved_links("header", page.header_links),
        **_saved_links("footer", page.footer_links),
    }
    shown = saved | values
    return render_template(
        "admin/page.html",
        typed=shown,
        errors=errors,
        page_name=page.name,
        logo=db.session.execute(select(Logo.width, Logo.height)).first(),
        rows={field: _rows(field, shown) for field in ("header", "footer")},
        sample=_sample(_colour_or(page.accent, shown["accent"])),
        all_languages=LANGUAGES,
        offered=request.form.getlist("languages") if "language" in values else page.languages,
    )


def _saved_links(field: str, links: list[list[str]]) -> dict[str, str]:
    return {
        name: text
        for number, (label, address) in enumerate(links)
        for name, text in ((f"{field}_{number}_label", label), (f"{field}_{number}", address))
    }


def _rows(field: str, shown: Mapping[str, str]) -> int:
    """How many rows to show: those that are filled in, and two more."""
    filled = [n for n in range(MOST_LINKS) if shown.get(f"{field}_{n}_label") or shown.get(f"{field}_{n}")]
    return min(MOST_LINKS, max(filled, default=-1) + 3)


def _colour_or(saved: str, text: str) -> str:
    """Return what was typed, or what is saved where that is no colour."""
    try:
        return check_colour(text)
    except RuleBroken:
        return saved


def _sample(accent: str) -> dict[str, object]:
    """How the page looks with an accent: the grounds and inks of static/base.css, light and dark."""
    used = shades(accent) if accent else OWN_SHADES
    schemes = (
        ("Light", used.light, {"ground": "#f7f7f5", "surface": "#ffffff", "ink": "#1b1d21", "line": "#dcdcd6"}),
        ("Dark", used.dark, {"ground": "#131518", "surface": "#1c1f24", "ink": "#eceded", "line": "#353a42"}),
    )
    return {
        "wish": accent,
        "schemes": [
            (name, shade, colours, f"{contrast(shade.accent, colours['surface']):.1f}")
            for name, shade, colours in schemes
        ],
    }


show_again(blueprint, _page)
