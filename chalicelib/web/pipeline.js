// The workflow, drawn from the file that runs: what is where, what failed where, and the way that
// one video took.

import { get } from "./api.js";
import { h, put, s, say } from "./dom.js";
import { CHOICE, NODE, layout, route } from "./layers.js";
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
    const drawn = layout(workflow.graph, Math.max(canvas.clientWidth - 2, 300));
    places = drawn.places; marks = new Map();
    const seen = new Map((path?.visits || []).map((visit) => [visit.state, visit]));
    const steps = new Set((path?.visits || []).slice(1).map((visit, at) => `${path.visits[at].state}→${visit.state}`));
    const svg = s("svg", { class: `flow ${path ? "past" : ""}`, viewBox: `0 0 ${drawn.width} ${drawn.height}`, width: drawn.width, height: drawn.height, role: "group", "aria-label": `The workflow ${workflow.name}` },
      s("defs", {}, arrow("arrow"), arrow("arrow-taken")));
    const lines = s("g", {}), labels = s("g", {}), boxes = s("g", {});
    merged(workflow.graph.edges).forEach((edge, lane) => {
      const taken = steps.has(`${edge.start}→${edge.end}`);
      if (edge.kind === "catch" && !taken && ![edge.start, edge.end].includes(chosen)) return; // else errors would cover everything
      const from = places.get(edge.start), to = places.get(edge.end);
      const { d, label } = route(from, to, lane, drawn.width);
      lines.append(s("path", { class: `edge ${edge.kind} ${taken ? "taken" : ""}`, d, "marker-end": `url(#${taken ? "arrow-taken" : "arrow"})` }));
      if (edge.label && edge.label !== "otherwise" && edge.kind !== "catch") labels.append(s("text", { class: "edge-label", x: label.x, y: label.y, "text-anchor": "middle" }, edge.label));
    });
    for (const place of places.values()) boxes.append(node(place, seen.get(place.node.name)));
    const aside = [...places.values()].filter((place) => place.aside);
    if (aside.length) labels.append(s("text", { class: "edge-label", x: 46, y: Math.min(...aside.map((place) => place.y)) - 38 }, "Where errors of any step lead:"));
    svg.append(lines, labels, boxes);
    canvas.replaceChildren(svg);
    count();
  }

  function node({ x, y, node: one }, visit) {
    const size = one.kind === "choice" ? CHOICE : NODE;
    const past = path ? (visit ? (visit.error ? "visited trouble" : "visited") : "missed") : "";
    const badge = s("g", { class: "badge", transform: `translate(${size.width / 2 - 6},${-size.height / 2 + 2})` }, s("circle", { r: 11 }), s("text", { "text-anchor": "middle", y: 4 }));
    const fault = s("g", { class: "badge fault", transform: `translate(${-size.width / 2 + 6},${-size.height / 2 + 2})` }, s("circle", { r: 11 }), s("text", { "text-anchor": "middle", y: 4 }));
    const shape = one.kind === "choice"
      ? s("rect", { class: "shape", x: -14, y: -14, width: 28, height: 28, rx: 5, transform: "rotate(45)" })
      : s("rect", { class: "shape", x: -size.width / 2, y: -size.height / 2, width: size.width, height: size.height, rx: one.kind === "task" ? 12 : 26 });
    const text = one.kind === "choice" ? s("text", { class: "sub", y: 36, "text-anchor": "middle" }, one.name)
      : s("text", { class: "name", y: visit ? -2 : 5, "text-anchor": "middle" }, one.name);
    const note = visit && one.kind !== "choice" ? s("text", { class: "sub", y: 16, "text-anchor": "middle" },
      visit.left_at ? duration(between(visit.entered_at, visit.left_at)) : "here now", visit.tries > 1 ? ` · ${visit.tries} tries` : "") : null;
    const group = s("g", { class: `node ${one.kind} ${past} ${chosen === one.name ? "chosen" : ""}`, transform: `translate(${x},${y})`, role: "button", tabindex: 0, "data-state": one.name,
      onclick: () => choose(one.name), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(one.name); } } },
    s("title", {}, one.about || one.name), shape, text, note, badge, fault);
    marks.set(one.name, { badge, fault, group });
    return group;
  }

  function count() {
    const here = now.counts[workflow.name] || {};
    for (const [state, { badge, fault, group }] of marks) {
      const step = stepFor.get(state);
      const many = (step && here[step]) || 0, lost = failed.filter((one) => one.ended_in === step && step).length;
      badge.classList.toggle("on", many > 0);
      badge.lastChild.textContent = many > 99 ? "99+" : String(many);
      fault.classList.toggle("on", lost > 0 && !path);
      fault.lastChild.textContent = lost > 99 ? "99+" : String(lost);
      group.classList.toggle("busy", many > 0);
      group.setAttribute("aria-label", `${state}${many ? `, ${plural(many, "video")} here` : ""}${lost ? `, ${lost} failed here lately` : ""}`);
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
const link = (job) => h("a", { href: `#/videos/${job.job_id}` }, job.file_name);
const arrow = (id) => s("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, s("path", { d: "M0,0.5 L7,4 L0,7.5 z" }));

/** Ways that differ in nothing but what decides for them, as one. */
function merged(edges) {
  const found = new Map();
  for (const edge of edges) {
    const key = `${edge.start}→${edge.end}→${edge.kind}`, known = found.get(key);
    found.set(key, known ? { ...known, label: `${known.label} or ${edge.label}` } : edge);
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
