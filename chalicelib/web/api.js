// Calls of the HTTP API, described in docs/api.md.

import { signIn, token } from "./auth.js";

/** What went wrong, in words for people. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(method, path, body, headers = {}) {
  const given = { Authorization: await token(), ...headers };
  if (body !== undefined) given["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`web/${path}`, { method, headers: given, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "Slimreel does not answer. Is this computer online, and Slimreel running?");
  }
  if (answer.status === 401) return signIn();
  if (answer.status === 304) return { status: 304, headers: answer.headers, body: null };
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.message || said.Message || `The answer was HTTP ${answer.status}.`);
  return { status: answer.status, headers: answer.headers, body: said };
}

/** `{ status: "Failed", page: null }` becomes a query without what is empty. */
export function query(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const get = async (path, wanted = {}) => (await call("GET", path + query(wanted))).body;
export const post = async (path, body = {}) => (await call("POST", path, body)).body;

/** Ask again for what is known already: null while it has not changed. */
export async function changed(path, tag) {
  const answer = await call("GET", path, undefined, tag ? { "If-None-Match": tag } : {});
  return answer.status === 304 ? null : { tag: answer.headers.get("ETag"), body: answer.body };
}
