// The workflow, drawn from the file that runs: what is where, what failed where, and the way that
// one video took.

import { get } from "./api.js";
import { h, put, s, say } from "./dom.js";
import { layout, textRows } from "./layers.js";
import { draw as drawLines } from "./lines.js";
import { listen } from "./live.js";
import { choice, pill, progress } from "./parts.js";
import { between, duration, exact, moment, plural } from "./words.js";

const MOVE_MS = 900;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const stepOf = (job) => (job.step === "encode" && job.searching ? "sample" : job.step || "waiting");

export async function pipeline(box, { rest, query }) {
  const { workflows } = await get("workflows");
  const asked = query.get("job");
  const [failures, recent, path] = await Promise.all([
    get("jobs", { status: "Failed", limit: 100 }),
    get("jobs", { limit: 50 }),
    asked ? get(`jobs/${encodeURIComponent(asked)}/path`, { run: query.get("run") }) : null,
  ]);
  const name = path?.workflow || rest[0] || (workflows.find((one) => one.name === "compress") || workflows[0]).name;
  const workflow = workflows.find((one) => one.name === name) || workflows[0];
  const failed = failures.jobs.filter((job) => job.workflow === workflow.name);
  const job = asked ? await get(`jobs/${encodeURIComponent(asked)}`) : null;
  let now = { counts: {}, jobs: [] }, places = new Map(), marks = new Map(), chosen = null;

  const canvas = h("div", { class: "canvas" });
  const side = h("aside", { class: "card side", "aria-label": "What is at this step", "aria-live": "polite" });
  const nodes = workflow.graph.nodes;
  const stateFor = stateOfStep(nodes);
  const stepFor = new Map([...stateFor].map(([step, state]) => [state, step]));

  function draw() {
    const visits = path ? withDecisions(path, workflow.graph) : [];
    const seen = new Map();
    for (const visit of visits) seen.set(visit.state, together(seen.get(visit.state), visit));
    const steps = new Set(visits.slice(1).map((visit, at) => `${visits[at].state}→${visit.state}`));
    const taken = (edge) => steps.has(`${edge.start}→${edge.end}`);
    // Errors that may come anywhere would cover everything: only those of the chosen step, and those met.
    const edges = merged(workflow.graph.edges).filter((edge) => edge.kind !== "catch" || taken(edge) || [edge.start, edge.end].includes(chosen));
    const label = (start, end) => edges.find((edge) => edge.start === start && edge.end === end)?.label || "";
    const grid = layout(workflow.graph, Math.max(canvas.clientWidth - 2, 300), textWidth("600 14px"), label);
    const { lines, height, asideY } = drawLines(grid, edges, textWidth("11.5px"));
    places = grid.places; marks = new Map();
    const texts = [];
    const svg = s("svg", { class: `flow ${path ? "past" : ""}`, viewBox: `0 0 ${grid.width} ${height}`, width: grid.width, height, role: "group", "aria-label": `The workflow ${workflow.name}` },
      s("defs", {}, arrow("arrow"), arrow("arrow-taken"), arrow("arrow-catch")));
    for (const { edge, d, label: at } of lines) {
      const end = taken(edge) ? "arrow-taken" : edge.kind === "catch" ? "arrow-catch" : "arrow";
      svg.append(s("path", { class: `edge ${edge.kind} ${taken(edge) ? "taken" : ""}`, d, "marker-end": `url(#${end})` }));
      if (at) texts.push(s("text", { class: `edge-label ${taken(edge) ? "taken" : ""}`, x: at.x, y: at.y, "text-anchor": "middle" }, edge.label));
    }
    if (asideY !== null) texts.push(s("text", { class: "edge-label", x: grid.column ? grid.width / 2 : Math.min(...grid.rows[0].map((place) => place.x - place.width / 2)), y: asideY, "text-anchor": grid.column ? "middle" : "start" }, grid.column ? "Where errors of any step lead:" : "Where errors of any step lead"));
    svg.append(...texts, ...[...places.values()].map((place) => node(place, seen.get(place.node.name))));
    canvas.replaceChildren(svg);
    count();
  }

  function node({ x, y, width, height, lines, node: one }, visit) {
    const past = path ? (visit ? (visit.error ? "visited trouble" : "visited") : "missed") : "";
    const mark = (name, side) => s("g", { class: `badge ${name}`, transform: `translate(${side * (width / 2 - 6)},${2 - height / 2})` }, s("circle", { r: 11 }), s("text", { "text-anchor": "middle", y: 4 }));
    const badge = mark("", 1), fault = mark("fault", -1);
    const shape = one.kind === "choice"
      ? s("path", { class: "shape", d: pointed(width, height) })
      : s("rect", { class: "shape", x: -width / 2, y: -height / 2, width, height, rx: one.kind === "task" ? 12 : 26 });
    const timed = visit && one.kind === "task";
    const rows = textRows(lines, timed);
    const text = lines.map((line, at) => s("text", { class: "name", y: rows[at], "text-anchor": "middle" }, `${line} `));
    const note = timed ? s("text", { class: "sub", y: rows[rows.length - 1] + 15, "text-anchor": "middle" },
      took(visit)) : null;
    const group = s("g", { class: `node ${one.kind} ${past} ${chosen === one.name ? "chosen" : ""}`, transform: `translate(${x},${y})`, role: "button", tabindex: 0, "data-state": one.name,
      onclick: () => choose(one.name), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(one.name); } } },
    s("title", {}, one.about || one.name), shape, text, note, badge, fault);
    marks.set(one.name, { badge, fault, group, said: timed ? `${one.name} ${took(visit)}` : one.name });
    return group;
  }

  function count() {
    const here = now.counts[workflow.name] || {};
    for (const [state, { badge, fault, group, said }] of marks) {
      const step = stepFor.get(state);
      const many = (step && here[step]) || 0, lost = failed.filter((one) => one.ended_in === step && step).length;
      badge.classList.toggle("on", many > 0);
      badge.lastChild.textContent = many > 99 ? "99+" : String(many);
      fault.classList.toggle("on", lost > 0 && !path);
      fault.lastChild.textContent = lost > 99 ? "99+" : String(lost);
      group.classList.toggle("busy", many > 0);
      group.setAttribute("aria-label", `${said}${many ? `, ${plural(many, "video")} here` : ""}${lost ? `, ${lost} failed here lately` : ""}`);
    }
  }

  function choose(state) {
    const focused = document.activeElement?.dataset?.state;
    chosen = state;
    draw();
    if (focused) marks.get(focused)?.group.focus();
    tell();
  }

  function tell() {
    if (!chosen) {
      put(side, h("h2", {}, path ? "The way it took" : "What is going on"), path ? way() : overview());
      return;
    }
    const one = nodes.find((node) => node.name === chosen), step = stepFor.get(chosen);
    const here = now.jobs.filter((job) => job.workflow === workflow.name && stepOf(job) === step);
    const lost = failed.filter((job) => step && job.ended_in === step).slice(0, 8);
    put(side,
      h("button", { class: "plain close", "aria-label": "Back to the overview", onclick: () => { chosen = null; choose(null); } }, "×"),
      h("h2", {}, one.name), h("p", {}, one.about || kinds[one.kind] || ""),
      one.waits ? h("p", { class: "quiet" }, "It waits here until it is told to go on.") : null,
      step ? h("h3", {}, here.length ? `${plural(here.length, "video")} here` : "Nothing here right now") : null,
      h("ul", { class: "jobs" }, here.map((job) => h("li", {}, link(job), progress(job)))),
      lost.length ? [h("h3", {}, "Failed here lately"), h("ul", { class: "jobs" }, lost.map((job) => h("li", {}, link(job), h("span", { class: "quiet" }, job.reason || ""))))] : null,
      path ? visitsHere() : null);
  }

  const visitsHere = () => h("ul", { class: "jobs" }, path.visits.filter((visit) => visit.state === chosen).map((visit) =>
    h("li", {}, `${exact(visit.entered_at)}, ${visit.left_at ? duration(between(visit.entered_at, visit.left_at)) : "still here"}`,
      visit.tries > 1 ? `, ${visit.tries} tries` : "", visit.error ? h("span", { class: "problem" }, ` ${visit.error}`) : "")));

  function overview() {
    const open = now.jobs.filter((job) => job.workflow === workflow.name);
    return h("div", {},
      h("p", { class: "quiet" }, workflow.about || ""),
      open.length ? h("ul", { class: "jobs" }, open.slice(0, 12).map((job) => h("li", {}, link(job), progress(job))))
        : h("p", {}, "Nothing is under way. Drop a video into the watched folder and see it travel."),
      h("p", { class: "quiet" }, "Choose a step to see what is there and what failed."));
  }

  function way() {
    const total = path.visits.length && path.visits[path.visits.length - 1].left_at ? between(path.visits[0].entered_at, path.visits[path.visits.length - 1].left_at) : null;
    return h("div", {},
      job ? h("p", {}, link({ job_id: job.job_id, file_name: job.file.name }), " ", pill(job.status)) : null,
      h("p", { class: "quiet" }, total === null ? "Not over yet." : `${duration(total)} in all.`, " ",
        path.told_by === "record" ? "The execution itself is forgotten; this is what the record says." : ""),
      h("ol", { class: "visits" }, path.visits.filter((visit) => nodes.find((one) => one.name === visit.state)?.kind !== "choice").map((visit) =>
        h("li", { class: visit.error ? "trouble" : "" }, h("span", {}, visit.state, visit.tries > 1 ? h("small", {}, ` ${visit.tries} tries`) : null),
          h("span", { class: "quiet" }, visit.left_at ? duration(between(visit.entered_at, visit.left_at)) : "here now")))),
      h("p", {}, h("a", { href: `#/pipeline/${encodeURIComponent(workflow.name)}` }, "Back to what goes on now")));
  }

  /** A dot that goes from one step to the next. */
  function move(job, from, to) {
    const a = places.get(stateFor.get(from)), b = places.get(stateFor.get(to));
    if (!a || !b || calm.matches || path) return;
    const dot = s("circle", { class: "mover", r: 6, cx: a.x, cy: a.y });
    canvas.firstChild?.append(dot);
    const going = dot.animate([{ transform: "translate(0,0)" }, { transform: `translate(${b.x - a.x}px,${b.y - a.y}px)` }], { duration: MOVE_MS, easing: "ease-in-out" });
    going.onfinish = () => dot.remove();
  }

  const runs = job ? Array.from({ length: job.run }, (_, at) => [String(at + 1), `Run ${at + 1}`]) : [];
  const open = (id, run) => { location.hash = id ? `#/pipeline/${encodeURIComponent(workflow.name)}?job=${id}${run ? `&run=${run}` : ""}` : `#/pipeline/${encodeURIComponent(workflow.name)}`; };
  const known = recent.jobs.some((one) => one.job_id === asked) || !job ? [] : [[job.job_id, job.file.name]];
  box.append(
    h("div", { class: "title" }, h("h1", {}, "Pipeline"),
      h("div", { class: "picks" },
        choice("Workflow", "workflow", workflows.map((one) => [one.name, one.name]), workflow.name, (value) => { location.hash = `#/pipeline/${encodeURIComponent(value)}`; }),
        choice("Show", "job", [["", "What goes on now"], ...known, ...recent.jobs.filter((one) => one.workflow === workflow.name).map((one) => [one.job_id, `${one.file_name} · ${moment(one.created_at)}`])], asked || "", (value) => open(value)),
        runs.length > 1 ? choice("Run", "run", runs, String(path.run), (value) => open(asked, value)) : null)),
    h("div", { class: "board" }, canvas, side));
  draw();
  tell();
  const watcher = new ResizeObserver(() => { if (Math.abs(canvas.clientWidth - watcher.width) > 8) { watcher.width = canvas.clientWidth; draw(); } });
  watcher.width = canvas.clientWidth;
  watcher.observe(canvas);
  const stop = listen((news, before) => {
    if (news === now) return; // drawn already, and drawing again would take the focus away
    const were = new Map(before.jobs.map((one) => [one.job_id, stepOf(one)]));
    now = news;
    for (const one of news.jobs) {
      const was = were.get(one.job_id);
      if (one.workflow === workflow.name && was && was !== stepOf(one)) { move(one, was, stepOf(one)); say(`${one.file_name}: ${stepOf(one)}`); }
    }
    count();
    if (!path || chosen) tell();
  });
  return () => { stop(); watcher.disconnect(); };
}

