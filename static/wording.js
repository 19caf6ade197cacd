// Marks what readers may not understand while it is typed. Without this, the marks come with the first posting.
"use strict";
for (const form of document.querySelectorAll("form[data-wording]")) {
  const fields = [...form.querySelectorAll("[data-plain]")];
  const tick = form.querySelector("[data-as-it-is]");
  let timer, running;

  const place = (field, fresh) => {
    const shown = document.getElementById(`marks-${field.id}`);
    // What says the same stays: it is not read out again, and a button in it keeps the focus.
    if (shown && fresh && shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...fresh.childNodes);
  };
  const look = async () => {
    running?.abort();
    running = new AbortController();
    const texts = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
    for (const field of fields) texts.set(field.id, field.value);
    try {
      const answer = await fetch("/console/wording", { method: "POST", body: texts, signal: running.signal });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const field of fields) place(field, page.getElementById(`marks-${field.id}`));
      const marked = fields.some((field) => document.getElementById(`marks-${field.id}`)?.querySelector("li"));
      tick.hidden = !marked;
      if (!marked) tick.querySelector("input").checked = false;
    } catch (error) {
      if (error.name !== "AbortError") console.warn("the wording could not be looked at", error);
    }
  };

  form.addEventListener("input", (event) => {
    if (!event.target.matches("[data-plain]")) return;
    clearTimeout(timer);
    timer = setTimeout(look, 400);
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-use]");
    const field = button && document.getElementById(button.dataset.for);
    if (!field) return;
    // The places are counted in characters, a browser counts in halves of some of them.
    const characters = [...field.value];
    let start = characters.slice(0, button.dataset.start).join("").length;
    const found = button.dataset.found;
    if (!field.value.startsWith(found, start)) start = field.value.indexOf(found);
    if (start < 0) return;
    field.focus();
    field.setRangeText(button.dataset.use, start, start + found.length, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(timer);
    look();
  });
}
