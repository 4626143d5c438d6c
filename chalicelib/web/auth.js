// Signing in at the user pool's own pages: the code flow with PKCE. Tokens live in this tab only.

import { Refused, request } from "./net.js";

const told = (name) => document.querySelector(`meta[name="slimreel:${name}"]`).content;
const SIGN_IN = told("sign-in-url"), CLIENT = told("client-id"), PAGE = told("page-url");
const KEPT = "slimreel:tokens", ASKED = "slimreel:asked";
const EARLY_MS = 60_000, FRESH_MS = 60_000;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const kept = () => JSON.parse(sessionStorage.getItem(KEPT) || "null");

function keep(answer, before = {}) {
  const until = Date.now() + answer.expires_in * 1000;
  const tokens = { id: answer.id_token, refresh: answer.refresh_token || before.refresh, until, since: Date.now() };
  sessionStorage.setItem(KEPT, JSON.stringify(tokens));
  return tokens;
}

/** Leave for the sign-in page; it comes back to where we are. */
export async function signIn() {
  sessionStorage.removeItem(KEPT);
  const asked = { verifier: random(), state: random(), place: location.hash };
  sessionStorage.setItem(ASKED, JSON.stringify(asked));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(asked.verifier));
  const query = new URLSearchParams({
    client_id: CLIENT, redirect_uri: PAGE, response_type: "code", scope: "openid email",
    state: asked.state, code_challenge: base64url(digest), code_challenge_method: "S256",
  });
  location.assign(`${SIGN_IN}/oauth2/authorize?${query}`);
  return new Promise(() => {}); // the page is being left
}

/** Tokens, or null where the pool takes this code or this sign-in no more. */
async function tokensFor(form) {
  const answer = await request(`${SIGN_IN}/oauth2/token`, {
    method: "POST", body: new URLSearchParams({ client_id: CLIENT, ...form }), again: true,
  });
  if (answer.ok) return answer.said;
  if (answer.status === 400) return null;
  throw new Refused(answer.status, `Signing in failed: the answer was HTTP ${answer.status}.`);
}

/** Take the code that the sign-in page sent back, if we are just coming from there. */
export async function comeBack() {
  const query = new URLSearchParams(location.search);
  if (!query.has("code") && !query.has("error")) return;
  const asked = JSON.parse(sessionStorage.getItem(ASKED) || "null");
  sessionStorage.removeItem(ASKED);
  history.replaceState(null, "", location.pathname + (asked?.place || "#/videos"));
  if (!asked || query.get("state") !== asked.state || !query.has("code")) return; // somebody else's answer
  const answer = await tokensFor({
    grant_type: "authorization_code", code: query.get("code"), redirect_uri: PAGE, code_verifier: asked.verifier,
  });
  if (answer) keep(answer);
}

let refreshing = null;

/** A token that is good for another minute; leaves for the sign-in page when there is none. */
export async function token() {
  const tokens = kept();
  if (!tokens) return signIn();
  if (tokens.until - EARLY_MS > Date.now()) return tokens.id;
  refreshing ||= tokensFor({ grant_type: "refresh_token", refresh_token: tokens.refresh })
    .then((answer) => (answer ? keep(answer, tokens).id : signIn()))
    .finally(() => { refreshing = null; });
  return refreshing;
}

export const isSignedIn = () => kept() !== null;
/** Whether the token was made just now, so that a newer one would be no better. */
export const isFresh = () => Date.now() - (kept()?.since ?? 0) < FRESH_MS;

export async function signOut() {
  const tokens = kept();
  sessionStorage.removeItem(KEPT);
  if (tokens?.refresh) {
    const body = new URLSearchParams({ client_id: CLIENT, token: tokens.refresh });
    await fetch(`${SIGN_IN}/oauth2/revoke`, { method: "POST", body }).catch(() => null);
  }
  location.assign(`${SIGN_IN}/logout?${new URLSearchParams({ client_id: CLIENT, logout_uri: PAGE })}`);
}
