// Asking over a network that may fail: with patience, another try, and words for people.

const AGAIN_MS = [400, 1600];
const LONGEST_MS = 40_000; // API Gateway itself gives up after 29 seconds
const PASSING = new Set([429, 500, 502, 503, 504]);

/** What went wrong, in words for people; `status` is HTTP's, or 0 where nothing answered. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * `{ status, headers, ok, said }`, `said` being what the JSON holds, or null where there is none.
 * `again`: asking twice does no harm, so what fails in passing is asked again.
 */
export async function request(address, { again = false, ...options } = {}) {
  const begun = performance.now();
  for (let tries = 0; ; tries += 1) {
    // Whoever has waited long already rather hears of it.
    const isLast = () => !again || tries >= AGAIN_MS.length || performance.now() - begun > LONGEST_MS / 4;
    try {
      const answer = await once(address, options);
      if (isLast() || !PASSING.has(answer.status)) return answer;
    } catch (problem) {
      if (isLast()) throw problem;
    }
    await pause(AGAIN_MS[tries] * (0.75 + Math.random() / 2));
  }
}

async function once(address, options) {
  let answer, text;
  try {
    answer = await fetch(address, { ...options, signal: AbortSignal.timeout(LONGEST_MS) });
    text = await answer.text();
  } catch {
    throw new Refused(0, "Slimreel does not answer. Is this computer online, and Slimreel running?");
  }
  let said = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    // A page of somebody else's, such as a hotel's, answers with 200, too.
    if (answer.ok) throw new Refused(0, "What answered was not Slimreel. Does this network want a sign-in of its own?");
  }
  return { status: answer.status, headers: answer.headers, ok: answer.ok, said };
}
