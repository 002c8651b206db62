// The review page: keeps a list of alerts up to date, shows one, and lets a guard handle it.

import { actionBar, el, evidence, heading, listItem, side } from "./view.js";
import {
  currentLanguage, loadWords, measuredText, moment, place, placeTimeZone, REASONS, say, setLanguage, setPlace, STATES, word,
} from "./words.js";

const API = "api/v1";
const POLL_MS = 2000;
const OPEN = ["new", "acknowledged"];
const $ = (id) => document.getElementById(id);

const page = {
  items: [], cursor: null, older: false, filter: "all",
  selected: null, detail: null, position: 0,
  seen: null, offlineSince: null, lastGood: null, busy: false,
};

// --- the server ---

class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
  }
}

async function ask(path, body) {
  const options = { signal: AbortSignal.timeout(8000) };
  if (body !== undefined) {
    Object.assign(options, {
      method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" },
    });
  }
  const response = await fetch(`${API}/${path}`, options);
  const content = await response.json();
  if (!response.ok) throw new Refused(response.status, content.error);
  return content;
}

function listPath(cursor) {
  const query = new URLSearchParams({ limit: "50" });
  const states = page.filter === "all" ? [] : page.filter === "open" ? OPEN : [page.filter];
  for (const state of states) query.append("state", state);
  if (cursor) query.set("cursor", cursor);
  return `alerts?${query}`;
}

const alertPath = (id) => `alerts/${encodeURIComponent(id)}`;
const sortKey = (alert) => alert.raised_at ?? alert.received_at;

// --- the list ---

// The newest page in front of what is known already; what left the newest page's stretch no longer matches the filter.
function merge(fresh) {
  const known = new Set(fresh.items.map((alert) => alert.alert_id));
  const last = fresh.items.at(-1);
  const rest = fresh.next_cursor === null || !last ? []
    : page.items.filter((alert) => !known.has(alert.alert_id) && sortKey(alert) <= sortKey(last));
  page.items = [...fresh.items, ...rest];
  if (!page.older) page.cursor = fresh.next_cursor;
}

function announce(fresh) {
  const ids = fresh.items.map((alert) => alert.alert_id);
  if (page.seen !== null) {
    const added = fresh.items.filter((alert) => !page.seen.has(alert.alert_id) && alert.state === "new");
    const one = added[0];
    if (added.length === 1) {
      $("announce").textContent = say("new_alert", {
        kind: word("kind", one.kind), place: place(one), camera: one.camera,
      });
    } else if (added.length > 1) $("announce").textContent = say("new_alerts", { n: added.length });
  }
  page.seen = new Set([...(page.seen ?? []), ...ids]);
}