const kinds = { choice: "Decides by what is known so far.", succeed: "The end.", fail: "The end of what went wrong.", wait: "Waits a while.", pass: "Hands on." };

/** All visits of a state as one: how often, how long in all, and what went wrong at last. */
const together = (known, visit) => ({
  times: (known?.times || 0) + 1, tries: Math.max(known?.tries || 1, visit.tries || 1), error: visit.error || known?.error || null,
  seconds: visit.left_at ? (known?.seconds || 0) + between(visit.entered_at, visit.left_at) : null,
});
const took = (visit) => [visit.times > 1 ? `${visit.times} ×` : null, visit.seconds === null ? "here now" : duration(visit.seconds),
  visit.tries > 1 ? `${visit.tries} tries` : null].filter(Boolean).join(" · ");
const link = (job) => h("a", { href: `#/videos/${job.job_id}` }, job.file_name);
const arrow = (id) => s("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, s("path", { d: "M0,0.5 L7,4 L0,7.5 z" }));

/** The outline of a decision: a box that is pointed left and right. */
const pointed = (width, height) => `M${-width / 2},0 L${12 - width / 2},${-height / 2} H${width / 2 - 12} L${width / 2},0 L${width / 2 - 12},${height / 2} H${12 - width / 2} z`;

/** A record names the tasks only: between two of them are the decisions that lead from one to the other. */
function withDecisions({ visits, told_by: source }, { nodes, edges }) {
  if (source !== "record") return visits;
  const kinds = new Map(nodes.map((one) => [one.name, one.kind]));
  const between = (from, isEnd) => {
    const ways = [[from]];
    for (const way of ways) {
      for (const edge of edges.filter((one) => one.start === way[way.length - 1] && one.kind !== "catch")) {
        if (isEnd(edge.end)) return [...way.slice(1), edge.end];
        if (kinds.get(edge.end) === "choice" && !way.includes(edge.end)) ways.push([...way, edge.end]);
      }
    }
    return null;
  };
  const found = visits.flatMap((visit, at) => {
    const way = at ? between(visits[at - 1].state, (name) => name === visit.state) : null;
    return [...(way || []).slice(0, -1).map((state) => ({ state, entered_at: visit.entered_at, left_at: visit.entered_at })), visit];
  });
  const last = visits[visits.length - 1];
  const ends = last?.left_at ? between(last.state, (name) => ["succeed", "fail"].includes(kinds.get(name))) : null;
  return [...found, ...(ends || []).map((state) => ({ state, entered_at: last.left_at, left_at: last.left_at }))];
}

/** How wide a text becomes in the page's own type. */
function textWidth(font) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  return (text) => pen.measureText(text).width;
}

/** Ways that differ in nothing but what decides for them, as one; "otherwise" goes without saying. */
function merged(edges) {
  const found = new Map();
  for (const given of edges) {
    const edge = { ...given, label: given.kind === "catch" || given.label === "otherwise" ? "" : given.label };
    const key = `${edge.start}→${edge.end}→${edge.kind}`, known = found.get(key);
    found.set(key, known ? { ...known, label: [known.label, edge.label].filter(Boolean).join(" or ") } : edge);
  }
  return [...found.values()];
}

/** The state in which a step is at work. Where two run the same function, the first tries samples. */
function stateOfStep(nodes) {
  const found = new Map();
  for (const node of nodes) {
    if (!node.step) continue;
    if (found.has(node.step)) found.set("sample", found.get(node.step));
    found.set(node.step, node.name);
  }
  return found;
}
