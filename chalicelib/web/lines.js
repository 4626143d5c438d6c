// The lines between the nodes of a workflow. They run in the channels above and below rows, each on a
// track of its own, leave a node at a place of their own, and say their text where nothing else is. In a
// single column they run beside it instead: down on the right, back up on the left.

import { SIDE } from "./layers.js";

const PORT = 13, TRACK = 15, EDGE = 20, AIR = 14, TOP = 30, CORNER = 8, TEXT = 12, COLUMN_GAP = 36;

/**
 * Give every place its `y` and every edge its line.
 * `{ height, lines: [{ edge, d, label: { x, y } | null }], asideY }`; edges are `{ start, end, label }`.
 */
export function draw({ rows, places, width, column }, edges, measure) {
  if (column) return drawColumn({ rows, places, width }, edges, measure);
  const ways = edges.map((edge) => way(edge, places.get(edge.start), places.get(edge.end), rows));
  spreadPorts(ways);
  const sides = spreadSides(ways, width);
  for (const one of ways) one.hops = hops(one, sides);
  const tracks = rows.map(() => []).concat([[]]);
  for (const hop of ways.flatMap((one) => one.hops).sort((a, b) => a.left - b.left || a.right - b.right)) takeTrack(tracks[hop.channel], hop);
  const { channelY, height } = stack(rows, tracks);
  const drawn = ways.map((one) => ({ edge: one.edge, points: points(one, (hop) => channelY[hop.channel] + EDGE + hop.track * TRACK), plain: one.plain }));
  // Lines come to that row from above: its text stands below.
  const asideY = rows.some((row) => row[0].aside) ? height - 2 : null;
  return { height: height + 10, asideY, lines: labelled(drawn, places, measure) };
}

function drawColumn({ rows, places, width }, edges, measure) {
  const { height, asideY } = stack(rows, rows.map(() => []).concat([[]]), COLUMN_GAP);
  const ways = edges.map((edge) => ({ edge, from: places.get(edge.start), to: places.get(edge.end) }));
  const straight = (one) => one.to.row === one.from.row + 1 && !one.to.aside === !one.from.aside;
  const middle = width / 2;
  for (const down of [true, false]) {
    const passing = ways.filter((one) => !straight(one) && one.to.row > one.from.row === down);
    const widest = Math.max(...[...places.values()].map((place) => place.width));
    // The shorter a way, the nearer it keeps.
    passing.sort((a, b) => Math.abs(a.to.row - a.from.row) - Math.abs(b.to.row - b.from.row));
    const step = Math.min(14, (middle - widest / 2 - 24) / passing.length);
    passing.forEach((one, at) => { one.lane = middle + (down ? 1 : -1) * (widest / 2 + 18 + at * step); });
  }
  const drawn = ways.map((one) => {
    const { edge, from, to, lane } = one;
    if (straight(one)) return { edge, plain: true, points: [[middle, from.y + from.height / 2], [middle, to.y - to.height / 2]] };
    const side = Math.sign(lane - middle), out = from.y + 7 * side, into = to.y - 7 * side;
    return { edge, points: [[middle + side * from.width / 2, out], [lane, out], [lane, into], [middle + side * to.width / 2, into]] };
  });
  return { height, asideY, lines: labelled(drawn, places, measure) };
}

function labelled(drawn, places, measure) {
  const taken = [...places.values()].map((place) => box(place.x, place.y, place.width + 4, place.height + 4));
  for (const one of drawn) one.label = one.edge.label ? spot(one, drawn, taken, measure(one.edge.label)) : null;
  return drawn.map(({ edge, points: found, label }) => ({ edge, label, d: bent(found) }));
}

/** Which sides of its ends a line uses: below or above, straight, or round the rows between. */
function way(edge, from, to, rows) {
  const row = rows[from.row], next = row[row.indexOf(from) + 1];
  if (next === to) return { edge, from, to, plain: true };
  if (from === to) return { edge, from, to, out: "top", into: "top" };
  if (from.row === to.row) return to.x > from.x ? { edge, from, to, out: "top", into: "top" } : { edge, from, to, out: "bottom", into: "bottom" };
  return to.row > from.row ? { edge, from, to, out: "bottom", into: "top" } : { edge, from, to, out: "top", into: "bottom" };
}

/** Lines that share a side of a node leave it beside each other, in the order of where they go. */
function spreadPorts(ways) {
  const shared = new Map();
  for (const one of ways.filter((each) => !each.plain)) {
    for (const [key, here, there] of [["out", one.from, one.to], ["into", one.to, one.from]]) {
      const name = `${here.node.name}/${one[key]}`;
      if (!shared.has(name)) shared.set(name, []);
      shared.get(name).push({ here, toward: there.x + (key === "out" ? 0.1 : 0), set: (x) => { one[`${key}X`] = x; }, side: one[key] });
    }
  }
  for (const ends of shared.values()) {
    ends.sort((a, b) => a.toward - b.toward);
    const step = Math.min(PORT, (ends[0].here.width - 30) / Math.max(1, ends.length - 1));
    // Half a step between the two sides: a line down and a line up need never be one.
    ends.forEach((end, at) => end.set(end.here.x + (at - (ends.length - 1) / 2) * step + (end.side === "top" ? PORT / 4 : -PORT / 4)));
  }
}

