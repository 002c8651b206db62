// The way to the server: requests, refusals, and what happens when the session has ended.

const API = "api/v1";
const TIMEOUT_MS = 10000;
const WRITE_ATTEMPTS = 3;

let csrf = null;
let logIn = null;

// The server understood and said no.
export class Refused extends Error {
  constructor(response, error) {
    super(error.message);
    this.status = response.status;
    this.code = error.code;
    this.details = error.details ?? {};
    this.retryAfterS = Number(response.headers.get("retry-after") ?? this.details.retry_after_s ?? 0);
  }
}

export function setCsrf(token) {
  csrf = token;
}

// `step` gets the guard logged in and resolves to whether it is the same person as before.
export function onSessionEnd(step) {
  logIn = step;
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function once(path, method, body, key) {
  const headers = {};
  if (method !== "GET") {
    headers["content-type"] = "application/json";
    headers["idempotency-key"] = key;
    if (csrf) headers["x-csrf-token"] = csrf;
  }
  const response = await fetch(`${API}/${path}`, {
    method, headers, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { /* Not from Gatewatch: a proxy in between, for example. */ }
  if (!response.ok) {
    throw new Refused(response, content?.error ?? { code: "bad_answer", message: `${response.status} ${response.statusText}` });
  }
  return content;
}

// One request. A write keeps its key when it is sent again, so that the server does it once.
async function persistently(path, method, body, key) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(path, method, body, key);
    } catch (error) {
      const again = method !== "GET" && (!(error instanceof Refused) || error.status === 503);
      if (!again || attempt === WRITE_ATTEMPTS) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 700 * attempt); });
    }
  }
}

// The content of the answer. Where the session has ended, the guard logs in again and the request is made then.
export async function ask(path, { method = "GET", body, anonymous = false } = {}) {
  const key = method === "GET" ? null : randomKey();
  try {
    return await persistently(path, method, body, key);
  } catch (error) {
    if (anonymous || !(error instanceof Refused) || !needsLogIn(error)) throw error;
    const samePerson = await logIn(error);
    // What somebody began is not done in the name of the next.
    if (!samePerson && method !== "GET") throw error;
    return persistently(path, method, body, key);
  }
}

const needsLogIn = (error) => error.status === 401 || ["csrf_token_required", "password_change_required"].includes(error.code);

export const post = (path, body = {}) => ask(path, { method: "POST", body });
