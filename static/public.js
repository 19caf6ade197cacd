// Readers see UTC; beside it their own time, and an honest line once a promise has passed.
"use strict";
// What it says is in the page's language: it stands beside the script.
const said = document.currentScript.dataset;
const { lang } = document.documentElement;
const hour = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
// A day has a name, in the page's language; the hour is as the reader is used to.
const language = [...navigator.languages.filter((each) => each.startsWith(lang)), lang];
const { hourCycle } = hour.resolvedOptions();
const withDay = new Intl.DateTimeFormat(language, { weekday: "short", hour: "numeric", minute: "2-digit", hourCycle });
const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short", hourCycle });
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.title = `${full.format(at)} (${said.yours})`;
  // A table has no room for it.
  if (at.getTimezoneOffset() === 0 || time.closest("table")) continue;
  const local = document.createElement("span");
  local.className = "local";
  local.textContent = `(${(at.getDate() === at.getUTCDate() ? hour : withDay).format(at)} ${said.yours})`;
  time.after(" ", local);
}

function look() {
  for (const promise of document.querySelectorAll("[data-due]")) {
    if (new Date(promise.dataset.due) >= Date.now() || promise.querySelector(".late")) continue;
    const line = document.createElement("span");
    line.className = "late";
    line.textContent = ` ${said.late}`;
    (promise.querySelector("dd") ?? promise).append(line);
  }
}
look();
setInterval(look, 10000);

// The panel of ways to hear more is closed like any other: by Escape, and by a click beside it.
const ways = document.querySelector(".get-updates");
addEventListener("click", (event) => { if (ways && !ways.contains(event.target)) ways.open = false; });
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !ways?.open) return;
  ways.open = false;
  ways.querySelector("summary").focus();
});

// A page says by itself when nobody renews it any more: what was well then may not be well now. The front page is made
// anew every minute; the others change when something happens, so current.json tells whether anybody is still at it.
// Its Date header is what the age is counted from: a reader's clock may be wrong.
const STALE_AFTER = 120000;
const made = Date.parse(document.querySelector('meta[name="generated-at"]')?.content);
const isFront = Boolean(document.getElementById("page-state"));
let note = null;

function tell(text, at) {
  text = text.replace("{}", inUtc(at));
  if (!note) {
    note = document.createElement("p");
    note.className = "stale";
    note.setAttribute("role", "alert");
    document.querySelector("main").prepend(note);
    for (const state of document.querySelectorAll("main .state-operational")) {
      state.classList.replace("state-operational", "state-unknown");
      state.textContent = state.closest("#page-state") ? said.pageUnknown : said.unknown;
    }
    const banner = document.querySelector(".banner-operational");
    banner?.classList.replace("banner-operational", "banner-unknown");
    banner?.querySelector(".whose")?.remove();
    if (isFront) document.title = document.title.replace(/: [^:]*$/, `: ${said.pageUnknown.toLowerCase()}`);
  }
  if (note.textContent !== text) note.textContent = text;
}

function inUtc(milliseconds) {
  const [day, time] = new Date(milliseconds).toISOString().split("T");
  const isToday = day === new Date().toISOString().split("T")[0];
  return `${isToday ? "" : `${day}, `}${time.slice(0, 5)} UTC`;
}

function renew() {
  const fields = [...document.querySelectorAll("input, textarea")];
  const isTyping = ways?.open || fields.some((field) => field.value !== field.defaultValue || field === document.activeElement);
  // Never more than once a minute, should a cache go on giving out the old page.
  if (!isTyping && performance.now() > 60000) location.reload();
  else tell(said.newer, made);
}

async function check() {
  if (document.hidden || !made) return;
  const age = Date.now() - made;
  if (!note && age > -60000 && age < STALE_AFTER && performance.now() < STALE_AFTER) return;
  try {
    const answer = await fetch("/current.json", { cache: "no-cache" });
    if (!answer.ok) throw new Error("no answer");
    const published = Date.parse((await answer.json()).generated_at);
    const sent = Date.parse(answer.headers.get("Date")) || Date.now();
    const silence = sent + Number(answer.headers.get("Age") || 0) * 1000 - published;
    if (!(silence < STALE_AFTER)) tell(said.silent, published);
    else if (note || (isFront && published - made > 30000)) renew();
  } catch {
    tell(said.cutOff, made);
  }
}
check();
setInterval(check, 30000);
document.addEventListener("visibilitychange", check);
// Back from the browser's memory, as it was left.
addEventListener("pageshow", (event) => { if (event.persisted) check(); });
