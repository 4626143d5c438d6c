// What all of it came to: bytes and money, by workflow, preset and uploader, and what went wrong.

import { get } from "./api.js";
import { bars, lines, wide } from "./chart.js";
import { h } from "./dom.js";
import { choice } from "./parts.js";
import { money, percent, plural, size } from "./words.js";

const RANGES = [["30", "30 days"], ["90", "90 days"], ["365", "A year"]];
const FEWEST_DAYS = 7;
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

export async function savings(box, { query }) {
  const days = RANGES.some(([value]) => value === query.get("days")) ? query.get("days") : "90";
  const told = await get("savings", { days });
  const { total } = told;
  const pick = choice("Time", "days", RANGES, days, (value) => { location.hash = `#/savings?days=${value}`; });
  box.append(h("div", { class: "title" }, h("h1", {}, "Savings"), h("div", { class: "picks" }, pick)));
  if (!total.jobs) {
    box.append(h("div", { class: "empty" }, h("h2", {}, "Nothing to count yet"),
      h("p", {}, "As soon as a first video has ended, this page says what it saved. Nothing ended in this time."),
      h("p", {}, h("a", { href: "#/videos" }, "See all videos"))));
    return;
  }
  wide(box);
  // Weeks before the first video would press everything that happened against the edge.
  const first = told.days.findIndex((one) => one.jobs > 0);
  const shown = told.days.slice(Math.max(0, Math.min(first - 1, told.days.length - FEWEST_DAYS)));
  const labels = shown.map((one) => SHORT.format(new Date(one.day)));
  const series = (name, key, kind) => ({ name, values: shown.map((one) => one[key]), kind });
  const monthly = total.originals_usd_per_month - total.published_usd_per_month;
  const failed = total.statuses.Failed || 0;
  box.append(
    h("div", { class: "tiles" },
      tile(size(total.saved_bytes), "saved", total.source_bytes ? `${percent(total.saved_bytes / total.source_bytes)} of ${size(total.source_bytes)}` : ""),
      tile(money(monthly), "less for storage, each month", `storing the originals would cost ${money(total.originals_usd_per_month)}, the results cost ${money(total.published_usd_per_month)}`),
      tile(money(total.cost_usd), "spent on encoding", pays(total.cost_usd, monthly)),
      tile(String(total.jobs), total.jobs === 1 ? "run ended" : "runs ended", `${failed || "none"} failed; a video that is tried again counts again`)),
    card("Bytes saved", lines({ title: "Bytes saved, added up", labels, format: size, series: [series("saved", "saved_bytes_so_far", "area")] })),
    card("Money", lines({ title: "Money, added up: what storing the originals would have cost, and what was spent instead", labels, format: money, series: [
      series("storing the originals would have cost", "originals_usd_so_far", "faint"),
      series("storing the results, and encoding, did cost", "spent_usd_so_far", "area")] }),
      h("p", { class: "quiet" }, `S3 Standard at $${told.prices.storage_usd_per_gib_month} a GiB and month, prices of ${told.prices.as_of}. Estimates: check your own bill.`)),
    card("What came in, and what is kept", lines({ title: "Bytes each day: originals and what is published", labels, format: size, series: [
      series("originals", "source_bytes", "faint"), series("published", "published_bytes", "area")] })),
    h("div", { class: "thirds" },
      part("By workflow", told.by_workflow, "unknown"), part("By preset", told.by_preset, "none"), part("By uploader", told.by_uploader, "unknown")),
    h("div", { class: "thirds halves" },
      causes("Failed because", told.failed_because, "Nothing failed in this time.", "bad"),
      causes("Kept the original because", told.kept_because, "Every result was worth having.", "")));
}

const card = (title, ...content) => h("section", { class: "card" }, h("h2", {}, title), ...content);
const tile = (figure, what, note) => h("div", { class: "tile card" }, h("strong", {}, figure), h("span", {}, what), h("small", {}, note));

function pays(cost, monthly) {
  if (!(monthly > 0)) return "";
  const months = cost / monthly;
  return months < 1 ? "storage pays for it within a month" : `storage pays for it in ${months.toFixed(months < 10 ? 1 : 0)} months`;
}

const part = (title, rows, nobody) => card(title, bars(rows.map((row) => ({
  name: row.name === null ? "all others" : row.name || nobody,
  value: Math.max(0, row.saved_bytes), text: size(row.saved_bytes),
  note: `${plural(row.jobs, "run")}${row.source_bytes ? `, ${percent(row.saved_bytes / row.source_bytes)}` : ""}`,
})), { title }));

const causes = (title, rows, none, tone) => card(title, rows.length
  ? bars(rows.map((row) => ({ name: row.cause || "no reason given", value: row.jobs, text: String(row.jobs), tone })), { title })
  : h("p", { class: "quiet" }, none));
