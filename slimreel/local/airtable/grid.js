// Rows change while somebody looks: what is new is fetched every few seconds, though not while a choice
// is open or a text is marked.
"use strict";

const EVERY_MS = 2000;
const PARTS = ["header", "nav", "main"];

async function look() {
  const busy = document.hidden || document.querySelector("details[open]") || !getSelection().isCollapsed;
  if (!busy) {
    try {
      const answer = await fetch(location.href);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      document.body.classList.remove("gone");
    } catch {
      document.body.classList.add("gone"); // says that this is what was last seen
    }
  }
  setTimeout(look, EVERY_MS);
}

function show(page) {
  const focused = document.activeElement;
  const row = focused.closest("tr")?.id, cell = focused.closest("td, th")?.cellIndex;
  mark(page);
  for (const name of PARTS) {
    const shown = document.querySelector(name), given = page.querySelector(name);
    if (given && shown.innerHTML !== given.innerHTML) shown.replaceChildren(...given.childNodes);
  }
  if (row && !focused.isConnected) document.getElementById(row)?.cells[cell]?.querySelector("a, summary")?.focus();
}

/** The row that a link led to. */
function mark(page) {
  page.getElementById(location.hash.slice(1))?.classList.add("here");
}

mark(document);
setTimeout(look, EVERY_MS);
