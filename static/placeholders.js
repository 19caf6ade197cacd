// Puts a placeholder where the cursor is in the wording.
"use strict";
for (const button of document.querySelectorAll("[data-insert]")) {
  button.addEventListener("click", () => {
    const text = document.getElementById("field-text");
    text.setRangeText(button.dataset.insert, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
