// Small pieces that several pages show.

import { h } from "./dom.js";
import { Refused } from "./net.js";
import { percent, size, stepName } from "./words.js";

export const STATUSES = ["Processing", "Retrying", "Completed", "Kept original", "Failed", "Cancelled"];

/** A status as a pill; its colour says nothing its text does not. */
export const pill = (status) =>
  h("span", { class: `pill ${status.toLowerCase().replace(" ", "-")}` }, status);

/** Where an open job is, and how far. */
export function progress(job) {
  const step = job.step === "encode" && job.searching ? "sample" : job.step;
  const percentage = job.step === "encode" ? job.encode_percent : null;
  const bar = percentage === null || percentage === undefined
    ? h("progress", { "aria-label": stepName(step) })
    : h("progress", { max: 100, value: percentage, "aria-label": stepName(step) });
  return h("span", { class: "progress" },
    h("span", {}, job.waiting ? "Waiting" : stepName(step), percentage ? ` ${percentage} %` : ""), bar);
}

/** Before and after as two bars on one scale. */
export function sizes(before, after, label = true) {
  const share = before > 0 && after !== null ? Math.min(1, after / before) : 0;
  const bar = h("span", { class: share >= 1 ? "sizes whole" : "sizes", "aria-hidden": "true" }, h("i", { style: { width: `${Math.max(100 * share, 1)}%` } }));
  if (after === null || after === undefined) return h("span", {}, size(before));
  return h("span", { class: "before-after" }, label ? h("span", {}, `${size(before)} → ${size(after)}`) : null, bar);
}

export const saved = (before, after) =>
  after === null || after === undefined || before <= 0 ? null : 1 - after / before;

export const savedText = (before, after) => {
  const ratio = saved(before, after);
  return ratio === null ? "–" : ratio <= 0 ? "0 %" : percent(ratio);
};

/** In place of what could not be shown: why, and another try. */
export const trouble = (problem, again) => h("div", { class: "empty", role: "alert" },
  h("h1", {}, problem.status === 0 ? "No connection" : "That did not work"), h("p", {}, why(problem)),
  h("p", {}, h("button", { class: "primary", onclick: again }, "Try again")));

/** A problem in words; what is nobody's answer is a mistake of ours. */
export const why = (problem) => problem instanceof Refused ? problem.message
  : `Something on this page broke: ${problem?.message || problem}`;

/** A select with a label above it. */
export function choice(label, name, options, value, onchange) {
  return h("label", { class: "field" }, h("span", {}, label),
    h("select", { name, onchange: (event) => onchange(event.target.value) },
      options.map(([key, text]) => h("option", { value: key, selected: key === (value || "") }, text))));
}

/** A question in front of everything else; resolves to what `form` holds, or null. */
export function ask(title, content, yes) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" }, h("h2", {}, title), content,
      h("div", { class: "buttons" },
        h("button", { value: "no", formnovalidate: true }, "Never mind"),
        h("button", { value: "yes", class: "primary" }, yes)));
    const dialog = h("dialog", { class: "ask", "aria-label": title }, form);
    dialog.addEventListener("close", () => {
      const answer = dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null;
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
