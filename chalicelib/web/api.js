// Calls of the HTTP API, described in docs/api.md.

import { isFresh, signIn, token } from "./auth.js";
import { Refused, request } from "./net.js";

async function call(method, path, body, headers = {}) {
  const given = { Authorization: await token(), ...headers };
  if (body !== undefined) given["Content-Type"] = "application/json";
  const answer = await request(`web/${path}`, {
    method, headers: given, body: body === undefined ? undefined : JSON.stringify(body), again: method === "GET",
  });
  if (answer.status === 401) {
    if (!isFresh()) return signIn();
    // Signing in once more would come back here, and so on for ever.
    throw new Refused(401, "Slimreel does not accept the sign-in that was just made. Is this computer's clock right?");
  }
  if (!answer.ok && answer.status !== 304) {
    throw new Refused(answer.status, answer.said?.message || answer.said?.Message || `The answer was HTTP ${answer.status}.`);
  }
  return answer;
}

/** `{ status: "Failed", page: null }` becomes a query without what is empty. */
export function query(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const get = async (path, wanted = {}) => (await call("GET", path + query(wanted))).said;
export const post = async (path, body = {}) => (await call("POST", path, body)).said;

/** Ask again for what is known already: null while it has not changed. */
export async function changed(path, tag) {
  const answer = await call("GET", path, undefined, tag ? { "If-None-Match": tag } : {});
  return answer.status === 304 ? null : { tag: answer.headers.get("ETag"), body: answer.said };
}
