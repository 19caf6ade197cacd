// Several people in one incident room: who is here, and what they did, without touching what is typed.
"use strict";
{
  const EVERY = 5000;
  const people = document.getElementById("people");
  const news = document.getElementById("news");
  const form = document.getElementById("message-form");
  let seen = people?.dataset.deeds;
  let shown = seen;
  let page = null, timer;

  async function look() {
    if (document.hidden) return;
    const token = document.querySelector("[name=csrf_token]").value;
    try {
      const answer = await fetch(people.dataset.presence, { method: "POST", body: new URLSearchParams({ csrf_token: token, seen }) });
      if (!answer.ok) return giveUp(answer.status);
      const fresh = parse(await answer.text());
      const others = fresh.getElementById("people");
      if (others.textContent.trim() !== people.textContent.trim()) people.replaceChildren(...others.childNodes);
      if (others.dataset.deeds !== shown) await renew(others.dataset.deeds);
      tell(fresh.querySelector("#news > details"));
    } catch (error) {
      console.warn("the others could not be seen", error);
    }
  }

  // Signed out or too old: asking again won't help. A server in trouble is asked again.
  function giveUp(status) {
    if (status >= 500) return;
    clearInterval(timer);
    people.textContent = "This page does not follow the others any more. Sign in again in another tab, then reload it.";
  }

  function parse(text) {
    return new DOMParser().parseFromString(text, "text/html");
  }

  // State, clocks and timeline follow at once, except where somebody is at work in them.
  async function renew(deeds) {
    const answer = await fetch(location.pathname);
    if (!answer.ok || answer.redirected) return;
    page = parse(await answer.text());
    let isWhole = true;
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (old.contains(document.activeElement) || old.querySelector("details[open]")) isWhole = false;
      else if (fresh) old.replaceWith(fresh);
    }
    if (isWhole) shown = deeds;
  }

  function tell(box) {
    if (!news || !box) return;
    const old = news.querySelector("details");
    if (old?.open || old?.dataset.deeds === box.dataset.deeds) return;
    news.replaceChildren(box);
    box.addEventListener("toggle", () => { if (box.open) take(box); });
    box.querySelector("button").addEventListener("click", () => {
      seen = box.dataset.deeds;
      news.replaceChildren();
      (form?.querySelector("textarea, input:not([type=hidden])") ?? people).focus?.();
    });
  }

  // Only now that its words are on the screen may something be posted on top of the change.
  function take(box) {
    if (!form) return;
    form.elements.version.value = box.dataset.version;
    const fresh = page?.querySelector("#message-form [name=suggested]")?.value;
    if (!fresh) return;
    const before = JSON.parse(form.elements.suggested.value);
    for (const [name, value] of Object.entries(JSON.parse(fresh))) {
      const control = form.elements[name];
      if (control && control.value === before[name]) control.value = value;
    }
    form.elements.suggested.value = fresh;
    form.dispatchEvent(new Event("input", { bubbles: true }));
  }

  if (people) {
    look();
    timer = setInterval(look, EVERY);
    document.addEventListener("visibilitychange", look);
  }
}
