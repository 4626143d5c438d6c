// Original and result, one above the other, in step, with a divider between them.

import { h } from "./dom.js";
import { clock, size } from "./words.js";

const DRIFT_S = 0.04; // about a frame: further apart, the two are brought together again
const STEP_S = 1 / 25;

/** `films` as `details` has them; `onmove(seconds)` hears where we are. */
export function compare(films, { onmove }) {
  const { original, result } = films;
  if (!result && !original) return null;
  const both = Boolean(original && result);
  const player = (film, name) => h("video", { class: name, src: film.url, preload: "auto", playsinline: true, "aria-label": name === "before" ? "Original" : "Result" });
  const lead = player(result || original, "after"); // it has the sound, and says where we are
  lead.muted = true;
  const other = both ? player(original, "before") : null;
  if (other) other.muted = true;
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const divider = h("input", { type: "range", class: "divider", min: 0, max: 100, step: 0.5, value: 50, "aria-label": "Divider: original on the left, result on the right" });
  const stage = h("div", { class: "stage" }, lead, other,
    both ? h("div", { class: "edge", "aria-hidden": "true" }) : null,
    h("span", { class: "tag left", "aria-hidden": "true" }, both || original && !result ? "Original" : "Result"),
    both ? h("span", { class: "tag right", "aria-hidden": "true" }, "Result") : null);
  const split = () => stage.style.setProperty("--split", `${divider.value}%`);
  divider.addEventListener("input", split);
  split();

  const play = h("button", { class: "play", "aria-label": "Play" }, "▶");
  const seek = h("input", { type: "range", class: "seek", min: 0, max: 0, step: "any", value: 0, "aria-label": "Place in the film" });
  const time = h("span", { class: "time" }, "0:00.0");
  const sound = h("button", { "aria-pressed": "false" }, "Sound");
  const frame = (by) => h("button", { "aria-label": by > 0 ? "One frame on" : "One frame back", onclick: () => { pause(); go(lead.currentTime + by * STEP_S); } }, by > 0 ? "›" : "‹");

  const go = (seconds) => {
    const to = Math.max(0, Math.min(seconds, lead.duration || seconds));
    lead.currentTime = to;
    if (other) other.currentTime = to;
    moved();
  };
  const pause = () => { lead.pause(); other?.pause(); };
  const toggle = () => (lead.paused ? Promise.all([lead.play(), other?.play()]).catch(() => pause()) : pause());
  function moved() {
    seek.value = String(lead.currentTime);
    time.textContent = `${clock(lead.currentTime)} / ${clock(lead.duration || 0)}`;
    onmove?.(lead.currentTime);
  }
  function together() {
    if (other && !other.seeking && Math.abs(other.currentTime - lead.currentTime) > DRIFT_S) other.currentTime = lead.currentTime;
  }
  let running = 0;
  const tick = () => { moved(); if (!lead.paused) { together(); running = requestAnimationFrame(tick); } };

  play.addEventListener("click", toggle);
  lead.addEventListener("click", toggle);
  lead.addEventListener("play", () => { play.textContent = "❚❚"; play.setAttribute("aria-label", "Pause"); running = requestAnimationFrame(tick); });
  lead.addEventListener("pause", () => { play.textContent = "▶"; play.setAttribute("aria-label", "Play"); cancelAnimationFrame(running); together(); moved(); });
  lead.addEventListener("loadedmetadata", () => { seek.max = String(lead.duration); stage.style.setProperty("--shape", `${lead.videoWidth} / ${lead.videoHeight}`); moved(); });
  lead.addEventListener("seeked", moved);
  lead.addEventListener("ended", pause);
  seek.addEventListener("input", () => go(Number(seek.value)));
  sound.addEventListener("click", () => { lead.muted = !lead.muted; sound.setAttribute("aria-pressed", String(!lead.muted)); });
  let instead = null; // the player of the one that can be played
  const cannot = (which) => () => {
    if (instead) return; // it says what it cannot by itself
    problem.hidden = false;
    problem.textContent = `This browser cannot play the ${which}: its codec is not one for browsers, or the file has expired.`;
    const left = { ...films, [which]: null };
    for (const part of [stage, divider, controls]) part.remove();
    for (const film of [lead, other]) if (film) release(film);
    instead = both ? compare(left, { onmove }) : null;
    if (instead) element.prepend(instead.element.firstChild, ...instead.element.querySelectorAll(".controls, .problem"));
  };
  lead.addEventListener("error", cannot(result ? "result" : "original"), { once: true });
  other?.addEventListener("error", cannot("original"), { once: true });
  stage.addEventListener("pointermove", (event) => {
    if (!both || event.buttons !== 1) return;
    const box = stage.getBoundingClientRect();
    divider.value = String(100 * (event.clientX - box.left) / box.width);
    split();
  });

  const controls = h("div", { class: "controls" }, play, frame(-1), frame(1), seek, time, sound);
  const element = h("section", { class: "compare", "aria-label": both ? "Original and result side by side" : "Film" }, stage,
    both ? divider : null, controls,
    h("p", { class: "quiet" }, original ? `Original ${size(original.size_bytes)}` : why(films), result ? ` · Result ${size(result.size_bytes)}` : ""),
    problem);
  element.addEventListener("keydown", (event) => {
    if (event.target.matches("button, input")) return;
    if (event.key === " ") { event.preventDefault(); toggle(); }
  });
  return { element, seek: (to) => (instead ? instead.seek(to) : go(to)), stop: () => { instead?.stop(); pause(); cancelAnimationFrame(running); release(lead); if (other) release(other); } };
}

/** Give its connection back: a browser has six to one place, and a film holds one while it loads. */
function release(film) {
  film.removeAttribute("src");
  film.load();
}

const why = (films) => films.keeps_originals
  ? "The copy of the original has expired; it is still in Drive."
  : "The original is in Drive only. With the parameter KeepOriginals it stays here for a week, to compare.";
