// The log-in: at the start, after the session has ended, and for a password of one's own.

import { $, el, toast } from "./dom.js";
import { ask, onSessionEnd, Refused, setCsrf } from "./server.js";
import { page } from "./state.js";
import { knows, lasting, say } from "./words.js";

// What the fragment of the address says, which no server sees: `#user=admin&password=...` of a demo's link.
const given = { user: "", password: "" };
const door = { open: false, form: null, why: null, wait: null, settle: null, promise: null, before: null };
const policy = { min: 12, max: 256 };
let entered = () => {};

// Reads the fragment and takes it out of the address bar and the history at once.
export function takeFragment() {
  if (!location.hash) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  given.user = parts.get("user") ?? "";
  given.password = parts.get("password") ?? "";
  if (door.open && door.form === "log-in" && given.password) {
    fillIn();
    drawDoor();
  }
}

function accept(session) {
  const before = door.before;
  setCsrf(session.csrf_token);
  page.me = { ...session, name: session.user };
  door.before = null;
  return before === null || before === page.me.name;
}

// Logs in where there is no session. Resolves once somebody is in.
export async function arrive() {
  let session = null;
  try {
    session = await ask("session", { anonymous: true });
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) throw error;
  }
  if (session && !session.must_change_password) {
    given.password = "";
    accept(session);
    return;
  }
  if (session) setCsrf(session.csrf_token);
  await opened(session ? { form: "new-password", user: session.user } : { form: "log-in" });
}

// Resolves, once somebody is in, to whether that is the person who was there before.
function opened({ form, why = null, user = "" }) {
  if (door.promise) return door.promise;
  door.before = page.me?.name ?? null;
  door.promise = new Promise((resolve) => { door.settle = resolve; });
  show(form, why, user);
  return door.promise;
}

function show(form, why = null, user = "") {
  Object.assign(door, { open: true, form, why });
  for (const name of ["log-in", "new-password"]) $(name).hidden = name !== form;
  for (const node of $("door").querySelectorAll(".form-error")) node.textContent = "";
  waitUntil(0);
  if (!$("door").open) $("door").showModal();
  drawDoor();
  if (form === "new-password") {
    $("new-password-user").value = user || page.me?.name || "";
    // Whoever has just typed the one-time password need not type it again.
    $("old-password").value = door.typed ?? "";
    $("old-password-field").hidden = Boolean(door.typed);
    $("new-password-cancel").hidden = !door.own;
    for (const name of ["password-1", "password-2"]) $(name).value = "";
    judge();
    (door.typed ? $("password-1") : $("old-password")).focus();
  } else fillIn();
}

function fillIn() {
  $("user").value = given.user || door.before || $("user").value;
  $("password").value = given.password;
  const next = given.password ? $("log-in").querySelector("button") : $("user").value ? $("password") : $("user");
  next.focus();
}

export function drawDoor() {
  if (!door.open) return;
  const title = door.form === "log-in" ? (door.before ? "log_in_again" : "log_in") : "choose_password";
  $("door-title").textContent = say(title);
  const why = door.why ?? (given.password && door.form === "log-in" ? "filled_in" : null);
  $("door-why").textContent = why ? say(why) : "";
  $("door-why").hidden = !why;
  if (door.form === "new-password") judge();
}

function close() {
  Object.assign(door, { open: false, promise: null, typed: null, own: false });
  Object.assign(given, { user: "", password: "" });
  for (const input of $("door").querySelectorAll("input")) input.value = "";
  $("door").close();
}

async function letIn(session) {
  const settle = door.settle;
  const interrupted = page.me !== null;
  const samePerson = accept(session);
  close();
  if (!samePerson) location.reload(); // Another person: nothing of the one before stays.
  else if (interrupted) entered();
  settle?.(samePerson);
}

// --- logging in ---

function sayWhy(form, error) {
  const box = $(form).querySelector(".form-error");
  if (!(error instanceof Refused)) {
    box.textContent = say("no_answer");
    return;
  }
  if (error.retryAfterS > 0) {
    waitUntil(error.retryAfterS);
    box.textContent = say("too_often");
    return;
  }
  const key = `refused_${error.details.why ?? error.code}`;
  box.textContent = knows("page", key) ? say(key, policy) : say("failed", { message: error.message });
}

// Counts down while the server takes no log-in.
function waitUntil(seconds) {
  clearInterval(door.wait);
  const end = performance.now() + seconds * 1000;
  const draw = () => {
    const left = (end - performance.now()) / 1000;
    $("door-wait").hidden = left <= 0;
    $("door-wait").textContent = left > 0 ? say("wait", { time: lasting(Math.ceil(left)) }) : "";
    $("log-in").querySelector("button").disabled = left > 0;
    if (left <= 0) clearInterval(door.wait);
  };
  draw();
  if (seconds > 0) door.wait = setInterval(draw, 500);
}

