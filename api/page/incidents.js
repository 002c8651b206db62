// Incidents: alerts that belong together.

import { $, el, fillSelect, toast } from "./dom.js";
import { rename } from "./rename.js";
import { ask, post, Refused } from "./server.js";
import { incidentPath, may, page } from "./state.js";
import { moment, say, word } from "./words.js";

const NEW = "";
const dialog = { ids: [], incidents: [] };
let after = async () => {};
let choose = () => {};

// --- putting alerts together ---

export async function gather(ids) {
  dialog.ids = ids;
  $("incident-of").textContent = say("marked_n", { n: ids.length });
  $("incident-error").textContent = "";
  $("incident-title").value = page.detail && ids.includes(page.detail.alert_id)
    ? say("incident_named", { kind: word("kind", page.detail.kind), camera: page.detail.camera || say("whole_site") }) : "";
  dialog.incidents = [];
  fillSelect($("incident-which"), [[NEW, say("new_incident")]], NEW);
  toggleTitle();
  $("incident").showModal();
  $("incident-title").select();
  try {
    // Only who sees all of an incident may change it.
    dialog.incidents = (await ask("incidents?state=open&limit=100")).items.filter((one) => one.hidden_alerts === 0);
  } catch (error) {
    $("incident-error").textContent = say("failed", { message: error.message });
  }
  fillSelect($("incident-which"), [[NEW, say("new_incident")],
    ...dialog.incidents.map((one) => [one.incident_id, say("incident_option", { title: one.title, at: moment(one.created_at) })])]);
}

function toggleTitle() {
  $("incident-title-field").hidden = $("incident-which").value !== NEW;
}

async function submit(event) {
  event.preventDefault();
  const which = $("incident-which").value;
  const title = $("incident-title").value.trim();
  if (which === NEW && !title) {
    $("incident-error").textContent = say("title_missing");
    $("incident-title").focus();
    return;
  }
  $("incident-confirm").disabled = true;
  try {
    if (which === NEW) await post("incidents", { title, alert_ids: dialog.ids });
    else await changing(which, (version) => post(incidentPath(which, "alerts"), { alert_ids: dialog.ids, version }));
    page.marked.clear();
    $("incident").close();
    toast(say("done_incident"));
  } catch (error) {
    $("incident-error").textContent = say("failed", { message: error.message });
  } finally {
    $("incident-confirm").disabled = false;
    after();
  }
}

// Adding to an incident or taking from it holds whatever else has changed in it: once more with the newest version.
async function changing(id, step) {
  const { version } = await ask(incidentPath(id));
  try {
    return await step(version);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "stale_version") throw error;
    return step((await ask(incidentPath(id))).version);
  }
}

async function run(step, done) {
  try {
    await step();
    toast(say(done));
  } catch (error) {
    toast(error.code === "stale_version" ? say("incident_changed") : say("failed", { message: error.message }), true);
  } finally {
    after();
  }
}

// --- the incident of an alert ---

export function incidentSection(alert) {
  const incident = page.incident;
  if (!alert.incident_id || !incident) return null;
  const others = incident.alerts.map((one) => {
    const button = el("button", {
      type: "button", className: "link", disabled: one.alert_id === alert.alert_id,
    }, say("incident_alert", {
      kind: word("kind", one.kind), state: word("state", one.state),
      time: one.raised_at ? moment(one.raised_at, false) : one.camera ?? "",
    }));
    button.addEventListener("click", () => choose(one.alert_id));
    return el("li", {}, button);
  });
  const closed = incident.state === "closed";
  const hidden = incident.hidden_alerts;
  const tools = may("incidents.write") && hidden === 0 ? el("div", { className: "clip-tools" },
    tool("edit_title", () => rename(incident), false, true),
    tool("take_out", () => run(() => changing(incident.incident_id, (version) => ask(
      incidentPath(incident.incident_id, "alerts", alert.alert_id) + `?version=${version}`, { method: "DELETE" })), "done_take_out"),
    closed || incident.alerts.length === 1),
    tool(closed ? "reopen_incident" : "close_incident", () => run(() => post(
      incidentPath(incident.incident_id, closed ? "reopen" : "close"), { version: incident.version }), closed ? "done_reopen_incident" : "done_close_incident"), false))
    : null;
  return el("section", { className: "incident", id: "incident-of-alert" }, el("h3", {}, say("incident_of")),
    el("p", {}, el("strong", {}, incident.title), " ",
      el("span", { className: `badge ${closed ? "state-resolved" : "state-acknowledged"}` }, say(closed ? "incident_closed" : "incident_open"))),
    el("ol", { className: "events" }, ...others),
    hidden ? el("p", { className: "note" }, say(hidden === 1 ? "incident_hidden_1" : "incident_hidden_n", { n: hidden })) : null, tools);
}

// `asks`: it opens a dialog, which may be left without doing anything.
function tool(key, step, disabled, asks = false) {
  const button = el("button", { type: "button", className: "quiet", id: `do-${key}`, disabled }, say(key));
  button.addEventListener("click", () => {
    button.disabled = !asks;
    step();
  });
  return button;
}

export function listenToIncidents({ done, chosen }) {
  after = done;
  choose = chosen;
  $("incident").querySelector("form").addEventListener("submit", submit);
  $("incident-cancel").addEventListener("click", () => $("incident").close());
  $("incident-which").addEventListener("change", toggleTitle);
}
