// Charts as SVG, each with a title for screen readers and the figures themselves as a table.

import { h, s } from "./dom.js";

let WIDTH = 720; // of the drawing that is being made
const LEFT = 64, RIGHT = 16, TOP = 14, BOTTOM = 30;

/** Draw as wide as there is room, so that texts have the size of other texts. */
export function wide(element) {
  WIDTH = Math.max(280, Math.min(1180, element.clientWidth - 42));
}

/** Round figures from `low` to `high` for an axis, `least` or more apart. */
export function ticks(low, high, wanted = 4, least = 0) {
  if (high <= low) return [low];
  const rough = Math.max((high - low) / wanted, least), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

function frame({ title, height, low, high, format }, y) {
  const lines = ticks(low, high).map((at) => s("g", {},
    s("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at) }),
    s("text", { class: "tick", x: LEFT - 8, y: y(at) + 4, "text-anchor": "end" }, format(at))));
  return s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title }, s("title", {}, title), lines);
}

function xLabels(texts, x, height) {
  const every = Math.max(1, Math.ceil(texts.length / Math.max(2, Math.floor(WIDTH / 110))));
  return texts.map((text, at) => (at % every ? null
    : s("text", { class: "tick", x: x(at), y: height - 8, "text-anchor": at === 0 ? "start" : "middle" }, text)));
}

/** The figures of a chart, for whoever would rather read them. */
export function figures(head, rows) {
  return h("details", { class: "figures" }, h("summary", {}, "Show the figures"),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, head.map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((one, at) => (at ? h("td", {}, one) : h("th", { scope: "row" }, one)))))))));
}

/**
 * One or two lines over equal steps.
 * `series`: [{ name, values, kind }], kind being "area", "line" or "faint".
 */