async function submitting(form, step) {
  const button = $(form).querySelector("button[type=submit]");
  if (button.disabled) return;
  $(form).querySelector(".form-error").textContent = "";
  button.disabled = true;
  try {
    await step();
  } catch (error) {
    sayWhy(form, error);
  } finally {
    if ($("door-wait").hidden) button.disabled = false;
  }
}

function logIn(event) {
  event.preventDefault();
  submitting("log-in", async () => {
    const [user, password] = [$("user").value.trim(), $("password").value];
    if (!user || !password) {
      $("log-in").querySelector(".form-error").textContent = say("both_missing");
      (user ? $("password") : $("user")).focus();
      return;
    }
    try {
      const session = await ask("session", { method: "POST", body: { user, password }, anonymous: true });
      if (session.must_change_password) {
        setCsrf(session.csrf_token);
        door.typed = password;
        show("new-password", "one_time", session.user);
      } else await letIn(session);
    } catch (error) {
      $("password").select();
      throw error;
    }
  });
}

// --- a password of one's own ---

function rules() {
  const [one, two] = [$("password-1").value, $("password-2").value];
  const size = [...one.normalize("NFKC")].length;
  const name = $("new-password-user").value.toLowerCase();
  return [
    ["rule_length", size >= policy.min && size <= policy.max],
    ["rule_varied", new Set(one.toLowerCase()).size >= 5],
    ["rule_name", one !== "" && one.toLowerCase() !== name],
    ["rule_same", one !== "" && one === two],
  ];
}

// Says of each rule whether it is kept, while it is typed.
function judge() {
  $("password-rules").replaceChildren(...rules().map(([key, kept]) => el("li", { className: kept ? "kept" : "" },
    el("span", { "aria-hidden": "true" }, kept ? "✓" : "○"), ` ${say(key, policy)}`,
    el("span", { className: "visually-hidden" }, ` ${say(kept ? "kept" : "not_kept")}`))));
}

function choosePassword(event) {
  event.preventDefault();
  submitting("new-password", async () => {
    const broken = rules().find(([, kept]) => !kept);
    if (broken) {
      $("new-password").querySelector(".form-error").textContent = say("rule_broken", { rule: say(broken[0], policy) });
      $(broken[0] === "rule_same" ? "password-2" : "password-1").focus();
      return;
    }
    const body = { current_password: $("old-password").value, new_password: $("password-1").value };
    await letIn(await ask("session/password", { method: "POST", body, anonymous: true }));
    toast(say("password_saved"));
  });
}

export function changeOwnPassword() {
  door.own = true;
  opened({ form: "new-password", user: page.me.name });
}

export async function logOut() {
  const elsewhere = page.me.logout_url;
  await ask("session", { method: "DELETE" });
  if (elsewhere) location.assign(elsewhere);
  else location.reload();
}

// --- setting up ---

async function offerOthers() {
  try {
    const options = await ask("session/options", { anonymous: true });
    const other = options.oidc;
    $("elsewhere").hidden = !other;
    if (other) {
      $("elsewhere").href = other.url;
      $("elsewhere").dataset.name = other.label;
      $("elsewhere").textContent = say("log_in_with", { name: other.label });
    }
  } catch { /* The form itself is enough. */ }
}

// Another tab may have logged in anew: whoever is in now goes on with the right token, or finds a page of their own.
async function renew() {
  const session = await ask("session", { anonymous: true });
  if (session.user !== page.me?.name) location.reload();
  setCsrf(session.csrf_token);
  return session.user === page.me?.name;
}

// `then` runs whenever somebody has come in after an interruption, before waiting requests go on.
export function listenAtDoor(then) {
  entered = then;
  onSessionEnd((error) => {
    if (error.code === "csrf_token_required") return renew();
    return error.code === "password_change_required"
      ? opened({ form: "new-password", why: "one_time" }) : opened({ form: "log-in", why: "session_over" });
  });
  $("log-in").addEventListener("submit", logIn);
  $("new-password").addEventListener("submit", choosePassword);
  for (const name of ["password-1", "password-2"]) $(name).addEventListener("input", judge);
  $("new-password-cancel").addEventListener("click", () => {
    const settle = door.settle;
    door.before = null;
    close();
    settle(true);
  });
  // Escape opens no door.
  $("door").addEventListener("cancel", (event) => event.preventDefault());
  $("door").addEventListener("close", () => { if (door.open) $("door").showModal(); });
  return offerOthers();
}
