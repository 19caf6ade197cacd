// The settings of the page: how an accent looks, while it is typed; which languages are left to offer.
"use strict";
const accent = document.querySelector("[data-accent]");
const sample = document.getElementById("sample");
let asked = 0;

async function show() {
  const number = ++asked;
  try {
    const answer = await fetch(`/admin/page/sample?accent=${encodeURIComponent(accent.value)}`);
    const text = await answer.text();
    // Half a colour is no mistake: somebody is still typing.
    if (answer.ok && number === asked) sample.innerHTML = text;
  } catch {
    // The sample stays as it was; saving says what is wrong.
  }
}

// Beside the field the browser's own way to choose a colour.
const well = document.createElement("input");
well.type = "color";
well.className = "well";
well.setAttribute("aria-label", "Choose the accent colour");
const isWhole = () => /^#[0-9a-f]{6}$/i.test(accent.value);
well.value = isWhole() ? accent.value : "#2f4cc2";
accent.after(well);
well.addEventListener("input", () => { accent.value = well.value; show(); });
accent.addEventListener("input", () => { if (isWhole()) well.value = accent.value; show(); });

// The page's own language is not one of the others.
const own = document.getElementById("field-language");
own.addEventListener("change", () => {
  for (const choice of document.querySelectorAll("[data-language]")) choice.hidden = choice.dataset.language === own.value;
});