export function lines({ title, labels, series, format, height = 240, low = null }) {
  const width = WIDTH;
  const all = series.flatMap((one) => one.values);
  const bottom = low ?? Math.min(0, ...all), top = Math.max(...all, bottom + 1e-9);
  const y = (value) => TOP + (1 - (value - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  const x = (at) => LEFT + (labels.length > 1 ? at / (labels.length - 1) : 0.5) * (width - LEFT - RIGHT);
  const svg = frame({ title, height, low: bottom, high: top, format }, y);
  for (const { values, kind } of series) {
    const path = values.map((value, at) => `${at ? "L" : "M"}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("");
    if (kind === "area") {
      const base = y(Math.max(bottom, Math.min(0, top)));
      svg.append(s("path", { class: "area", d: `${path}L${x(values.length - 1)},${base}L${x(0)},${base}Z` }));
    }
    svg.append(s("path", { class: `line ${kind}`, d: path }));
    if (values.length === 1) svg.append(s("circle", { class: `dot ${kind}`, cx: x(0), cy: y(values[0]), r: 4 }));
  }
  svg.append(...xLabels(labels, x, height).filter(Boolean));
  const hair = s("line", { class: "hair", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  svg.append(hair);
  const readout = h("output", { class: "readout", "aria-hidden": "true" }, "\u00a0");
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width * width - LEFT) / (width - LEFT - RIGHT);
    const at = Math.max(0, Math.min(labels.length - 1, Math.round(share * (labels.length - 1))));
    for (const end of ["x1", "x2"]) hair.setAttribute(end, x(at));
    hair.setAttribute("visibility", "visible");
    readout.textContent = [labels[at], ...series.map((one) => `${one.name} ${format(one.values[at])}`)].join(" · ");
  });
  svg.addEventListener("pointerleave", () => { hair.setAttribute("visibility", "hidden"); readout.textContent = "\u00a0"; });
  const key = h("p", { class: "key" }, series.map((one) => h("span", { class: one.kind }, one.name)), readout);
  return h("figure", {}, key, svg, figures(["", ...series.map((one) => one.name)],
    labels.map((label, at) => [label, ...series.map((one) => format(one.values[at]))])));
}

/** Rows with a bar each, in the order given: [{ name, value, text, note }]. */
export function bars(rows, { title }) {
  const most = Math.max(...rows.map((row) => row.value), 1e-9);
  return h("ol", { class: "bars", "aria-label": title }, rows.map((row) => h("li", {},
    h("span", { class: "bar-name" }, row.name),
    h("span", { class: "bar-value" }, row.text),
    h("span", { class: "bar-track", "aria-hidden": "true" }, h("i", { style: { width: `${Math.max(0, 100 * row.value / most)}%` }, class: row.tone || "" })),
    row.note ? h("small", {}, row.note) : null)));
}

/**
 * Quality second by second: the mean as a line, the lowest frame as a faint one, the floor dashed.
 * Stretches that were not compared are gaps. `onseek(seconds)` is called where somebody clicks.
 */
export function quality({ points, floor, duration, metric, onseek }) {
  const height = 180, width = WIDTH;
  const lowest = Math.min(...points.map(([, , low]) => low), floor ?? 1);
  const bottom = Math.max(0, Math.floor((lowest - 0.01) * 50) / 50), top = 1;
  const end = Math.max(duration || 0, points[points.length - 1][0] + 1);
  const y = (value) => TOP + (1 - (value - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  const x = (seconds) => LEFT + seconds / end * (width - LEFT - RIGHT);
  const title = `${metric} of each compared second`;
  const svg = frame({ title, height, low: bottom, high: top, format: (value) => value.toFixed(2) }, y);
  svg.classList.add("seekable");
  const line = (which) => points.map(([at, ...scores], number) => {
    const begins = number === 0 || at - points[number - 1][0] > 1.5;
    return `${begins ? "M" : "L"}${x(at + 0.5).toFixed(1)},${y(scores[which]).toFixed(1)}${begins ? "h0.01" : ""}`;
  }).join("");
  if (floor) svg.append(s("line", { class: "floor", x1: LEFT, x2: WIDTH - RIGHT, y1: y(floor), y2: y(floor) }),
    s("text", { class: "tick", x: WIDTH - RIGHT, y: y(floor) + 13, "text-anchor": "end" }, `wanted ${floor}`));
  svg.append(s("path", { class: "line faint", d: line(1) }), s("path", { class: "line area", d: line(0) }));
  for (const at of ticks(0, end, 6, 1)) svg.append(s("text", { class: "tick", x: x(at), y: height - 8, "text-anchor": "middle" }, `${Math.round(at)} s`));
  const cursor = s("line", { class: "cursor", x1: LEFT, x2: LEFT, y1: TOP, y2: height - BOTTOM });
  svg.append(cursor);
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width * width - LEFT) / (width - LEFT - RIGHT) * end;
    onseek?.(Math.max(0, Math.min(end, at)));
  });
  const figure = h("figure", {}, h("p", { class: "key" }, h("span", { class: "area" }, "mean"), h("span", { class: "faint" }, "lowest frame")), svg,
    figures(["Second", "Mean", "Lowest frame"], points.map(([at, mean, low]) => [String(at), mean.toFixed(4), low.toFixed(4)])));
  return { figure, moveTo: (seconds) => { for (const side of ["x1", "x2"]) cursor.setAttribute(side, x(Math.min(seconds, end))); } };
}

/** What the samples came to at each level, the target, and the level that was chosen. */
export function search({ points, target, level, metric, predicted_score: predicted }) {
  const height = 200, scores = [...points.map((point) => point.score), ...(level && predicted ? [predicted] : [])];
  const range = Math.max(...scores, target) - Math.min(...scores, target) || 0.01;
  const low = Math.min(...scores, target) - range / 3, high = Math.max(...scores, target) + range / 3;
  const levels = [...points.map((point) => point.level), ...(level ? [level] : [])];
  const least = Math.floor(Math.min(...levels)), most = Math.max(Math.ceil(Math.max(...levels)), least + 1);
  const y = (value) => TOP + (1 - (value - low) / (high - low)) * (height - TOP - BOTTOM);
  const x = (at) => LEFT + (at - least) / (most - least) * (WIDTH - LEFT - RIGHT);
  const digits = metric === "VMAF" ? 1 : 3;
  const title = `${metric} of the samples by QVBR level`;
  const svg = frame({ title, height, low, high, format: (value) => value.toFixed(digits) }, y);
  svg.append(s("line", { class: "floor", x1: LEFT, x2: WIDTH - RIGHT, y1: y(target), y2: y(target) }),
    s("text", { class: "tick", x: WIDTH - RIGHT, y: y(target) + 13, "text-anchor": "end" }, `target ${target}`),
    s("path", { class: "line area", d: points.map((one, at) => `${at ? "L" : "M"}${x(one.level)},${y(one.score)}`).join("") }),
    ...points.map((one) => s("circle", { class: "dot area", cx: x(one.level), cy: y(one.score), r: 4.5 },
      s("title", {}, `Level ${one.level}: ${one.score.toFixed(digits)}, ${(one.bitrate_bps / 1e6).toFixed(2)} Mbit/s`))),
    ...ticks(least, most, 5).map((at) => s("text", { class: "tick", x: x(at), y: height - 8, "text-anchor": "middle" }, String(+at.toFixed(2)))));
  if (level && predicted) {
    const near = points.reduce((one, other) => (Math.abs(other.level - level) < Math.abs(one.level - level) ? other : one));
    svg.append(s("path", { class: "line guess", d: `M${x(near.level)},${y(near.score)}L${x(level)},${y(predicted)}` }),
      s("circle", { class: "dot guess", cx: x(level), cy: y(predicted), r: 4.5 }, s("title", {}, `Predicted for level ${+level.toFixed(2)}: ${predicted.toFixed(digits)}`)));
  }
  if (level) svg.append(s("line", { class: "chosen", x1: x(level), x2: x(level), y1: TOP, y2: height - BOTTOM }),
    s("text", { class: "tick strong", x: x(level), y: TOP + 8, "text-anchor": x(level) > WIDTH / 2 ? "end" : "start", dx: x(level) > WIDTH / 2 ? -6 : 6 }, `level ${+level.toFixed(2)}`));
  return h("figure", {}, svg, figures(["Level", metric, "Mbit/s"], points.map((one) => [String(one.level), one.score.toFixed(digits), (one.bitrate_bps / 1e6).toFixed(2)])));
}
