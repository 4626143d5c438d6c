// Where the nodes of a workflow go: in reading order, in as many rows as the page is wide.
//
// A branch is followed to its end before the next begins, so neighbours belong together. Ways back do
// not count, and neither do errors that nearly every step hands to the same place: those places get a
// row of their own. Where there is no room for two beside each other they stand in one column.

const TASK_WIDTH = 146, HEIGHT = 52, PADDING = 12, POINT = 13;
const GAP = 32, ARROW = 30, LINE = 16;
export const SIDE = 46; // left and right of the rows: room for lines that pass them by

/** States that most tasks hand some error to. */
function commonCatches(graph) {
  const tasks = graph.nodes.filter((node) => node.kind === "task").length;
  const caught = new Map();
  for (const edge of graph.edges) if (edge.kind === "catch") caught.set(edge.end, (caught.get(edge.end) || 0) + 1);
  return new Set([...caught].filter(([, count]) => count > tasks / 2).map(([name]) => name));
}

function reachable(graph, from, skip) {
  const seen = new Set(), waiting = [from];
  while (waiting.length) {
    const at = waiting.pop();
    if (seen.has(at) || skip.has(at)) continue;
    seen.add(at);
    for (const edge of graph.edges) if (edge.start === at) waiting.push(edge.end);
  }
  return seen;
}

/** States in reading order: each before what it leads to, circles aside, branch after branch. */
function inOrder(graph, names) {
  const seen = new Set(), order = [];
  const visit = (name) => {
    if (seen.has(name) || !names.has(name)) return;
    seen.add(name);
    const onward = graph.edges.filter((edge) => edge.start === name && edge.kind !== "catch");
    for (const edge of onward.reverse()) visit(edge.end);
    order.unshift(name);
  };
  visit(graph.start);
  for (const name of names) visit(name); // what only an error leads to
  return order;
}

/** A name on one line or two, broken where the longer one is shortest; what still does not fit is cut. */
export function inLines(name, room, measure) {
  if (measure(name) <= room) return [name];
  const words = name.split(" ");
  let best = [name], width = measure(name);
  for (let at = 1; at < words.length; at += 1) {
    const lines = [words.slice(0, at).join(" "), words.slice(at).join(" ")];
    const longest = Math.max(...lines.map(measure));
    if (longest < width) { best = lines; width = longest; }
  }
  return best.map((line) => cut(line, room, measure));
}

function cut(line, room, measure) {
  if (measure(line) <= room) return line;
  let end = line.length;
  while (end > 1 && measure(`${line.slice(0, end)}…`) > room) end -= 1;
  return `${line.slice(0, end)}…`;
}

/** How large a node is: `{ width, height, lines }`. A decision is as wide as its name. */
function sized(node, measure) {
  const room = TASK_WIDTH - 2 * PADDING;
  if (node.kind !== "choice") return { width: TASK_WIDTH, height: HEIGHT, lines: inLines(node.name, room, measure) };
  const lines = inLines(node.name, room - 2 * POINT, measure);
  return { width: Math.max(...lines.map(measure)) + 2 * (PADDING / 2 + POINT), height: lines.length > 1 ? 42 : 32, lines };
}

/**
 * `{ rows: [[place]], places: Map name → place, width, column }`, a place being `{ node, x, width,
 * height, lines, row, aside }` with `x` its centre. What is drawn between rows decides on their `y`.
 * `measure(text)` is a text's width; `label(start, end)` the text on the line between two states.
 */
export function layout(graph, width, measure, label) {
  const common = commonCatches(graph);
  const main = reachable(graph, graph.start, common);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const rows = [[]], places = new Map(), column = width < 2 * (TASK_WIDTH + SIDE) + GAP;
  let x = SIDE, widest = 0, before = null;
  const put = (node, aside) => {
    const size = sized(node, measure);
    const text = before ? label(before, node.name) : "";
    const gap = before ? Math.max(GAP, text ? measure(text) + ARROW : 0) : 0;
    if (before && (column || x + gap + size.width + SIDE > width)) { x = SIDE; before = null; rows.push([]); }
    x += before ? gap : 0;
    const place = { node, ...size, x: column ? width / 2 : x + size.width / 2, row: rows.length - 1, aside };
    places.set(node.name, place);
    rows[rows.length - 1].push(place);
    x += size.width;
    before = node.name;
    widest = Math.max(widest, x + SIDE);
  };
  for (const name of inOrder(graph, main)) put(nodes.get(name), false);
  const others = graph.nodes.filter((node) => !main.has(node.name));
  if (others.length) { x = SIDE; before = null; rows.push([]); }
  for (const node of others) put(node, true);
  return { rows, places, width: column ? width : widest, column };
}

/** Where the lines of a name stand, beside each other's middle and that of the line below them. */
export const textRows = (lines, below) =>
  lines.map((_, at) => (at - (lines.length - 1) / 2) * LINE + 5 - (below ? 8 : 0) - (below && lines.length > 1 ? 1 : 0));