/** A lane beside the rows for each line that passes some: down on the right, up on the left. */
function spreadSides(ways, width) {
  const sides = new Map();
  for (const down of [true, false]) {
    const passing = ways.filter((one) => !one.plain && (down ? one.to.row - one.from.row : one.from.row - one.to.row) > 1);
    const step = Math.min(10, (SIDE - 20) / Math.max(1, passing.length - 1));
    passing.forEach((one, at) => sides.set(one, down ? width - SIDE + 14 + at * step : SIDE - 14 - at * step));
  }
  return sides;
}

/** The level stretches of a line, each with the channel it runs in; channel n is above row n. */
function hops(one, sides) {
  if (one.plain) return [];
  const first = one.from.row + (one.out === "bottom" ? 1 : 0), last = one.to.row + (one.into === "bottom" ? 1 : 0);
  const hop = (channel, a, b) => ({ channel, a, b, left: Math.min(a, b), right: Math.max(a, b), track: 0 });
  if (!sides.has(one)) return [hop(first, one.outX, one.intoX)];
  return [hop(first, one.outX, sides.get(one)), hop(last, sides.get(one), one.intoX)];
}

function takeTrack(tracks, hop) {
  let at = tracks.findIndex((held) => held.every((other) => other.right + AIR < hop.left || hop.right + AIR < other.left));
  if (at < 0) at = tracks.push([]) - 1;
  tracks[at].push(hop);
  hop.track = at;
}

/** Rows one below the other, with as much between as the lines there need. */
function stack(rows, tracks, gap = EDGE * 1.5) {
  const channelY = [];
  let y = 0, asideY = null;
  rows.forEach((row, at) => {
    channelY[at] = y;
    const lanes = tracks[at].length, begins = row[0]?.aside && !rows[at - 1]?.[0]?.aside;
    y += lanes ? 2 * EDGE + (lanes - 1) * TRACK : at ? gap : TOP;
    if (begins) { asideY = y + TOP; y += TOP + 16; }
    const height = Math.max(...row.map((place) => place.height));
    for (const place of row) place.y = y + height / 2;
    y += height;
  });
  const lanes = tracks[rows.length].length;
  channelY[rows.length] = y;
  return { channelY, asideY, height: y + (lanes ? 2 * EDGE + (lanes - 1) * TRACK : TOP) };
}

function points(one, yOf) {
  const { from, to } = one;
  if (one.plain) return [[from.x + from.width / 2, from.y], [to.x - to.width / 2, to.y]];
  const found = [[one.outX, from.y + (one.out === "bottom" ? 1 : -1) * from.height / 2]];
  for (const hop of one.hops) found.push([hop.a, yOf(hop)], [hop.b, yOf(hop)]);
  found.push([one.intoX, to.y + (one.into === "bottom" ? 1 : -1) * to.height / 2]);
  return found;
}

const box = (x, y, width, height) => ({ left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 });
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** The place nearest to where a line begins at which its text covers no node, text or other line. */
function spot(one, all, taken, width) {
  const stretches = one.points.slice(1).map((end, at) => [one.points[at], end]).filter(([a, b]) => a[1] === b[1]);
  const others = all.filter((each) => each !== one).flatMap((each) => each.points.slice(1).map((end, at) => [each.points[at], end]))
    .map(([a, b]) => ({ left: Math.min(a[0], b[0]) - 1, right: Math.max(a[0], b[0]) + 1, top: Math.min(a[1], b[1]) - 1, bottom: Math.max(a[1], b[1]) + 1 }));
  let best = null;
  const [first, second] = one.points;
  if (one.plain && first[0] === second[0]) { // straight down
    taken.push(box(first[0] + 8 + width / 2, (first[1] + second[1]) / 2 - 3, width, TEXT));
    return { x: first[0] + 8 + width / 2, y: (first[1] + second[1]) / 2 + 1 };
  }
  stretches.forEach(([a, b], nth) => {
    const toward = Math.sign(b[0] - a[0]) || 1, length = Math.abs(b[0] - a[0]);
    const begin = one.plain ? length / 2 - 3 : Math.min(length / 2, width / 2 + CORNER);
    for (let along = begin; along <= Math.max(begin, length - width / 2 - (one.plain ? 0 : CORNER)); along += 8) {
      for (const above of [-TEXT / 2 - 2, TEXT / 2 + 3]) {
        const place = box(a[0] + toward * along, a[1] + above, width, TEXT);
        const cost = 100 * taken.filter((held) => meet(held, place)).length + 10 * others.filter((line) => meet(line, place)).length + 15 * nth + along / 1000 + (above > 0 ? 1 : 0);
        if (!best || cost < best.cost) best = { cost, place };
      }
    }
  });
  const { place } = best;
  taken.push(place);
  return { x: (place.left + place.right) / 2, y: place.bottom - 2 };
}

/** A way along corners, each a little rounded. */
function bent(given) {
  let d = `M${given[0]}`;
  for (let at = 1; at < given.length - 1; at += 1) {
    const [px, py] = given[at - 1], [x, y] = given[at], [nx, ny] = given[at + 1];
    const before = Math.hypot(x - px, y - py), after = Math.hypot(nx - x, ny - y);
    const r = Math.min(CORNER, before / 2, after / 2);
    if (r < 0.5) { d += ` L${x},${y}`; continue; }
    d += ` L${x - (x - px) / before * r},${y - (y - py) / before * r} Q${x},${y} ${x + (nx - x) / after * r},${y + (ny - y) / after * r}`;
  }
  return `${d} L${given[given.length - 1]}`;
}
