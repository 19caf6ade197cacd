// One key for what one does most: each key follows the link that the list shows for it.
"use strict";
{
  const OFF = "shortcuts-off";
  const list = document.getElementById("shortcuts");
  const button = list?.querySelector("[data-switches-shortcuts]");

  function isOff() {
    try { return localStorage.getItem(OFF) === "yes"; } catch { return false; }
  }

  function showSwitch() {
    button.textContent = isOff() ? "Turn the keys on" : "Turn the keys off";
  }

  function isTyping(element) {
    return element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);
  }

  if (list) {
    showSwitch();
    document.querySelector("[data-opens-shortcuts]").addEventListener("click", () => list.showModal());
    list.querySelector("[data-closes-shortcuts]").addEventListener("click", () => list.close());
    button.addEventListener("click", () => {
      try { localStorage.setItem(OFF, isOff() ? "no" : "yes"); } catch { /* Where nothing may be kept, the keys stay on. */ }
      showSwitch();
    });
    for (const link of list.querySelectorAll("a")) link.addEventListener("click", () => list.close());
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isOff() || isTyping(event.target)) return;
      const link = list.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (event.key === "?" && !list.open) list.showModal();
      else if (link) link.click();
      else return;
      event.preventDefault();
    });
  }
}
