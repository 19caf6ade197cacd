// What is typed into a message or a text is kept on the server: after a pause, and when the page is left.
"use strict";
{
  const PAUSE = 1000;
  const form = document.querySelector("form[data-draft]");
  const note = document.getElementById("draft-note");
  let timer, kept = form && content(), isOver = false;

  function content() {
    const data = new FormData(form);
    // A text may be long: only what was changed in it is sent.
    if (form.elements.shown) {
      for (const each of form.querySelectorAll("textarea")) if (each.value === each.defaultValue) data.delete(each.name);
    }
    return new URLSearchParams(data).toString();
  }

  async function save(isLeaving) {
    clearTimeout(timer);
    const typed = content();
    if (isOver || typed === kept) return;
    kept = typed;
    try {
      const answer = await fetch(form.dataset.draft, {
        method: "POST",
        body: new URLSearchParams(typed),
        headers: { Accept: "application/json" },
        // More than that no browser sends on behalf of a page that is gone.
        keepalive: isLeaving && typed.length < 60_000,
      });
      if (!answer.ok) throw new Error(`the status ${answer.status}`);
      const { saved } = await answer.json();
      note.removeAttribute("role");
      note.textContent = saved ? note.dataset.words.replace("{at}", saved) : "";
    } catch (error) {
      kept = "";
      if (isLeaving) return;
      note.setAttribute("role", "alert");
      note.textContent = "The draft could not be saved: keep this page open.";
      console.warn("no draft", error);
      timer = setTimeout(save, 10 * PAUSE);
    }
  }

  if (form) {
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(save, PAUSE); });
    // Posting may fail; once it succeeds the server keeps nothing of this form any more.
    form.addEventListener("submit", () => save(true));
    addEventListener("pagehide", () => save(true));
    document.addEventListener("visibilitychange", () => { if (document.hidden) save(true); });
    document.querySelector("form[data-discards-draft]")?.addEventListener("submit", () => { isOver = true; });
  }
}
