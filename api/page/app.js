// The page of the alert desk: puts its parts together.

import { drawDetail, loadDetail, markSeen, onAction, select } from "./alert.js";
import { drawArming, listenToArming, loadArming, openArming } from "./arming.js";
import { cameraNames, drawCameras, startCameras } from "./cameras.js";
import { decide, listenToDecisions } from "./decide.js";
import { arrive, changeOwnPassword, drawDoor, listenAtDoor, logOut, takeFragment } from "./door.js";
import { $, el, remember, remembered, toast } from "./dom.js";
import { gather, listenToIncidents } from "./incidents.js";
import { drawKeys, listenToKeys } from "./keys.js";
import {
  drawFilters, drawList, listenToFilters, loadList, loadOlder, neighbour, sinceWords, toggleMark,
} from "./list.js";
import { Live } from "./live.js";
import { learnAssignees } from "./people.js";
import { listenToRename } from "./rename.js";
import { ask, Refused } from "./server.js";
import { page } from "./state.js";
import { currentLanguage, loadWords, moment, say, setLanguage, timeZone, word } from "./words.js";

// At once, before anything is loaded: a password may stand in the address bar.
takeFragment();
addEventListener("hashchange", takeFragment);

let shownCameras = "";
const live = new Live({ address: "api/v1/stream", refresh, show: showConnection });

// --- keeping up ---

function showConnection(state) {
  const good = state !== "down";
  if (good) page.lastGood = new Date();
  $("connection").className = `connection ${state}`;
  $("connection-text").textContent = say(`connection_${state}`);
  $("connection").dataset.state = state;
  const text = good ? "" : say("offline", { time: sinceWords() });
  if ($("offline").textContent !== text) $("offline").textContent = text;
  $("offline").hidden = good;
}

// Asks for what is shown; `ids`: the alerts that changed, null where that is unknown; `raised`: those that are new;
// `arming`: whether that may have changed. Returns whether the server answered.
async function refresh({ ids, raised, arming }) {
  try {
    const [fits] = await Promise.all([loadList(ids, raised), arming ? loadArming() : null]);
    page.lastGood = new Date();
    if (!fits) return refresh({ ids, raised, arming: false });
    await learnAssignees(page.items);
    if (page.selected === null && page.items.length > 0) select(page.items[0].alert_id, load);
    drawList();
    if (page.cameras.join() !== shownCameras) drawFilters(knownCameras());
    shownCameras = page.cameras.join();
    const item = page.items.find((alert) => alert.alert_id === page.selected);
    const shown = page.detail;
    if (page.selected !== null && (ids === null || !shown || ids.includes(page.selected) || (item && item.version !== shown.version))) {
      await loadDetail();
    }
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) return false;
    if (error.status < 500 && error.status !== 429) toast(say("failed", { message: error.message }), true);
    return error.status < 500;
  }
}

function load() {
  loadDetail().catch((error) => { if (error instanceof Refused) toast(say("failed", { message: error.message }), true); else live.ask(); });
}

const look = () => { live.everything = true; live.later(); };

// --- the frame of the page ---

function drawFrame() {
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of document.querySelectorAll("[data-title]")) node.title = say(node.dataset.title);
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = say(node.dataset.hint);
  for (const select of document.querySelectorAll("select.language")) select.value = currentLanguage();
  $("elsewhere").textContent = say("log_in_with", { name: $("elsewhere").dataset.name ?? "" });
  drawDoor();
  if (page.me === null) return;
  $("who").replaceChildren(page.me.display_name || page.me.name, el("span", { className: "role" }, ` · ${word("role", page.me.role)}`));
  $("site-name").textContent = page.site.name;
  drawFilters(knownCameras());
  drawKeys();
  drawArming();
  tick();
}

const knownCameras = () => [...new Set([...cameraNames(), ...(page.me.cameras ?? []), ...page.cameras])].sort();

function tick() {
  $("clock").textContent = moment(new Date().toISOString());
  $("clock-zone").textContent = timeZone();
  $("clock").title = timeZone();
}

function chooseLanguage(wanted) {
  setLanguage(wanted);
  remember("language", wanted);
  drawFrame();
  if (page.me === null) return;
  drawList();
  drawDetail();
  drawCameras();
  showConnection($("connection").dataset.state ?? "asking");
}

function listen() {
  for (const select of document.querySelectorAll("select.language")) {
    select.addEventListener("change", (event) => chooseLanguage(event.target.value));
  }
  $("list").addEventListener("click", (event) => {
    const row = event.target.closest("li");
    if (!row) return;
    if (event.target.closest(".mark")) toggleMark(row.dataset.id);
    else choose(row.dataset.id);
  });
  $("more").addEventListener("click", () => { loadOlder().catch(() => live.ask()); });
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("who").addEventListener("click", changeOwnPassword);
  $("log-out").addEventListener("click", () => { logOut().catch((error) => toast(say("failed", { message: error.message }), true)); });
  $("marked-incident").addEventListener("click", () => gather([...page.marked]));
  $("marked-clear").addEventListener("click", () => { page.marked.clear(); drawList(); });
  // Whoever moves something in front of the screen has seen what it shows.
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => { if (page.me !== null) markSeen(); });
  listenToFilters(look);
  listenToDecisions();
  listenToIncidents({ done: look, chosen: choose });
  listenToRename(() => { drawDetail(); look(); });
  listenToArming();
  listenToKeys({ move, mark: () => toggleMark(page.selected), search: () => $("filter-text").focus(), arming: openArming });
  onAction({ asking: ask_first, done: look });
}

function ask_first(name, alert, conflict) {
  if (name === "incident") return gather(page.marked.size > 0 ? [...new Set([...page.marked, alert.alert_id])] : [alert.alert_id]);
  return decide(name, alert, conflict);
}

function choose(id) {
  select(id, () => loadDetail().then(markSeen).catch(() => live.ask()));
}

function move(step) {
  choose(neighbour(step));
  document.getElementById(`row-${page.selected}`)?.scrollIntoView({ block: "nearest" });
}

async function loadSite() {
  const [site, reasons] = await Promise.all([ask("site"), ask("reasons")]);
  Object.assign(page, { site, reasons: reasons.items });
}

// Whoever comes back after the session has ended finds everything as it was; the stream and pictures begin anew.
function comeBack() {
  live.stop();
  live.start();
  drawFrame();
  drawDetail();
}

async function start() {
  await loadWords();
  setLanguage(remembered("language") ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"));
  listen();
  drawFrame();
  await listenAtDoor(comeBack);
  for (let pause = 1000; ; pause = Math.min(2 * pause, 10000)) {
    try {
      await arrive();
      await loadSite();
      break;
    } catch (error) {
      toast(error instanceof Refused ? say("failed", { message: error.message }) : say("no_answer"), true);
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  }
  if (!remembered("language")) setLanguage(page.site.language);
  $("desk").hidden = false;
  drawFrame();
  drawDetail();
  setInterval(tick, 1000);
  startCameras().then(() => drawFilters(knownCameras())).catch(() => {});
  live.start();
  $("list").focus();
}

start();
