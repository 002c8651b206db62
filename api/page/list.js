// The list of alerts: what is asked for, what came, what is chosen and what is marked.

import { $, fillSelect, toast } from "./dom.js";
import { ask, Refused } from "./server.js";
import { alertPath, OPEN, page, SEVERITIES, STATES } from "./state.js";
import { listItem, stateButton } from "./view.js";
import { cameraName, currentLanguage, fromSiteClock, joinWords, moment, place, say, word } from "./words.js";

const HOUR_S = 3600;
const TIMES = { "": 0, hour: HOUR_S, shift: 12 * HOUR_S, day: 24 * HOUR_S, week: 7 * 24 * HOUR_S };
const LONG = 200;
const LONGEST = 2000;
const GROUPS = { open: OPEN, all: [] };

const statesOf = (choice) => GROUPS[choice] ?? [choice];
// Not as texts: whole seconds are written without a fraction.
const sortKey = (alert) => Date.parse(alert.raised_at ?? alert.received_at);
const index = (id) => page.items.findIndex((alert) => alert.alert_id === id);

// --- what is asked for ---

function query() {
  const asked = new URLSearchParams();
  const { states, severity, camera, text, mine, time, since, until } = page.filter;
  for (const state of statesOf(states)) asked.append("state", state);
  for (const one of severity ? SEVERITIES.slice(SEVERITIES.indexOf(severity)) : []) asked.append("severity", one);
  if (camera) asked.append("camera", camera);
  if (text) asked.set("text", text);
  if (mine) asked.set("assignee", "me");
  if (time === "span") {
    if (since) asked.set("since", fromSiteClock(since));
    if (until) asked.set("until", fromSiteClock(until));
  } else if (time) asked.set("since", new Date(Date.now() - TIMES[time] * 1000).toISOString());
  return asked;
}

function listPath(cursor) {
  const asked = query();
  asked.set("limit", "50");
  if (cursor) asked.set("cursor", cursor);
  else asked.set("total", "true");
  return `alerts?${asked}`;
}

export const narrowed = () => query().size > 0;

// --- what came ---

// The newest page in front of what is known already; what left the newest page's stretch no longer matches the filter.
function merge(fresh) {
  const inPage = new Set(fresh.items.map((alert) => alert.alert_id));
  const last = fresh.items.at(-1);
  const older = fresh.next_cursor === null || !last || beginsAnew(inPage) ? []
    : page.items.filter((alert) => !inPage.has(alert.alert_id) && sortKey(alert) <= sortKey(last));
  page.items = [...fresh.items, ...older];
  // Behind what is kept the list goes on where it went on before.
  if (older.length === 0) Object.assign(page, { cursor: fresh.next_cursor, older: false });
}

// Whether only the newest page is kept: where more than a page has come in, as something would be missing in between; and
// where the list has grown long by itself and nobody looks further down.
function beginsAnew(inPage) {
  if (!page.items.some((alert) => inPage.has(alert.alert_id))) return true;
  return page.items.length > (page.older ? LONGEST : LONG) && $("list").scrollTop === 0;
}

function announce(fresh) {
  const ids = fresh.items.map((alert) => alert.alert_id);
  if (page.known !== null) {
    const added = fresh.items.filter((alert) => !page.known.has(alert.alert_id) && alert.state === "new");
    const one = added[0];
    if (added.length === 1) {
      $("announce").textContent = say("new_alert", {
        kind: word("kind", one.kind), where: joinWords(place(one), cameraName(one)),
      });
    } else if (added.length > 1) $("announce").textContent = say("new_alerts", { n: added.length });
  }
  page.known = new Set([...(page.known ?? []), ...ids]);
}

