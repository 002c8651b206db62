// Says in words what was done with an alert, by whom, when and why, and how long it took.

import { el } from "./dom.js";
import { knows, lasting, moment, reasonWord, say } from "./words.js";

const STEPS = [["seen", "seen_at"], ["acknowledged", "acknowledged_at"], ["closed", "closed_at"]];

const whoDid = (change, person) => (change.actor_kind === "system" || !change.actor ? say("gatewatch") : person(change.actor));

// What one entry says: "Li Si resolved it: Animal – a fox".
export function changeWords(change, person) {
  const who = whoDid(change, person);
  const key = `did_${change.action}`;
  const done = knows("page", key)
    ? say(key, { who, to: change.assignee ? person(change.assignee) : "" }) : `${who}: ${change.action}`;
  return [change.reason ? say("why", { done, reason: reasonWord(change.reason) }) : done, change.note];
}

function entry(change, person) {
  const [text, note] = changeWords(change, person);
  return line(change.at, text, note);
}

const line = (at, text, note) => el("li", {}, el("span", { className: "soft" }, moment(at)), el("span", {}, text),
  note ? el("q", {}, note) : null);

// Pictures and further events are shown elsewhere.
const ELSEWHERE = ["evidence", "evidence_missing", "joined"];

export function history(alert, person) {
  const changes = alert.changes.filter((change) => !ELSEWHERE.includes(change.action));
  if (changes.length === 0) return null;
  return el("section", {}, el("h3", {}, say("history")),
    el("ol", { className: "history", id: "history" }, ...changes.map((change) => entry(change, person))));
}

// What others did since this version: for a guard whose own step came too late.
export const changesSince = (alert, version, person) => alert.changes
  .filter((change) => change.version > version).map((change) => entry(change, person));

// What was done with an incident: "Li Si named it Night of the fox".
function incidentWords(change, who) {
  if (change.action === "note") return say("did_note", { who });
  if (change.title) return say("did_incident_title", { who, title: change.title });
  if (change.state) return say(`did_incident_${change.state}`, { who });
  const put = change.added.length > 0;
  return say(put ? "did_incident_added" : "did_incident_removed", { who, n: (put ? change.added : change.removed).length });
}

export const incidentChangesSince = (incident, version, person) => incident.changes
  .filter((change) => change.version > version)
  .map((change) => line(change.at, incidentWords(change, whoDid(change, person)), change.note));

export function responses(alert) {
  const took = alert.response_s ?? {};
  const cells = STEPS.map(([name]) => {
    const seconds = took[name];
    return el("div", { className: seconds === null || seconds === undefined ? "step" : "step done" },
      el("span", { className: "soft" }, say(`response_${name}`)),
      el("b", {}, seconds === null || seconds === undefined ? "–" : lasting(seconds)));
  });
  return el("section", {}, el("h3", {}, say("responses")), el("div", { className: "responses" }, ...cells));
}

