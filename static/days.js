// The bars of the last days: how a day was, under the pointer, a finger, or with the arrow keys.
"use strict";
{
  const DAYS = 90;
  const DAY = 86400000;
  const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -DAYS, End: DAYS };
  const today = Date.parse(document.querySelector("[data-today]").dataset.today);
  // The page writes 12 Nov, and so must English here.
  const language = document.documentElement.lang.replace(/^en$/, "en-GB");
  const named = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" });
  const isMirrored = getComputedStyle(document.documentElement).direction === "rtl";
  // Each condition's word stands in the key below the bars.
  const words = new Map([...document.querySelectorAll(".bars-key li")].map((item) => [item.querySelector("path").classList[0], item.textContent.trim()]));
  const known = new WeakMap();

  const card = document.createElement("p");
  card.className = "day-card";
  card.setAttribute("role", "status");
  card.hidden = true;
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
  mark.setAttribute("class", "at");

  // What each day of these bars was; read from the drawing itself, once.
  function daysOf(bars) {
    if (known.has(bars)) return known.get(bars);
    const days = [];
    for (const path of bars.querySelectorAll("path:not(.at)")) {
      const title = path.querySelector("title");
      for (const [, begin, width] of path.getAttribute("d").matchAll(/M(\d+) \d+h(\d+)/g)) {
        const first = begin / 4;
        for (let day = first; day < first + (Number(width) + 1) / 4; day += 1) {
          const said = title?.textContent.replace(/^[^:]*: /, "");
          days[day] = said ?? words.get(path.classList[0]);
        }
      }
      // The browser's own hint would lie over ours.
      title?.remove();
    }
    known.set(bars, days);
    return days;
  }

  function hide() {
    card.hidden = true;
    mark.remove();
  }

  function show(bars, day) {
    const said = daysOf(bars)[day];
    if (!said) return hide();
    const text = `${named.format(today - (DAYS - 1 - day) * DAY)}: ${said}`;
    if (card.textContent !== text) card.textContent = text;
    bars.append(mark);
    mark.setAttribute("d", `M${4 * day + 1.5} 0v24`);
    card.hidden = false;
    const box = bars.getBoundingClientRect();
    const along = ((day + 0.5) / DAYS) * box.width;
    const middle = isMirrored ? box.right - along : box.left + along;
    const widest = document.documentElement.clientWidth - card.offsetWidth - 8;
    card.style.left = `${Math.max(8, Math.min(widest, middle - card.offsetWidth / 2)) + scrollX}px`;
    card.style.top = `${box.top + scrollY - card.offsetHeight - 6}px`;
    card.dataset.day = day;
    return undefined;
  }

  function dayAt(bars, x) {
    const box = bars.getBoundingClientRect();
    const along = isMirrored ? box.right - x : x - box.left;
    return Math.max(0, Math.min(DAYS - 1, Math.floor((along / box.width) * DAYS)));
  }

  function follow(event) {
    const bars = event.target.closest?.(".uptime .bars");
    if (bars) show(bars, dayAt(bars, event.clientX));
    else hide();
  }

  function step(event) {
    if (event.key === "Escape") return hide();
    const bars = event.target.closest?.(".uptime > summary")?.querySelector(".bars");
    if (!bars || !(event.key in KEYS)) return undefined;
    event.preventDefault();
    // On a phone the oldest days are out of sight.
    const edge = bars.closest(".uptime").getBoundingClientRect();
    const oldest = dayAt(bars, isMirrored ? edge.right - 1 : edge.left + 1);
    const from = mark.parentNode === bars ? Number(card.dataset.day) : DAYS;
    const by = isMirrored && event.key.startsWith("Arrow") ? -KEYS[event.key] : KEYS[event.key];
    return show(bars, Math.max(oldest, Math.min(DAYS - 1, from + by)));
  }

  document.body.append(card);
  addEventListener("pointermove", follow);
  addEventListener("pointerdown", follow);
  addEventListener("keydown", step);
  addEventListener("focusout", hide);
  addEventListener("resize", hide);
}
