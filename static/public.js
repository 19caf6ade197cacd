// Readers see UTC; beside a promise, their own time, and an honest line once it has passed.
"use strict";
const twoDigits = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const withDay = new Intl.DateTimeFormat([], { weekday: "long", hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat([], { dateStyle: "full", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) time.title = `${full.format(new Date(time.dateTime))} (your time)`;
function look() {
  for (const promise of document.querySelectorAll(".promise[data-due]")) {
    const due = new Date(promise.dataset.due);
    const late = due < Date.now();
    const words = due.toDateString() === new Date().toDateString() ? twoDigits : withDay;
    const text = late ? "This update is late. We are sorry." : `${words.format(due)} your time`;
    let line = promise.querySelector("span");
    if (!line) line = promise.appendChild(document.createElement("span"));
    line.className = late ? "late" : "local";
    if (line.textContent !== text) line.textContent = text;
  }
}
look();
setInterval(look, 10000);
