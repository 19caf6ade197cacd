// Enhances the console; every page works without it.
"use strict";
document.documentElement.classList.add("js");

// Countdowns: "in 12 min", "3 min late".
function words(seconds) {
  const s = Math.floor(Math.abs(seconds));
  if (s < 60) return `${s} s`;
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"]];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
}
function tick() {
  for (const clock of document.querySelectorAll("[data-until]")) {
    const left = (new Date(clock.dataset.until) - Date.now()) / 1000;
    const text = left >= 0 ? `in ${words(left)}` : `${words(left)} late`;
    if (clock.textContent !== text) clock.textContent = text;
    const box = clock.closest(".message-due, .owed, .clock-item, .promises > li");
    if (box) box.toggleAttribute("data-late", left < 0);
  }
  for (const clock of document.querySelectorAll("[data-leaves]")) {
    const left = (new Date(clock.dataset.leaves) - Date.now()) / 1000;
    const text = left > 0 ? `in ${words(left)}` : "now";
    if (clock.textContent !== text) clock.textContent = text;
  }
}
tick();
setInterval(tick, 1000);

// Where the administration's menu is wider than the screen, the page that is open is in sight in it.
const opened = document.querySelector(".menu a[aria-current]");
if (opened) {
  const menu = opened.closest("ul");
  menu.scrollLeft = opened.offsetLeft - menu.offsetLeft - (menu.clientWidth - opened.offsetWidth) / 2;
}

// How far mails have come: followed while some wait, and left alone while somebody is at a button in it.
async function follow() {
  const running = document.querySelector("[data-delivery][data-running]");
  if (!running || document.hidden) return;
  try {
    const answer = await fetch(running.dataset.delivery);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-delivery]")) {
      if (old.contains(document.activeElement) || old.querySelector("details[open]")) continue;
      const line = fresh.getElementById(old.id);
      if (line) old.replaceWith(line); else old.remove();
    }
    tick();
  } catch (error) {
    console.warn("the figures could not be renewed", error);
  }
}
follow();
setInterval(follow, 2000);

// Others keep promises too: the bar of a page that stays open follows them, unless somebody is in it.
setInterval(async () => {
  const bar = document.getElementById("clocks");
  if (!bar || document.hidden || bar.contains(document.activeElement)) return;
  try {
    const answer = await fetch("/console/clocks/bar");
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("clocks");
    if (fresh) bar.replaceChildren(...fresh.childNodes);
    tick();
  } catch (error) {
    console.warn("the clocks could not be renewed", error);
  }
}, 15000);

// A drill's page follows the drill while somebody looks at it.
const following = document.querySelector("[data-refresh-seconds]");
if (following) setInterval(() => { if (!document.hidden) location.reload(); }, following.dataset.refreshSeconds * 1000);

// What is wrong is said first, to eyes and screen readers alike.
document.getElementById("errors")?.focus();

// Times are typed in UTC; the writer's own clock is shown beside them.
for (const input of document.querySelectorAll("input[data-utc]")) {
  const note = document.createElement("p");
  note.className = "local";
  const show = () => {
    const instant = new Date(`${input.value}Z`);
    note.hidden = instant.getTimezoneOffset() === 0;
    const local = instant.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    note.textContent = Number.isNaN(instant.getTime()) ? "" : `${input.value.slice(11, 16)} UTC is ${local} your time`;
  };
  input.insertAdjacentElement("afterend", note);
  input.addEventListener("input", show);
  show();
}

// The preview follows the typing.
const form = document.querySelector("form[data-preview]");
const preview = document.getElementById("preview");
if (form && preview) {
  let timer, running;
  const refresh = async () => {
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)), signal: running.signal });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("preview");
      const open = [...preview.querySelectorAll("details")].map((each) => each.open);
      if (fresh) preview.replaceChildren(...fresh.childNodes);
      const reach = page.getElementById("reach");
      if (reach) document.getElementById("reach")?.replaceChildren(...reach.childNodes);
      preview.querySelectorAll("details").forEach((each, index) => { each.open = open[index] ?? each.open; });
    } catch (error) {
      if (error.name !== "AbortError") console.warn("no preview", error);
    }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refresh, 300); });
  // A double click is one message: the server sees to it, this spares the second request.
  form.addEventListener("submit", (event) => {
    if (event.submitter?.classList.contains("no-script")) return;
    for (const button of form.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
  });
  addEventListener("pageshow", () => { for (const button of form.querySelectorAll("button")) button.disabled = false; });
}
