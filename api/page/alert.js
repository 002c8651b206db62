// The alert that is chosen: loading and drawing it, and what can be done with it.

import { $, el, toast } from "./dom.js";
import { incidentSection } from "./incidents.js";
import { drawList, rememberPosition } from "./list.js";
import { learnNames } from "./people.js";
import { ask, post, Refused } from "./server.js";
import { alertPath, incidentPath, may, page } from "./state.js";
import { evidence, heading, side } from "./view.js";
import { currentLanguage, say } from "./words.js";

// name, the key, the permission without which it is not offered, whether it is one of the large buttons.
export const ACTIONS = [
  { name: "acknowledge", key: "a", needs: "alerts.handle", large: true },
  { name: "claim", key: "t", needs: "alerts.handle", large: true },
  { name: "resolve", key: "r", needs: "alerts.handle", large: true, asks: true },
  { name: "false_alarm", key: "f", needs: "alerts.handle", large: true, asks: true },
  { name: "drill", key: "d", needs: "alerts.handle", large: true, asks: true },
  { name: "assign", key: "h", needs: "alerts.handle", asks: true },
  { name: "release", key: "l", needs: "alerts.handle" },
  { name: "note", key: "n", needs: "alerts.handle", asks: true },
  { name: "incident", key: "i", needs: "incidents.write", asks: true },
  { name: "reopen", key: "o", needs: "alerts.reopen", asks: true },
];

export const permitted = () => ACTIONS.filter((action) => may(action.needs));
export const possible = (alert, action) => (action.name === "incident"
  ? !alert.incident_id : alert.allowed_actions.includes(action.name));

// What is done from here in app.js: questions need dialogs, and those need this module.
let ask_first = () => {};
let after = async () => {};

export function onAction({ asking, done }) {
  ask_first = asking;
  after = done;
}

// Every button keeps its place: one that the state forbids is grey, one that the role forbids is not there.
function actionBar(alert) {
  const button = (action) => {
    const made = el("button", {
      type: "button", id: `do-${action.name}`, disabled: !possible(alert, action), "aria-keyshortcuts": action.key,
      className: action.large ? (action.name === nextStep(alert) ? "primary" : "") : "quiet",
    }, say(action.name), " ", el("kbd", { "aria-hidden": "true" }, action.key.toUpperCase()));
    made.addEventListener("click", () => begin(action.name));
    return made;
  };
  const offered = permitted();
  const rows = [true, false].map((large) => offered.filter((action) => Boolean(action.large) === large));
  return el("div", { className: "actions", id: "actions", role: "group", "aria-label": say("actions") },
    ...rows.filter((row) => row.length > 0).map((row) => el("div", { className: "action-row" }, ...row.map(button))),
    offered.length === 0 ? el("p", { className: "note" }, say("look_only")) : null);
}

const nextStep = (alert) => ({ new: "acknowledge", acknowledged: "claim", in_progress: "resolve" })[alert.state] ?? null;

const looksOf = () => JSON.stringify([page.detail, page.incident, page.names, currentLanguage()]);

export function drawDetail() {
  const pane = $("detail");
  const alert = page.detail;
  pane.dataset.looks = looksOf();
  if (!alert) {
    const text = say(page.selected ? "loading" : "nothing_selected");
    pane.replaceChildren(el("p", { className: "empty", id: "detail-title" }, text));
    pane.dataset.id = "";
    return;
  }
  const media = JSON.stringify([alert.clips, alert.snapshot_url, alert.media, alert.media_note, currentLanguage()]);
  const same = pane.dataset.id === alert.alert_id;
  const focused = pane.contains(document.activeElement) ? document.activeElement.id : null;
  const parts = [heading(alert), actionBar(alert), side(alert, incidentSection(alert))];
  if (same) {
    $("detail-head").replaceWith(parts[0]);
    $("actions").replaceWith(parts[1]);
    $("side").replaceWith(parts[2]);
    if (pane.dataset.media !== media || pane.querySelector("[data-failed]")) $("evidence").replaceWith(evidence(alert));
  } else {
    pane.replaceChildren(parts[0], parts[1], el("div", { className: "detail-body" }, evidence(alert), parts[2]));
    pane.scrollTop = 0;
  }
  pane.dataset.id = alert.alert_id;
  pane.dataset.media = media;
  if (focused && document.activeElement === document.body) {
    const again = $(focused);
    (again && !again.disabled ? again : pane).focus({ preventScroll: true });
  }
}

export async function loadDetail() {
  const id = page.selected;
  if (id === null) return;
  let detail = null;
  try {
    detail = await ask(alertPath(id));
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    // It was removed, or lies outside what this guard may see now.
    if (page.selected === id) Object.assign(page, { selected: null, detail: null, incident: null });
    drawDetail();
    return;
  }
  const incident = await incidentOf(detail);
  await learnNames([detail.assignee, ...actors(detail)], id);
  if (page.selected !== id) return;
  Object.assign(page, { detail, incident });
  if (looksOf() !== $("detail").dataset.looks) drawDetail();
}

const actors = (alert) => alert.changes.filter((change) => ["user", "token"].includes(change.actor_kind)).map((change) => change.actor);

async function incidentOf(alert) {
  if (!alert.incident_id) return null;
  try {
    return await ask(incidentPath(alert.incident_id));
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

export function select(id, load) {
  if (id === null || id === page.selected) return;
  Object.assign(page, { selected: id, detail: null, incident: null });
  rememberPosition(id);
  drawList();
  drawDetail();
  load();
}

// Says that a guard looked at it; not worth a word where that fails. Only what somebody chose or touched counts.
export async function markSeen() {
  const alert = page.detail;
  if (!alert || alert.seen_at || !may("alerts.handle") || !alert.allowed_actions.includes("seen")) return;
  alert.seen_at = "now";
  try {
    await post(`${alertPath(alert.alert_id)}/seen`);
  } catch {
    alert.seen_at = null;
  }
}

export function begin(name) {
  const action = ACTIONS.find((one) => one.name === name);
  const alert = page.detail;
  if (!alert || page.busy || !permitted().includes(action) || !possible(alert, action)) return;
  if (action.asks) ask_first(name, alert);
  else handle(alert, name, {}).catch(() => {});
}

const ADDRESS = { false_alarm: "false-alarm", note: "notes" };

// Does it, and shows the alert as it is then. Rejects with what the server refused; a conflict is for the guard to decide.
export async function handle(alert, name, body, { conflict = ask_first } = {}) {
  page.busy = true;
  try {
    // An acknowledgement or a note holds for whatever comes in meanwhile; all else is about what the guard saw.
    const version = ["acknowledge", "note"].includes(name) ? {} : { version: alert.version };
    const detail = await post(`${alertPath(alert.alert_id)}/${ADDRESS[name] ?? name}`, { ...version, ...body });
    if (page.selected === alert.alert_id) page.detail = detail;
    drawDetail();
    toast(say(`done_${name}`));
  } catch (error) {
    if (error instanceof Refused && error.status === 409) await conflict(name, alert, error);
    else toast(say("failed", { message: error.message }), true);
    throw error;
  } finally {
    page.busy = false;
    after();
  }
}
