// The frame: who is signed in, which page is shown, and what is under way.

import { get } from "./api.js";
import { comeBack, isSignedIn, signIn, signOut } from "./auth.js";
import { h, say } from "./dom.js";
import * as live from "./live.js";
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
  const loading = h("p", { class: "quiet loading" }, "Loading …");
  main.replaceChildren(box, loading);
  try {
    const stop = await page(box, { me, rest, query });
    if (mine !== turn) stop?.(); // another page was opened meanwhile
    else leave = stop || leave;
  } catch (problem) {
    box.replaceChildren(h("div", { class: "empty" }, h("h1", {}, "That did not work"), h("p", {}, problem.message),
      h("p", {}, h("a", { href: "#/videos" }, "Back to all videos"))));
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
  const dot = h("a", { class: "live", href: "#/pipeline" });
  const out = h("button", { class: "plain", onclick: signOut }, "Sign out");
  const who = h("span", { class: "who", title: `Group: ${me.role}` }, me.name);
  document.getElementById("status").replaceChildren(dot, who, out);
  nav.hidden = false;
  live.listen(({ open }) => {
    dot.textContent = open ? `${plural(open, "video")} under way` : "All quiet";
    dot.classList.toggle("busy", open > 0);
  });
}

async function begin() {
  await comeBack();
  if (!isSignedIn()) return welcome();
  let me;
  try {
    me = await get("me");
  } catch (problem) {
    main.replaceChildren(h("div", { class: "empty" }, h("h1", {}, "You cannot see this"), h("p", {}, problem.message),
      h("button", { onclick: signOut }, "Sign out")));
    return;
  }
  frame(me);
  window.addEventListener("hashchange", () => show(me));
  live.start();
  await show(me);
}

begin();
