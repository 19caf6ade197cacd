// The order of a list: by arrows without a new page, and by dragging a handle. The buttons work without this.
"use strict";

// The server's page is the truth: what it says is put in the old one's place, and the focus stays where it was.
async function place(path, csrf, number) {
  const body = new URLSearchParams({ csrf_token: csrf, place: number });
  const answer = await fetch(path, { method: "POST", body });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("order");
  if (!answer.ok || !fresh) throw new Error(`the order was not kept: ${answer.status}`);
  document.getElementById("order").replaceChildren(...fresh.childNodes);
  document.getElementById("done")?.remove();
  document.getElementById("moved").textContent = page.querySelector("#done [role=status]")?.textContent ?? "";
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-move]"), button = event.submitter;
  if (!form || !button) return;
  event.preventDefault();
  const row = form.closest("li").id, way = button.dataset.way;
  try {
    await place(form.action, form.elements.csrf_token.value, button.value);
    const buttons = [...document.querySelectorAll(`#${row} button:not(:disabled)`)];
    (buttons.find((each) => each.dataset.way === way) ?? buttons[0])?.focus();
  } catch {
    location.reload();
  }
});

let drag = null;

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-handle]");
  if (!handle || event.button !== 0 || drag) return;
  event.preventDefault();
  const row = handle.closest("li");
  drag = { row, list: row.parentElement, before: [...row.parentElement.children], pointer: event.pointerId };
  row.classList.add("dragged");
});

document.addEventListener("pointermove", (event) => {
  if (!drag || event.pointerId !== drag.pointer) return;
  const { row, list } = drag;
  for (const other of list.children) {
    if (other === row) continue;
    const box = other.getBoundingClientRect(), middle = box.top + box.height / 2;
    const isBelow = row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isBelow && event.clientY > middle) other.after(row);
    else if (!isBelow && event.clientY < middle) { other.before(row); break; }
  }
});

async function drop(isKept) {
  if (!drag) return;
  const { row, list, before } = drag;
  drag = null;
  row.classList.remove("dragged");
  const number = [...list.children].indexOf(row) + 1;
  if (!isKept) return list.replaceChildren(...before);
  if (number === before.indexOf(row) + 1) return;
  try {
    await place(row.dataset.place, row.querySelector("[name=csrf_token]").value, number);
  } catch {
    location.reload();
  }
}

document.addEventListener("pointerup", () => drop(true));
document.addEventListener("pointercancel", () => drop(false));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") drop(false); });
