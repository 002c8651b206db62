// The one dialog for everything that a guard says about an alert: a verdict and its reason, a colleague, a note.

import { ACTIONS, drawDetail, handle, possible } from "./alert.js";
import { $, el, fillSelect } from "./dom.js";
import { changesSince } from "./history.js";
import { person } from "./people.js";
import { ask, Refused } from "./server.js";
import { alertPath, page } from "./state.js";
import { currentLanguage, joinWords, measuredText, place, say, word } from "./words.js";

const VERDICTS = { resolve: "resolved", false_alarm: "false_alarm", drill: "drill" };
const NOTE_NEEDED = ["reopen", "note"];
const open = { name: null, alert: null };

const reasonsOf = (name) => page.reasons.filter((reason) => reason.verdicts.includes(VERDICTS[name]));

// Opens the dialog. `conflict`: the step was tried already, and somebody else was faster.
export async function decide(name, alert, conflict = null) {
  Object.assign(open, { name, alert });
  $("decide-title").textContent = say(`title_${name}`);
  $("decide-of").textContent = joinWords(word("kind", alert.kind), place(alert), measuredText(alert.measured));
  $("decide-confirm").textContent = say(`confirm_${name}`);
  $("decide-confirm").disabled = false;
  $("decide-error").textContent = "";
  $("decide-changed").hidden = true;
  $("note").value = "";
  drawReasons(name);
  $("decide-to").hidden = name !== "assign";
  $("decide-note").hidden = conflict !== null && !(name in VERDICTS);
  $("note-label").textContent = say(NOTE_NEEDED.includes(name) ? `note_${name}` : "note_optional");
  $("decide").showModal();
  if (conflict) await showConflict(conflict);
  if (name === "assign") await loadColleagues(alert);
  first().focus();
}

function drawReasons(name) {
  $("decide-reasons").hidden = !(name in VERDICTS);
  const language = currentLanguage();
  $("reasons").replaceChildren(...(name in VERDICTS ? reasonsOf(name) : []).map((reason) => el("label", { className: "reason" },
    el("input", { type: "radio", name: "reason", value: reason.code }),
    el("span", {}, `${reason.label[language] ?? reason.label.en}${reason.needs_note ? say("please_say") : ""}`))));
}

function first() {
  if (open.name in VERDICTS) return $("reasons").querySelector("input:checked") ?? $("reasons").querySelector("input") ?? $("note");
  if (open.name === "assign") return $("assignee");
  return $("decide-note").hidden ? $("decide-cancel") : $("note");
}

async function loadColleagues(alert) {
  try {
    const { items } = await ask(`${alertPath(alert.alert_id)}/assignees`);
    fillSelect($("assignee"), items.filter((one) => one.name !== alert.assignee)
      .map((one) => [one.name, one.name === page.me.name ? say("me_too", { name: one.display_name || one.name }) : one.display_name || one.name]));
    if (items.length === 0) $("decide-error").textContent = say("nobody");
  } catch (error) {
    $("decide-error").textContent = say("failed", { message: error.message });
  }
}

function answer() {
  const note = $("note").value.trim();
  const body = note ? { note } : {};
  if (open.name === "assign") body.assignee = $("assignee").value;
  if (open.name in VERDICTS) {
    const reason = reasonsOf(open.name).find((one) => one.code === $("reasons").querySelector("input:checked")?.value);
    if (!reason) return { wrong: "reason_missing", field: first() };
    body.reason = reason.code;
    if (reason.needs_note && !note) return { wrong: "note_missing", field: $("note") };
  }
  if (NOTE_NEEDED.includes(open.name) && !note) return { wrong: open.name === "note" ? "note_missing_text" : "reopen_missing", field: $("note") };
  if (open.name === "assign" && !body.assignee) return { wrong: "nobody", field: $("assignee") };
  return { body };
}

async function submit(event) {
  event.preventDefault();
  if ($("decide-confirm").disabled) return;
  const { body, wrong, field } = answer();
  $("decide-error").textContent = wrong ? say(wrong) : "";
  if (wrong) {
    field.focus();
    return;
  }
  $("decide-confirm").disabled = true;
  try {
    // What was typed stays in the dialog until the server has taken it.
    await handle(open.alert, open.name, body, { conflict: (_, __, error) => showConflict(error) });
    $("decide").close();
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 409) {
      $("decide-error").textContent = say("failed", { message: error.message });
      $("decide-confirm").disabled = false;
    }
  }
}

// Somebody else changed the alert: who did what, and whether the step is still possible.
async function showConflict(error) {
  const before = open.alert.version;
  const alert = await ask(alertPath(open.alert.alert_id));
  open.alert = alert;
  if (page.selected === alert.alert_id) {
    page.detail = alert;
    drawDetail();
  }
  const action = ACTIONS.find((one) => one.name === open.name);
  const still = possible(alert, action);
  const changes = changesSince(alert, before, person);
  $("decide-changed").replaceChildren(
    el("strong", {}, say(changes.length > 0 ? "changed_meanwhile" : "refused_now")),
    changes.length > 0 ? el("ol", { className: "history" }, ...changes) : el("p", {}, error.message),
    el("p", {}, say(still ? "still_possible" : "no_longer_possible", { state: word("state", alert.state) })));
  $("decide-changed").hidden = false;
  $("decide-confirm").disabled = !still;
  if (!still) $("decide-cancel").focus();
}

export function listenToDecisions() {
  $("decide").querySelector("form").addEventListener("submit", submit);
  $("decide-cancel").addEventListener("click", () => $("decide").close());
}