function drawList() {
  const list = $("list");
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  page.items.forEach((alert, index) => {
    const selected = alert.alert_id === page.selected;
    const looks = JSON.stringify([alert, selected, currentLanguage()]);
    let row = rows.get(alert.alert_id);
    rows.delete(alert.alert_id);
    if (!row || row.dataset.looks !== looks) {
      const fresh = listItem(alert, selected);
      fresh.dataset.looks = looks;
      const picture = row?.querySelector("img.thumb");
      if (picture) fresh.querySelector("img.thumb")?.replaceWith(picture);
      row?.replaceWith(fresh);
      row = fresh;
    }
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  for (const row of rows.values()) row.remove();
  const active = page.items.some((alert) => alert.alert_id === page.selected);
  if (active) list.setAttribute("aria-activedescendant", `row-${page.selected}`);
  else list.removeAttribute("aria-activedescendant");
  $("empty").hidden = page.items.length > 0 || page.seen === null;
  list.hidden = page.items.length === 0;
  $("empty").textContent = say(page.filter === "all" ? "empty_all" : "empty_filter");
  $("more").hidden = page.cursor === null;
}

function drawCounts(counts) {
  const open = OPEN.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  $("open-count").textContent = say("open_count", { n: open });
  document.title = counts.new ? `(${counts.new}) Gatewatch` : "Gatewatch";
}

// --- one alert ---

function drawDetail() {
  const pane = $("detail");
  const alert = page.detail;
  if (!alert) {
    pane.replaceChildren(el("p", { className: "empty" }, say(page.selected ? "loading" : "nothing_selected")));
    pane.dataset.id = "";
    return;
  }
  const media = JSON.stringify([alert.clips, alert.snapshot_url, alert.media, alert.media_note, currentLanguage()]);
  const same = pane.dataset.id === alert.alert_id;
  const focused = pane.contains(document.activeElement) ? document.activeElement.id : null;
  if (same) {
    $("detail-head").replaceWith(heading(alert));
    $("actions").replaceWith(actionBar(alert, begin));
    $("side").replaceWith(side(alert));
    if (pane.dataset.media !== media) $("evidence").replaceWith(evidence(alert));
  } else {
    pane.replaceChildren(heading(alert), actionBar(alert, begin),
      el("div", { className: "detail-body" }, evidence(alert), side(alert)));
    pane.scrollTop = 0;
  }
  pane.dataset.id = alert.alert_id;
  pane.dataset.media = media;
  if (focused && document.activeElement === document.body) {
    const again = $(focused);
    (again && !again.disabled ? again : pane).focus({ preventScroll: true });
  }
}

async function loadDetail() {
  const id = page.selected;
  if (id === null) return;
  const detail = await ask(alertPath(id));
  if (page.selected !== id) return;
  const changed = JSON.stringify(detail) !== JSON.stringify(page.detail);
  page.detail = detail;
  if (changed) drawDetail();
}

function select(id, { scroll = true } = {}) {
  if (id === page.selected) return;
  page.selected = id;
  page.detail = null;
  page.position = Math.max(0, page.items.findIndex((alert) => alert.alert_id === id));
  drawList();
  drawDetail();
  if (scroll) $(`row-${id}`)?.scrollIntoView({ block: "nearest" });
  guarded(loadDetail);
}

function move(step) {
  if (page.items.length === 0) return;
  const at = page.items.findIndex((alert) => alert.alert_id === page.selected);
  const wanted = at >= 0 ? at + step : Math.min(page.position, page.items.length - 1);
  select(page.items[Math.min(Math.max(wanted, 0), page.items.length - 1)].alert_id);
}

// --- handling ---

function toast(text, bad = false) {
  const box = $("toast");
  box.textContent = text;
  box.className = bad ? "toast bad" : "toast";
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 5000);
}

function begin(action) {
  if (!page.detail || page.busy || !page.detail.allowed_actions.includes(action)) return;
  if (action === "false_alarm") openFalseAlarm();
  else handle(page.detail, action, {});
}

async function handle(alert, action, body) {
  page.busy = true;
  try {
    // A verdict is on what the guard saw; an acknowledgement holds for whatever comes in meanwhile.
    const version = action === "acknowledge" ? {} : { version: alert.version };
    const detail = await ask(`${alertPath(alert.alert_id)}/${action.replace("_", "-")}`, { ...version, ...body });
    if (page.selected === alert.alert_id) page.detail = detail;
    drawDetail();
    toast(say(`done_${action}`));
  } catch (error) {
    if (error instanceof Refused && error.code === "stale_version") toast(say("stale"), true);
    else if (error instanceof Refused && error.code === "illegal_transition") toast(say("already"), true);
    else toast(say("failed", { message: error.message }), true);
  } finally {
    page.busy = false;
  }
  await refresh();
}

function openFalseAlarm() {
  const alert = page.detail;
  $("false-alarm-of").textContent = `${word("kind", alert.kind)} · ${place(alert)} · ${measuredText(alert.measured)}`;
  $("reasons").replaceChildren(...REASONS().map((reason) => el("label", { className: "reason" },
    el("input", { type: "radio", name: "reason", value: reason }), el("span", {}, word("reason", reason)))));
  $("note").value = "";
  $("false-alarm-error").textContent = "";
  $("false-alarm").dataset.of = alert.alert_id;
  $("false-alarm").alert = alert;
  $("false-alarm").showModal();
  $("reasons").querySelector("input").focus();
}

function submitFalseAlarm(event) {
  event.preventDefault();
  const reason = $("reasons").querySelector("input:checked")?.value;
  const note = $("note").value.trim();
  if (!reason || (reason === "other" && !note)) {
    $("false-alarm-error").textContent = say(reason ? "note_missing" : "reason_missing");
    (reason ? $("note") : $("reasons").querySelector("input")).focus();
    return;
  }
  const alert = $("false-alarm").alert;
  $("false-alarm").close();
  handle(alert, "false_alarm", note ? { reason, note } : { reason });
}

// --- keeping up ---

function connected(good) {
  if (good) page.lastGood = new Date();
  page.offline = !good;
  $("connection").classList.toggle("bad", !good);
  $("connection-text").textContent = say(good ? "connected" : "disconnected");
  $("offline").hidden = good;
  const text = good ? "" : say("offline", { time: page.lastGood ? moment(page.lastGood.toISOString()) : "–" });
  if ($("offline").textContent !== text) $("offline").textContent = text;
}

// Runs a step against the server and shows whether there is one.
async function guarded(step) {
  try {
    await step();
    connected(true);
  } catch (error) {
    if (error instanceof Refused && error.status < 500) toast(say("failed", { message: error.message }), true);
    else connected(false);
  }
}

async function refresh() {
  await guarded(async () => {
    const filter = page.filter;
    const [fresh, health] = await Promise.all([ask(listPath()), ask("health")]);
    if (filter !== page.filter) return;
    announce(fresh);
    merge(fresh);
    if (page.selected === null && page.items.length > 0) select(page.items[0].alert_id, { scroll: false });
    drawList();
    drawCounts(health.alerts);
    const item = page.items.find((alert) => alert.alert_id === page.selected);
    const shown = page.detail;
    if (!item || !shown || item.version !== shown.version || item.media !== shown.media
      || item.snapshot_url !== shown.snapshot_url || item.clips.length !== shown.clips.length) await loadDetail();
  });
}

async function poll() {
  await refresh();
  setTimeout(poll, POLL_MS);
}

async function loadOlder() {
  await guarded(async () => {
    const older = await ask(listPath(page.cursor));
    const known = new Set(page.items.map((alert) => alert.alert_id));
    page.items.push(...older.items.filter((alert) => !known.has(alert.alert_id)));
    for (const alert of older.items) page.seen.add(alert.alert_id);
    page.cursor = older.next_cursor;
    page.older = true;
    drawList();
  });
}

// --- keyboard ---

const KEYS = [
  [["j", "ArrowDown"], "key_next", () => move(1), ["J", "↓"]],
  [["k", "ArrowUp"], "key_previous", () => move(-1), ["K", "↑"]],
  [["a"], "key_acknowledge", () => begin("acknowledge"), ["A"]],
  [["r"], "key_resolve", () => begin("resolve"), ["R"]],
  [["f"], "key_false_alarm", () => begin("false_alarm"), ["F"]],
  [[" "], "key_play", () => withClip((clip) => (clip.paused ? clip.play() : clip.pause())), ["space"]],
  [["e"], "key_event", () => withClip((clip) => { clip.currentTime = Number(clip.dataset.event); }), ["E"]],
  [["ArrowLeft"], "key_seek", () => withClip((clip) => { clip.currentTime -= 5; }), ["←", "→"]],
  [["ArrowRight"], null, () => withClip((clip) => { clip.currentTime += 5; }), []],
  [["?"], "key_help", () => $("help").showModal(), ["?"]],
];

function withClip(step) {
  const clips = [...$("detail").querySelectorAll("video")];
  const clip = clips.find((video) => !video.paused) ?? clips[0];
  if (clip) Promise.resolve(step(clip)).catch(() => {});
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target;
  if (target.closest("input, textarea, select")) return;
  if (target.closest("video") && [" ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
  if (event.key === " " && target.closest("button, a")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const entry = KEYS.find(([names]) => names.includes(key));
  if (!entry) return;
  event.preventDefault();
  entry[2]();
}

// --- the frame of the page ---

function drawFrame() {
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
  const options = [["all", say("all")], ["open", say("open")], ...STATES().map((state) => [state, word("state", state)])];
  $("filter-state").replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  $("filter-state").value = page.filter;
  $("language").value = currentLanguage();
  $("key-list").replaceChildren(...KEYS.filter(([, text]) => text).flatMap(([, text, , caps]) => [
    el("dt", {}, ...caps.flatMap((cap) => [el("kbd", {}, cap === "space" ? say("space") : cap), " "])),
    el("dd", {}, say(text))]),
  el("dt", {}, el("kbd", {}, "Esc")), el("dd", {}, say("key_escape")));
}

function tick() {
  $("clock").textContent = `${moment(new Date().toISOString())} ${placeTimeZone()}`;
}

function chooseLanguage(wanted) {
  setLanguage(wanted);
  try { localStorage.setItem("gatewatch.language", wanted); } catch { /* Private windows may keep nothing. */ }
  drawFrame();
  tick();
  drawList();
  drawDetail();
  refresh();
}

function remembered() {
  try { return localStorage.getItem("gatewatch.language"); } catch { return null; }
}

function listen() {
  document.addEventListener("keydown", onKey);
  $("list").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (row) select(row.dataset.id, { scroll: false });
  });
  $("more").addEventListener("click", loadOlder);
  $("language").addEventListener("change", (event) => chooseLanguage(event.target.value));
  $("filter-state").addEventListener("change", (event) => {
    Object.assign(page, { filter: event.target.value, items: [], cursor: null, older: false });
    $("list").focus();
    refresh();
  });
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("false-alarm").querySelector("form").addEventListener("submit", submitFalseAlarm);
  $("false-alarm-cancel").addEventListener("click", () => $("false-alarm").close());
}

async function start() {
  await loadWords();
  const site = await ask("site");
  setPlace(site.timezone);
  setLanguage(remembered() ?? site.language);
  $("site-name").textContent = site.name;
  drawFrame();
  drawDetail();
  listen();
  tick();
  setInterval(tick, 1000);
  await poll();
  $("list").focus();
}

start();
