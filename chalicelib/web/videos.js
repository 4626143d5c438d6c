// All videos: search, filter, sort, pages; those under way move by themselves.

import { get } from "./api.js";
import { h, say } from "./dom.js";
import { listen } from "./live.js";
import { STATUSES, choice, pill, progress, saved, savedText, sizes } from "./parts.js";
import { moment, plural } from "./words.js";

const FILTERS = ["search", "status", "workflow", "uploader", "since", "until", "min_saved_percent", "sort"];
const SORTS = [["", "Newest first"], ["oldest", "Oldest first"], ["largest", "Largest original"], ["most_saved", "Most saved"]];
const SAVINGS = [["", "Any"], ["25", "25 % or more"], ["50", "50 % or more"], ["75", "75 % or more"], ["90", "90 % or more"]];
const PATIENCE_MS = 300;

export async function videos(box, { me, query }) {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) || ""]));
  let before = []; // page tokens that lead back
  let token = null, shown = [], loading = 0;
  const body = h("div", { class: "results" });
  const count = h("p", { class: "quiet", role: "status" });

  const go = () => {
    const given = FILTERS.filter((name) => wanted[name]).map((name) => [name, wanted[name]]);
    const hash = given.length ? `#/videos?${new URLSearchParams(given)}` : "#/videos";
    history.replaceState(null, "", hash);
    before = []; token = null;
    return load();
  };
  const set = (name) => (value) => { wanted[name] = value; go(); };
  let typing = null;
  const typed = (name) => (event) => {
    wanted[name] = event.target.value.trim();
    clearTimeout(typing);
    typing = setTimeout(go, PATIENCE_MS);
  };

  async function load() {
    const mine = (loading += 1);
    const answer = await get("jobs", { ...wanted, page: token });
    if (mine !== loading) return;
    shown = answer.jobs;
    draw(answer.next_page);
  }

  function draw(next) {
    const filtered = FILTERS.some((name) => name !== "sort" && wanted[name]);
    if (!shown.length && !next && !before.length) {
      count.textContent = "";
      body.replaceChildren(filtered ? nothingFits() : nothingYet());
      return;
    }
    count.textContent = shown.length ? `${plural(shown.length, "video")} on this page` : "None of the videos looked through fits; there are more.";
    body.replaceChildren(
      h("table", { class: "videos" },
        h("caption", { class: "hidden" }, "Videos"),
        h("thead", {}, h("tr", {}, ["Video", "Status", "Size", "Saved", "Came in"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, shown.map(row))),
      !before.length && !next ? "" : h("nav", { class: "pages", "aria-label": "Pages of the list" },
        h("button", { disabled: !before.length, onclick: () => { token = before.pop(); turn(); } }, "Back"),
        h("button", { disabled: !next, onclick: () => { before.push(token); token = next; turn(); } }, "Next")));
  }

  async function turn() {
    await load();
    window.scrollTo({ top: 0 });
    say("Page turned");
  }

  const clear = () => { for (const name of FILTERS) wanted[name] = ""; go(); form.reset(); };
  const nothingFits = () => h("div", { class: "empty" }, h("h2", {}, "No video fits"),
    h("p", {}, "Search finds the beginnings of words in a file's name, such as “scene 4”."),
    h("button", { onclick: clear }, "Show all videos"));
  const nothingYet = () => h("div", { class: "empty" }, h("h2", {}, "Nothing here yet"),
    h("p", {}, "Drop a video into the Drive folder that Slimreel watches. It appears here within seconds, and its result a while later."),
    h("p", { class: "quiet" }, "On your own machine that folder is ./drive/."));

  const form = h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); go(); } },
    h("label", { class: "field wide" }, h("span", {}, "Search"),
      h("input", { type: "search", name: "search", placeholder: "Words of a file's name", value: wanted.search, oninput: typed("search") })),
    choice("Status", "status", [["", "Any"], ...STATUSES.map((one) => [one, one])], wanted.status, set("status")),
    choice("Sort", "sort", SORTS, wanted.sort, set("sort")),
    h("details", { class: "more", open: ["workflow", "uploader", "since", "until", "min_saved_percent"].some((name) => wanted[name]) },
      h("summary", {}, "More filters"),
      h("div", {},
        choice("Workflow", "workflow", [["", "Any"], ...me.workflows.map((one) => [one, one])], wanted.workflow, set("workflow")),
        h("label", { class: "field" }, h("span", {}, "Uploader"), h("input", { name: "uploader", value: wanted.uploader, oninput: typed("uploader"), placeholder: "Whole name" })),
        h("label", { class: "field" }, h("span", {}, "From"), h("input", { type: "date", name: "since", value: wanted.since, onchange: typed("since") })),
        h("label", { class: "field" }, h("span", {}, "Until"), h("input", { type: "date", name: "until", value: wanted.until, onchange: typed("until") })),
        choice("Saved", "min_saved_percent", SAVINGS, wanted.min_saved_percent, set("min_saved_percent")))));

  box.append(h("h1", {}, "Videos"), form, count, body);
  await load();

  return listen((now, then) => {
    const open = new Map(now.jobs.map((job) => [job.job_id, job]));
    for (const cell of body.querySelectorAll("td[data-job]")) {
      const job = open.get(cell.dataset.job);
      if (job) cell.replaceChildren(pill(job.status), progress(job));
    }
    const ended = then.jobs.some((job) => !open.has(job.job_id));
    const known = new Set([...shown.map((job) => job.job_id), ...then.jobs.map((job) => job.job_id)]);
    const isNews = then.newest !== undefined && now.newest !== then.newest;
    if (now !== then && (ended || isNews || now.jobs.some((job) => !known.has(job.job_id)))) load();
  });
}

function row(job) {
  const ratio = saved(job.size_bytes, job.published_size_bytes);
  return h("tr", {},
    h("td", { class: "name" },
      h("a", { href: `#/videos/${job.job_id}` }, job.file_name),
      h("span", { class: "quiet" }, [job.uploader, job.workflow].filter(Boolean).join(" · "))),
    h("td", { "data-label": "Status", "data-job": job.is_open ? job.job_id : null }, pill(job.status)),
    h("td", { "data-label": "Size" }, sizes(job.size_bytes, job.published_size_bytes)),
    h("td", { "data-label": "Saved", class: ratio > 0 ? "figure good" : "figure" }, savedText(job.size_bytes, job.published_size_bytes)),
    h("td", { "data-label": "Came in", class: "quiet" }, h("time", { datetime: job.created_at }, moment(job.created_at))));
}
