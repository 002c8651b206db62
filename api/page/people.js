// What people are called. Until that is known, and where it cannot be, the names by which they log in stand for them.

import { ask, Refused } from "./server.js";
import { alertPath, may, page } from "./state.js";
import { say } from "./words.js";

const nameOf = (name) => (name === page.me?.name ? page.me.display_name || name : page.names[name] || name);

// Tokens act as "owner/token".
const owner = (name) => name.split("/")[0];

export function person(name) {
  if (name === page.me?.name) return say("me");
  const [who, token] = [nameOf(owner(name)), name.slice(owner(name).length + 1)];
  if (!token) return who;
  return may("journal.read") ? say("by_that_token", { who, token }) : say("by_token", { who });
}

const unknown = (names) => [...new Set(names.filter((name) => name).map(owner))]
  .filter((name) => name !== page.me.name && !(name in page.names));

async function allUsers() {
  let cursor = null;
  do {
    const found = await ask(`users?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    for (const one of found.items) page.names[one.user] = one.display_name;
    cursor = found.next_cursor;
  } while (cursor);
}

async function colleagues(alertId) {
  const { items } = await ask(`${alertPath(alertId)}/assignees`);
  for (const one of items) page.names[one.name] = one.display_name;
}

// Learns what they are called, for each name once: of all users at a time, or, for whoever may not see these, of all who
// could take the alert `alertId` that they had to do with.
export async function learnNames(names, alertId) {
  const wanted = unknown(names);
  if (wanted.length === 0) return;
  try {
    if (may("users.read")) await allUsers();
    else if (may("alerts.handle") && alertId) await colleagues(alertId);
    else return;
  } catch (error) {
    if (!(error instanceof Refused)) return; // Another look will come.
  }
  for (const name of wanted) page.names[name] ??= "";
}

// Of many alerts: who has them. Asks again only for somebody who is still unknown.
export async function learnAssignees(alerts) {
  for (const alert of alerts) if (alert.assignee) await learnNames([alert.assignee], alert.alert_id);
}
