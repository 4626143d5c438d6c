// Figures as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `93_300_000` is `93.3 MB`. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let value = Math.abs(bytes), unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${bytes < 0 ? "−" : ""}${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const percent = (ratio) =>
  ratio === null || ratio === undefined ? "–" : `${(100 * ratio).toFixed(Math.abs(ratio) >= 0.995 || Math.abs(ratio) < 0.1 ? 1 : 0)} %`;

export function money(usd) {
  if (usd === null || usd === undefined) return "–";
  const value = Math.abs(usd);
  if (value > 0 && value < 0.00005) return `under ${usd < 0 ? "−" : ""}$0.0001`;
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.01 ? 3 : 4;
  return `${usd < 0 ? "−" : ""}$${value.toFixed(digits)}`;
}

/** `83.2` is `1 min 23 s`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** A place in a film: `1:02.5`. */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const day = (iso) => (iso ? DAY.format(new Date(iso)) : "–");
export const moment = (iso) => (iso ? MOMENT.format(new Date(iso)) : "–");
export const exact = (iso) => (iso ? EXACT.format(new Date(iso)) : "–");
export const between = (start, end) => (new Date(end) - new Date(start)) / 1000;

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;

/** What a step does, for people; by the function's name. */
export const STEPS = {
  waiting: "Waiting", register: "Take on", fetch: "Copy from Drive", inspect: "Look inside", plan: "Decide",
  budget: "Look at the budget", sample: "Try samples", encode: "Encode", choose: "Choose a setting",
  restore: "Restore metadata", measure: "Compare", verify: "Check", publish: "Publish", write_back: "Put into Drive", announce: "Announce", fail: "Report",
};
export const stepName = (step) => STEPS[step] || step || "Waiting";