// Rows behind the newest page are looked at one by one where the stream named them.
async function renewOlder(ids, fresh) {
  const inPage = new Set(fresh.items.map((alert) => alert.alert_id));
  const stale = ids.filter((id) => !inPage.has(id) && index(id) >= 0).slice(0, 20);
  await Promise.all(stale.map(async (id) => {
    let alert = null;
    try {
      alert = await ask(alertPath(id));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
    const at = index(id);
    const wanted = statesOf(page.filter.states);
    if (at < 0) return;
    if (alert === null || (wanted.length > 0 && !wanted.includes(alert.state))) page.items.splice(at, 1);
    else page.items[at] = alert;
  }));
}

// What was raised before all that the newest page has, and became known only now: at its place among what is loaded.
function placeLate(raised, fresh) {
  if (fresh.next_cursor === null) return;
  const newest = sortKey(fresh.items.at(-1));
  for (const alert of raised) {
    const within = sortKey(alert) < newest && (page.cursor === null || sortKey(alert) > sortKey(page.items.at(-1)));
    if (!within || index(alert.alert_id) >= 0 || !surelyAsked(alert)) continue;
    const at = page.items.findIndex((one) => sortKey(one) < sortKey(alert));
    page.items.splice(at < 0 ? page.items.length : at, 0, alert);
  }
}

// Whether it fits what is asked for, as far as that can be told without the server.
function surelyAsked(alert) {
  const { states, severity, camera, text, mine, time } = page.filter;
  const wanted = statesOf(states);
  return !text && !time && !mine && (!camera || alert.camera === camera) && (wanted.length === 0 || wanted.includes(alert.state))
    && (!severity || SEVERITIES.indexOf(alert.severity) >= SEVERITIES.indexOf(severity));
}

// Asks for the newest page and the counts. Returns whether the answer still fits what is asked for.
export async function loadList(ids, raised) {
  const asked = JSON.stringify(page.filter);
  const [fresh, counts] = await Promise.all([ask(listPath()), ask("alerts/counts")]);
  if (asked !== JSON.stringify(page.filter)) return false;
  page.cameras = Object.keys(counts.by_camera).filter((name) => name !== "");
  announce(fresh);
  merge(fresh);
  placeLate(raised, fresh);
  if (ids !== null) await renewOlder(ids, fresh);
  page.counts = counts.by_state;
  page.total = { number: fresh.total, exact: fresh.total_is_exact };
  page.loaded = true;
  return true;
}

export async function loadOlder() {
  const older = await ask(listPath(page.cursor));
  const known = new Set(page.items.map((alert) => alert.alert_id));
  page.items.push(...older.items.filter((alert) => !known.has(alert.alert_id)));
  for (const alert of older.items) page.known.add(alert.alert_id);
  page.cursor = older.next_cursor;
  page.older = true;
  drawList();
}

// --- how it looks ---

// Of each row what it was drawn from, and of each alert its text: a long list is looked through with every key.
const drawn = new WeakMap();
const texts = new WeakMap();

function asText(alert) {
  if (!texts.has(alert)) texts.set(alert, JSON.stringify(alert));
  return texts.get(alert);
}

export function drawList() {
  const list = $("list");
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  page.items.forEach((alert, at) => {
    const selected = alert.alert_id === page.selected;
    const marked = page.marked.has(alert.alert_id);
    const looks = `${selected} ${marked} ${currentLanguage()} ${page.names[alert.assignee]} ${asText(alert)}`;
    let row = rows.get(alert.alert_id);
    rows.delete(alert.alert_id);
    if (!row || drawn.get(row) !== looks) {
      const fresh = listItem(alert, selected, marked);
      drawn.set(fresh, looks);
      const picture = row?.querySelector("img.thumb");
      if (picture) fresh.querySelector("img.thumb")?.replaceWith(picture);
      row?.replaceWith(fresh);
      row = fresh;
    }
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
  for (const row of rows.values()) row.remove();
  if (index(page.selected) >= 0) list.setAttribute("aria-activedescendant", `row-${page.selected}`);
  else list.removeAttribute("aria-activedescendant");
  $("empty").hidden = page.items.length > 0 || !page.loaded;
  list.hidden = page.items.length === 0;
  $("empty").textContent = say(narrowed() ? "empty_filter" : "empty_all");
  $("more").hidden = page.cursor === null;
  drawCounts();
  drawMarked();
}

const countOf = (states) => states.reduce((sum, state) => sum + (page.counts[state] ?? 0), 0);

function drawCounts() {
  const choices = ["open", ...STATES, "all"];
  const buttons = choices.map((choice) => stateButton(
    choice, countOf(GROUPS[choice]?.length ? GROUPS[choice] : choice === "all" ? STATES : [choice]),
    choice === page.filter.states,
  ));
  const looks = buttons.map((button) => button.outerHTML).join("");
  if ($("states").dataset.looks !== looks) {
    const focused = document.activeElement?.closest?.("#states button")?.dataset.state;
    $("states").replaceChildren(...buttons);
    $("states").dataset.looks = looks;
    if (focused) buttons.find((button) => button.dataset.state === focused)?.focus();
  }
  const { number, exact } = page.total;
  const many = !exact ? "listed_more" : number === 1 ? "listed_1" : "listed_n";
  $("list-count").textContent = number === null ? "" : say(many, { n: number });
  document.title = page.counts.new ? `(${page.counts.new}) Gatewatch` : "Gatewatch";
}

function drawMarked() {
  $("marked").hidden = page.marked.size === 0;
  $("marked-count").textContent = say("marked_n", { n: page.marked.size });
}

// --- filters ---

export function drawFilters(cameras) {
  const filter = page.filter;
  fillSelect($("filter-severity"), [["", say("any_severity")], ...SEVERITIES.slice(1).map((one) => [
    one, one === "critical" ? word("severity", one) : say("and_above", { severity: word("severity", one) })])], filter.severity);
  fillSelect($("filter-camera"), [["", say("any_camera")], ...cameras.map((name) => [name, name])], filter.camera);
  fillSelect($("filter-time"), [...Object.keys(TIMES).map((one) => [one, say(one ? `last_${one}` : "any_time")]),
    ["span", say("time_span")]], filter.time);
  $("filter-mine").checked = filter.mine;
  $("filter-text").value = filter.text;
  $("time-span").hidden = filter.time !== "span";
}

function narrow(change, after) {
  Object.assign(page.filter, change);
  // Nothing that was found by the old filter stays, or it would seem to fit the new one.
  Object.assign(page, { items: [], cursor: null, older: false, loaded: false });
  $("time-span").hidden = page.filter.time !== "span";
  drawList();
  after();
}

export function listenToFilters(after) {
  $("states").addEventListener("click", (event) => {
    const chosen = event.target.closest("button")?.dataset.state;
    if (chosen) narrow({ states: chosen }, after);
  });
  for (const name of ["severity", "camera", "time", "since", "until"]) {
    $(`filter-${name}`).addEventListener("change", (event) => narrow({ [name]: event.target.value }, after));
  }
  $("filter-mine").addEventListener("change", (event) => narrow({ mine: event.target.checked }, after));
  let typing = null;
  $("filter-text").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => narrow({ text: event.target.value.trim() }, after), 350);
  });
}

// --- choosing and marking ---

// The alert that lies `step` below the chosen one; where that has left the list, the one that took its place.
export function neighbour(step) {
  if (page.items.length === 0) return null;
  const at = index(page.selected);
  const wanted = at >= 0 ? at + step : Math.min(page.position, page.items.length - 1);
  return page.items[Math.min(Math.max(wanted, 0), page.items.length - 1)].alert_id;
}

export function rememberPosition(id) {
  page.position = Math.max(0, index(id));
}

export function toggleMark(id) {
  if (id === null) return;
  if (page.marked.has(id)) page.marked.delete(id);
  else if (page.marked.size >= 100) toast(say("too_many_marked"), true);
  else page.marked.add(id);
  drawList();
}

export const sinceWords = () => (page.lastGood ? moment(page.lastGood.toISOString()) : "–");
