// The frame: who is signed in, which page is shown, and what is under way.

import { get } from "./api.js";
import { comeBack, isSignedIn, signIn, signOut } from "./auth.js";
import { h, say } from "./dom.js";
import * as live from "./live.js";
import { trouble, why } from "./parts.js";
import { pipeline } from "./pipeline.js";
import { savings } from "./savings.js";
import { video } from "./video.js";
import { videos } from "./videos.js";
import { plural } from "./words.js";

const main = document.getElementById("main"), nav = document.getElementById("nav");
const PAGES = { videos, pipeline, savings };
let leave = () => {};
let turn = 0;

/** `#/videos/abc?page=2` in its parts. */
function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  return { name: name || "videos", rest, query: new URLSearchParams(search || "") };
}

async function show(me) {
  const { name, rest, query } = place();
  const mine = (turn += 1);
  leave();
  leave = () => {};
  for (const link of nav.querySelectorAll("a")) {
    const here = link.getAttribute("href") === `#/${name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const page = name === "videos" && rest[0] ? video : PAGES[name] || videos;
  const box = h("div", { class: `page ${page.name}` });
  const loading = h("div", {}, h("p", { class: "quiet loading" }, "Loading …"),
    h("p", { class: "late" }, "This takes long.", h("button", { onclick: () => show(me) }, "Try again")));
  main.replaceChildren(box, loading);
  try {
    const stop = await page(box, { me, rest, query });
    if (mine !== turn) stop?.(); // another page was opened meanwhile
    else leave = stop || leave;
  } catch (problem) {
    if (mine === turn) box.replaceChildren(trouble(problem, () => { live.soon(); show(me); }), h("p", { class: "quiet aside" }, h("a", { href: "#/videos" }, "All videos")));
  }
  loading.remove();
  if (mine !== turn) return;
  const heading = box.querySelector("h1");
  document.title = heading ? `${heading.textContent} – Slimreel` : "Slimreel";
  if (heading) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
  say(document.title);
}

function welcome() {
  main.replaceChildren(h("div", { class: "empty welcome" },
    h("h1", {}, "Smaller videos that still look the same"),
    h("p", {}, "See what came in, compare every result with its original, and what it saved."),
    h("button", { class: "primary", onclick: signIn }, "Sign in")));
}

function frame(me) {
  const dot = h("a", { class: "live", href: "#/pipeline" }, "Looking …");
  const out = h("button", { class: "plain", onclick: signOut }, "Sign out");
  const who = h("span", { class: "who", title: `Group: ${me.role}` }, me.name);
  document.getElementById("status").replaceChildren(dot, who, out);
  nav.hidden = false;
  return (problem) => {
    const { open } = live.now;
    dot.textContent = problem ? "No connection" : open ? `${plural(open, "video")} under way` : "All quiet";
    dot.title = problem ? `${why(problem)} It is tried again and again.` : "";
    dot.classList.toggle("busy", !problem && open > 0);
    dot.classList.toggle("lost", Boolean(problem));
    if (!problem && lost) note(null);
  };
}

let lost = false; // the note is about the connection

/** What went wrong behind what is shown: a line above it, with another try. */
function note(problem, again) {
  document.querySelector(".note")?.remove();
  lost = problem?.status === 0;
  if (!problem) return;
  const close = () => note(null);
  main.before(h("div", { class: "note", role: "alert" }, h("span", {}, why(problem)),
    h("button", { onclick: () => { close(); again(); } }, "Try again"),
    h("button", { class: "plain", "aria-label": "Close this note", onclick: close }, "×")));
}

async function begin() {
  let me;
  try {
    await comeBack();
    if (!isSignedIn()) return welcome();
    me = await get("me");
  } catch (problem) {
    main.replaceChildren(trouble(problem, begin), h("p", { class: "aside" }, h("button", { onclick: signOut }, "Sign out")));
    return;
  }
  const heard = frame(me), again = () => { live.soon(); return show(me); };
  window.addEventListener("unhandledrejection", (event) => note(event.reason, again));
  // A ResizeObserver's complaint about its own pace is an event without an error.
  window.addEventListener("error", (event) => { if (event.error) note(event.error, again); });
  window.addEventListener("hashchange", () => { note(null); show(me); });
  live.start(heard);
  await show(me);
}

begin();
