// What goes on right now, asked of one small address: often while something is under way, seldom
// otherwise, and not at all while nobody looks.

import { changed } from "./api.js";

const BUSY_MS = 2500, IDLE_MS = 8000, TROUBLE_MS = 15_000;
const listeners = new Set();
let tag = null, timer = null, hear = () => {};
export let now = { open: 0, counts: {}, jobs: [] };

/** Hear of every look, and of what is so already; twice the same means no news. Returns how to stop. */
export function listen(listener) {
  listeners.add(listener);
  listener(now, now);
  return () => listeners.delete(listener);
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let wait = TROUBLE_MS, problem = null;
  try {
    const news = await changed("now", tag);
    const before = now;
    if (news) ({ tag, body: now } = news);
    wait = now.open ? BUSY_MS : IDLE_MS;
    for (const listener of [...listeners]) tell(listener, before);
  } catch (met) {
    problem = met;
  }
  hear(problem);
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

/** One page's mistake is neither the connection's nor the other pages'. */
function tell(listener, before) {
  try {
    listener(now, before);
  } catch (problem) {
    reportError(problem);
  }
}

/** Look from now on. `heard(problem)` is called after every look, with null where it went well. */
export function start(heard) {
  hear = heard;
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  return look();
}

/** Look at once: somebody has just done something. */
export const soon = () => look();
