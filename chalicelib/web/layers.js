// Where the nodes of a workflow go: in reading order, in as many rows as the page is wide.
//
// A branch is followed to its end before the next begins, so neighbours belong together. Ways back do
// not count, and neither do errors that nearly every step hands to the same place: those places get a
// row of their own.

export const NODE = { width: 146, height: 50 };
export const CHOICE = { width: 40, height: 40 };
const GAP = 30, AFTER_CHOICE = 58, ROW = 136, MARGIN = 46;

/** States that most tasks hand some error to. */
export function commonCatches(graph) {
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

const sizeOf = (node) => (node.kind === "choice" ? CHOICE : NODE);

/** `{ places: Map name → {x, y, row, node}, width, height, common }`; x and y are centres. */
export function layout(graph, width) {
  const common = commonCatches(graph);
  const main = reachable(graph, graph.start, common);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const places = new Map();
  let x = MARGIN, row = 0, widest = 0;
  const put = (node, extra) => {
    const { width: own } = sizeOf(node);
    if (x > MARGIN && x + own + MARGIN > width) { x = MARGIN; row += 1; }
    places.set(node.name, { x: x + own / 2, y: 64 + extra + row * ROW, row, node, aside: extra > 0 });
    x += own + (node.kind === "choice" ? AFTER_CHOICE : GAP);
    widest = Math.max(widest, x - GAP + MARGIN);
  };
  for (const name of inOrder(graph, main)) put(nodes.get(name), 0);
  row += 1; x = MARGIN;
  for (const node of graph.nodes) if (!main.has(node.name)) put(node, 14);
  const last = Math.max(...[...places.values()].map((place) => place.y));
  return { places, width: Math.max(widest, Math.min(width, 320)), height: last + 56, common, nodes };
}

/**
 * The drawn line of an edge between two places, never through a third: `{ d, label: {x, y} }`.
 * `lane` keeps lines that share a gap between rows apart.
 */
export function route(from, to, lane, width) {
  const a = sizeOf(from.node), b = sizeOf(to.node);
  const shift = (lane % 4) * 6, top = from.y - a.height / 2, bottom = from.y + a.height / 2;
  if (from === to) return { d: `M${from.x + 14},${top} c 8,-26 -36,-26 -28,0`, label: { x: from.x, y: top - 24 } };
  const right = from.x + a.width / 2, left = to.x - b.width / 2;
  if (from.row === to.row && to.x > from.x && left - right <= AFTER_CHOICE + 2) {
    return { d: `M${right},${from.y} L${left},${to.y}`, label: { x: (right + left) / 2 - 3, y: from.y - 8 } };
  }
  const above = (place, size) => place.y - size.height / 2 - 20 - shift;
  const below = (place) => place.y + 43 + shift;
  const label = (y) => ({ x: from.x + (to.x > from.x ? 26 : -26), y: y - 5 });
  if (from.row === to.row && to.x > from.x) {
    const y = above(from, a);
    return { d: bent([[from.x, top], [from.x, y], [to.x - 12, y], [to.x - 12, to.y - b.height / 2]]), label: label(y) };
  }
  if (from.row === to.row) {
    const y = below(from);
    return { d: bent([[from.x - 8, bottom], [from.x - 8, y], [to.x + 12, y], [to.x + 12, to.y + b.height / 2]]), label: label(y) };
  }
  const end = to.y - b.height / 2;
  if (to.row === from.row + 1) {
    const y = above(to, b);
    return { d: bent([[from.x + 8, bottom], [from.x + 8, y], [to.x, y], [to.x, end]]), label: label(y) };
  }
  if (to.row > from.row) {
    const side = width - 14 - shift, y = below(from), over = above(to, b);
    return { d: bent([[from.x + 8, bottom], [from.x + 8, y], [side, y], [side, over], [to.x + 12, over], [to.x + 12, end]]), label: { x: from.x + 34, y: y - 5 } };
  }
  const start = above(from, a), foot = to.y + b.height / 2;
  if (to.row === from.row - 1) {
    return { d: bent([[from.x - 8, top], [from.x - 8, start], [to.x + 12, start], [to.x + 12, foot]]), label: label(start) };
  }
  const side = 12 + shift, under = below(to);
  return { d: bent([[from.x - 8, top], [from.x - 8, start], [side, start], [side, under], [to.x + 12, under], [to.x + 12, foot]]), label: { x: from.x - 40, y: start - 5 } };
}

/** A way along corners, each a little rounded. */
function bent(points, radius = 9) {
  let d = `M${points[0]}`;
  for (let at = 1; at < points.length - 1; at += 1) {
    const [px, py] = points[at - 1], [x, y] = points[at], [nx, ny] = points[at + 1];
    const before = Math.hypot(x - px, y - py), after = Math.hypot(nx - x, ny - y);
    const r = Math.min(radius, before / 2, after / 2);
    if (r < 0.5) { d += ` L${x},${y}`; continue; }
    d += ` L${x - (x - px) / before * r},${y - (y - py) / before * r} Q${x},${y} ${x + (nx - x) / after * r},${y + (ny - y) / after * r}`;
  }
  return `${d} L${points[points.length - 1]}`;
}
