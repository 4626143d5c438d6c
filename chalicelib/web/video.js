// One video: what was decided and why, how it looks, what it saved, and what can be done.

import { get, post } from "./api.js";
import * as chart from "./chart.js";
import { compare } from "./compare.js";
import { h, put, say } from "./dom.js";
import { listen, soon } from "./live.js";
import { Refused } from "./net.js";
import { ask, choice, pill, progress, savedText, sizes } from "./parts.js";
import { between, day, duration, exact, moment, money, percent, size, stepName } from "./words.js";

export async function video(box, { me, rest }) {
  const id = rest[0];
  let job = await get(`jobs/${encodeURIComponent(id)}`);
  let details = await get(`jobs/${job.job_id}/details`);
  let player = null;

  async function again() {
    [job, details] = await Promise.all([get(`jobs/${job.job_id}`), get(`jobs/${job.job_id}/details`)]);
    draw();
  }

  async function act(what, body, done) {
    try {
      job = await post(`jobs/${job.job_id}/${what}`, body);
      say(done);
      await again();
      soon();
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      trouble(problem.message);
    }
  }
  const trouble = (text) => {
    const note = box.querySelector(".trouble");
    note.textContent = text;
    note.hidden = false;
  };

  async function retry() {
    const presets = [["", "The same preset"], ...me.presets.map((one) => [one, one])];
    const answer = await ask("Encode again?", h("div", {},
      h("p", {}, job.status === "Completed"
        ? "It costs another encode. What is published stays until the new result is checked; then it takes its place."
        : "A new run begins from the start. Nothing that is published is touched before the new result is checked."),
      choice("Preset", "preset", presets, "", () => {})), "Encode again");
    if (answer) await act("retry", { after_run: job.run, force: job.status === "Completed", ...(answer.preset ? { preset: answer.preset } : {}) }, "A new run is on its way");
  }
  async function cancel() {
    const answer = await ask("Cancel this video?", h("p", {}, "The encode stops and temporary files go. The original is not touched, and you can have it encoded again later."), "Cancel the video");
    if (answer) await act("cancel", {}, "Cancelled");
  }

  function draw() {
    player?.stop();
    player = details.films.original || details.films.result ? compare(details.films, { onmove: (at) => line?.moveTo(at) }) : null;
    const seconds = details.quality_by_second;
    chart.wide({ clientWidth: box.clientWidth > 900 ? box.clientWidth - 340 : box.clientWidth });
    const line = seconds ? chart.quality({ ...seconds, duration: job.file.duration_s, onseek: (at) => player?.seek(at) }) : null;
    put(box,
      h("p", { class: "crumbs" }, h("a", { href: "#/videos" }, "Videos")),
      h("div", { class: "title" },
        h("div", {}, h("h1", {}, job.file.name),
          h("p", { class: "reason" }, pill(job.status), " ", h("span", {}, job.waiting || job.reason || ""))),
        h("div", { class: "buttons" }, buttons())),
      h("p", { class: "trouble problem", role: "alert", hidden: true }),
      job.drive_copy?.problem ? h("p", { class: "problem" }, job.drive_copy.problem) : null,
      job.is_open ? h("p", { class: "going" }, progress({ ...job.progress, waiting: job.waiting })) : null,
      h("div", { class: "columns" },
        h("div", {},
          player ? player.element : job.is_open ? h("div", { class: "empty small" }, h("p", {}, "The film can be watched here once it is copied.")) : null,
          line ? card("Quality, second by second", line.figure,
            h("p", { class: "quiet" }, seconds.is_of_published ? "Measured against the original. Click the line to see that moment." : "Of the result that was refused; the original was published.")) : null,
          details.search ? card("How the setting was found", chart.search(details.search), h("p", { class: "quiet" }, searched())) : null,
          h("section", { class: "card last-card" }, h("h2", {}, "History"), history())),
        h("div", { class: "side" }, savingsCard(), planCard(), qualityCard(), fileCard())));
    document.title = `${job.file.name} – Slimreel`;
  }

  function buttons() {
    const may = me.role !== "viewer";
    return [
      job.published?.url ? h("a", { class: "button primary", href: job.published.url }, "Download") : null,
      may && !job.is_open ? h("button", { onclick: retry }, "Encode again …") : null,
      may && job.is_open ? h("button", { onclick: cancel }, "Cancel …") : null,
      job.file.url ? h("a", { class: "button", href: job.file.url, target: "_blank", rel: "noopener noreferrer" }, "Open in Drive") : null,
      job.drive_copy?.url ? h("a", { class: "button", href: job.drive_copy.url, target: "_blank", rel: "noopener noreferrer", title: job.drive_copy.name }, "Result in Drive") : null,
      details.row_url ? h("a", { class: "button", href: details.row_url, target: "_blank", rel: "noopener noreferrer" }, "Open row") : null,
      h("a", { class: "button", href: `#/pipeline/${encodeURIComponent(job.workflow)}?job=${job.job_id}` }, "Its path"),
    ];
  }

  const searched = () => {
    const { level, predicted_score: score, predicted_bytes: bytes, metric } = details.search;
    return level ? `Short samples were encoded at each level; ${+level.toFixed(2)} is the lowest that promised enough: ${metric} ${score?.toFixed(3)} and ${size(bytes)}.` : "No level promised enough.";
  };

  function savingsCard() {
    const published = job.published;
    if (!published) return null;
    return card("Saved",
      h("p", { class: "big good" }, savedText(job.file.size_bytes, published.size_bytes)),
      sizes(job.file.size_bytes, published.size_bytes),
      facts([["Smaller by", size(published.savings_bytes)], ["Encoding cost", money(job.cost_usd)], ["Run", String(published.run)]]));
  }
  function planCard() {
    if (!job.plan) return null;
    const { route, codec, qvbr_level: level, max_bitrate_bps: most } = job.plan;
    return card("The plan", h("ul", { class: "reasons" }, job.plan.reasons.map((one) => h("li", {}, one))),
      route !== "encode" ? null : facts([["Codec", CODECS[codec] || codec], ["QVBR level", level === null ? "–" : String(+level.toFixed(2))], ["At most", most === null ? "–" : `${(most / 1e6).toFixed(1)} Mbit/s`]]),
      job.plan.losses.length ? h("div", {}, h("h3", {}, "Not carried over"), h("ul", {}, job.plan.losses.map((one) => h("li", {}, one)))) : null);
  }
  function qualityCard() {
    const quality = job.quality;
    if (!quality) return null;
    return card("Quality", facts([
      ["SSIM, mean", quality.ssim_mean?.toFixed(4)],
      ["Worst 1 % of frames", quality.ssim_worst_1_percent?.toFixed(4)],
      ["Compared", percent(quality.coverage)],
      ["Measured by", quality.measured_by],
    ]));
  }
  function fileCard() {
    return card("The file", facts([
      ["Came in", moment(job.created_at)], ["Uploader", job.file.uploader || "unknown"],
      ["Length", duration(job.file.duration_s)], ["Picture", job.file.resolution || "–"],
      ["Size", size(job.file.size_bytes)], ["Workflow", job.workflow], ["Preset", job.preset || "–"],
      ["Took", job.completed_at && job.started_at ? duration(between(job.started_at, job.completed_at)) : "–"],
    ]), job.error ? h("details", {}, h("summary", {}, "For the engineer"), h("pre", {}, job.error)) : null);
  }

  function history() {
    const entries = [
      ...job.timeline.map((one, at) => ({ at: one.at, run: one.run, what: stepName(one.step === "encode" && job.timeline[at + 1]?.step === "choose" ? "sample" : one.step), end: job.timeline[at + 1]?.run === one.run ? job.timeline[at + 1].at : one.run === job.run ? job.completed_at : null })),
      ...job.requests.map((one) => ({ at: one.at, run: one.run, what: `${one.by} asked to ${one.action}${one.preset ? ` with preset ${one.preset}` : ""}`, person: true })),
      ...(job.completed_at ? [{ at: job.completed_at, run: job.run, what: `${job.status}: ${job.reason || ""}`, end: null, last: true }] : []),
    ].sort((one, other) => one.at.localeCompare(other.at));
    const runs = new Set(entries.map((one) => one.run)).size > 1;
    let dayOf = "";
    return h("ol", { class: "history" }, entries.map((one) => {
      const date = day(one.at);
      const head = date === dayOf ? null : h("li", { class: "day" }, date);
      dayOf = date;
      return [head, h("li", { class: one.person ? "person" : one.last ? "last" : "" },
        h("time", { datetime: one.at }, exact(one.at)), h("span", {}, one.what, runs ? h("small", {}, ` run ${one.run}`) : null),
        h("span", { class: "quiet" }, one.end ? duration(between(one.at, one.end)) : ""))];
    }));
  }

  draw();
  let step = job.progress.step;
  const stop = listen((now) => {
    const here = now.jobs.find((one) => one.job_id === job.job_id);
    if (here) {
      box.querySelector(".going")?.replaceChildren(progress(here));
      if (here.step !== step) again().then(() => { step = here.step; });
    } else if (job.is_open) again();
  });
  return () => { stop(); player?.stop(); };
}

const CODECS = { H_264: "H.264", H_265: "HEVC", AV1: "AV1" };
const card = (title, ...content) => h("section", { class: "card" }, h("h2", {}, title), ...content);
const facts = (rows) => h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value ?? "–")]));
