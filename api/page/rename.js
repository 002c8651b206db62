// Gives an incident another title.

import { $, el, toast } from "./dom.js";
import { incidentChangesSince } from "./history.js";
import { learnNames, person } from "./people.js";
import { ask, Refused } from "./server.js";
import { incidentPath, page } from "./state.js";
import { say } from "./words.js";

const dialog = { incident: null };
let after = () => {};

export function rename(incident) {
  dialog.incident = incident;
  $("rename-changed").hidden = true;
  $("rename-error").textContent = "";
  $("rename-confirm").disabled = false;
  $("rename-title").value = incident.title;
  $("rename").showModal();
  $("rename-title").select();
}

async function submit(event) {
  event.preventDefault();
  if ($("rename-confirm").disabled) return;
  const title = $("rename-title").value.trim();
  $("rename-error").textContent = title ? "" : say("title_missing");
  if (!title) {
    $("rename-title").focus();
    return;
  }
  const { incident_id: id, version } = dialog.incident;
  $("rename-confirm").disabled = true;
  try {
    // What was typed stays in the dialog until the server has taken it.
    const incident = await ask(incidentPath(id), { method: "PATCH", body: { title, version } });
    if (page.incident?.incident_id === id) page.incident = incident;
    $("rename").close();
    toast(say("done_rename"));
  } catch (error) {
    if (error instanceof Refused && error.code === "stale_version") await showConflict(error);
    else $("rename-error").textContent = say("failed", { message: error.message });
  } finally {
    $("rename-confirm").disabled = false;
    after();
  }
}

// Somebody else changed the incident: who did what. The title that was typed can be saved all the same, or left.
async function showConflict(refused) {
  const before = dialog.incident.version;
  try {
    dialog.incident = await ask(incidentPath(dialog.incident.incident_id));
  } catch (error) {
    $("rename-error").textContent = say("failed", { message: error.message });
    return;
  }
  const { changes, alerts } = dialog.incident;
  await learnNames(changes.map((change) => change.actor), alerts[0]?.alert_id);
  const lines = incidentChangesSince(dialog.incident, before, person);
  $("rename-changed").replaceChildren(
    el("strong", {}, say("incident_changed_meanwhile")),
    lines.length > 0 ? el("ol", { className: "history" }, ...lines) : el("p", {}, refused.message),
    el("p", {}, say("still_possible")));
  $("rename-changed").hidden = false;
}

export function listenToRename(done) {
  after = done;
  $("rename").querySelector("form").addEventListener("submit", submit);
  $("rename-cancel").addEventListener("click", () => $("rename").close());
}
