// Arming: the profile that the site is in, what was armed or disarmed beside it, and changing the profile.

import { $, el, toast } from "./dom.js";
import { learnNames, person } from "./people.js";
import { ask, Refused } from "./server.js";
import { may, page } from "./state.js";
import { joinWords, listed, moment, say, shortMoment, word } from "./words.js";

// What the guard looked at when choosing: whoever changed it since is shown before it is changed again.
const dialog = { seen: null };

const SYSTEM = "gatewatch"; // As the journal calls it.
const setter = (one) => (one.set_by === SYSTEM ? say("gatewatch") : person(one.set_by));
const profileName = (name) => word("profile", name);
const target = (one) => say("rule_at", { rule: one.target || say("all_rules"), camera: one.camera });
// A profile is for all cameras.
const maySwitch = () => may("arming.write") && page.me.cameras === null;

// --- keeping up ---

export async function loadArming() {
  if (!may("arming.read")) return;
  const before = page.arming;
  const arming = await ask("arming");
  const setters = [arming, ...arming.overrides].map((one) => one.set_by).filter((name) => name !== SYSTEM);
  await learnNames(setters, page.selected ?? page.items[0]?.alert_id);
  page.arming = arming;
  drawArming();
  const news = before && before.version !== arming.version ? changes(before, arming).filter((one) => one.by !== page.me.name) : [];
  if (news.length > 0) {
    const text = listed(news.map((one) => one.text));
    $("announce").textContent = text;
    if (!$("arming").open) toast(text);
  }
}

// What happened between two looks, oldest first.
function changes(before, now) {
  const known = new Set(now.set_at === before.set_at ? before.overrides.map((one) => JSON.stringify(one)) : []);
  const since = now.overrides.filter((one) => !known.has(JSON.stringify(one))).map((one) => ({
    at: one.set_at, by: one.set_by, text: say(one.armed ? "did_arm" : "did_disarm", { who: setter(one), what: target(one) }),
  }));
  if (now.set_at === before.set_at && now.profile === before.profile) return since;
  const text = say("did_switch", { who: setter(now), profile: profileName(now.profile) });
  return [{ at: now.set_at, by: now.set_by, text }, ...since];
}

// --- at the top of the page ---

export function drawArming() {
  const { arming } = page;
  $("arming-button").hidden = arming === null;
  if (arming === null) return;
  const exceptions = arming.overrides.length;
  const by = say("set_by", { who: setter(arming), time: shortMoment(arming.set_at) });
  $("arming-button").replaceChildren(
    el("span", { className: "arming-is" }, el("span", { className: "soft" }, say("profile")), el("b", {}, profileName(arming.profile))),
    el("span", { className: "arming-by" }, by),
    ...(exceptions > 0 ? [el("span", { className: "badge exceptions" }, exceptionsWords(exceptions))] : []));
  $("arming-button").classList.toggle("in-drill", arming.drill);
  const whole = joinWords(`${say("profile")} ${profileName(arming.profile)}`, by, exceptions > 0 ? exceptionsWords(exceptions) : "");
  $("arming-button").title = whole;
  $("arming-button").setAttribute("aria-label", whole);
  if ($("arming").open) drawState();
}

const exceptionsWords = (n) => say(n === 1 ? "exception_1" : "exceptions_n", { n });

// --- the dialog ---

export function openArming() {
  if (page.arming === null) return;
  dialog.seen = page.arming;
  $("arming-profiles").hidden = !maySwitch();
  $("arming-confirm").hidden = !maySwitch();
  $("arming-changed").hidden = true;
  $("arming-error").textContent = "";
  $("arming-cancel").textContent = say(maySwitch() ? "cancel" : "close");
  drawProfiles();
  drawState();
  $("arming").showModal();
  (maySwitch() ? $("profiles").querySelector("input:checked") ?? $("profiles").querySelector("input") : $("arming-cancel")).focus();
}

function drawProfiles() {
  $("profiles").replaceChildren(...page.arming.profiles.map((one) => el("label", { className: "reason" },
    el("input", { type: "radio", name: "profile", value: one.name, checked: one.name === page.arming.profile }),
    el("span", {}, profileName(one.name)), el("span", { className: "soft now" }, say("now")))));
}

// Everything but what is chosen: it follows what others do while the dialog is open.
function drawState() {
  const { arming } = page;
  $("arming-now").textContent = say("profile_now", {
    profile: profileName(arming.profile), who: setter(arming), time: moment(arming.set_at),
  });
  $("arming-drill").hidden = !arming.drill;
  $("arming-exceptions").hidden = arming.overrides.length === 0;
  $("exceptions").replaceChildren(...arming.overrides.map((one) => el("li", {}, say(one.armed ? "exception_on" : "exception_off", {
    what: target(one), who: setter(one), time: shortMoment(one.set_at),
  }))));
  const off = arming.rules.filter((rule) => !rule.armed).map((rule) => say("rule_at", rule));
  $("arming-rules").textContent = arming.rules.length === 0 ? ""
    : off.length === 0 ? say("all_armed") : say("rules_off", { n: off.length, total: arming.rules.length, rules: listed(off) });
  for (const label of $("profiles").children) {
    label.querySelector(".now").hidden = label.querySelector("input").value !== arming.profile;
  }
  drawChoice();
}

const chosen = () => $("profiles").querySelector("input:checked")?.value ?? page.arming.profile;

// What the chosen profile will mean, before anybody confirms it.
function drawChoice() {
  if (!maySwitch()) {
    $("arming-then").replaceChildren();
    return;
  }
  const { arming } = page;
  const profile = arming.profiles.find((one) => one.name === chosen());
  const nothing = profile.name === arming.profile && arming.overrides.length === 0;
  const off = profile.disarmed.map(target);
  const means = nothing ? [] : [
    off.length > 0 ? say("then_off", { rules: listed(off) }) : say("then_all"),
    profile.drill ? say("then_drill") : null,
    arming.overrides.length > 0 ? say("then_exceptions") : null,
  ];
  $("arming-then").replaceChildren(...means.filter((text) => text).map((text) => el("p", {}, text)));
  $("arming-confirm").textContent = say(profile.name === arming.profile ? "end_exceptions" : "switch_to", { profile: profileName(profile.name) });
  $("arming-confirm").disabled = nothing;
}

async function submit(event) {
  event.preventDefault();
  if (!maySwitch() || $("arming-confirm").disabled) return;
  $("arming-confirm").disabled = true;
  $("arming-error").textContent = "";
  try {
    page.arming = await ask("arming", { method: "PUT", body: { profile: chosen(), version: dialog.seen.version } });
    $("arming").close();
    toast(say("done_profile", { profile: profileName(page.arming.profile) }));
  } catch (error) {
    if (error instanceof Refused && error.code === "stale_version") await showConflict(error);
    else $("arming-error").textContent = say("failed", { message: error.message });
  } finally {
    drawArming();
  }
}

// Somebody else was faster: who did what. What was chosen stays, and can be confirmed or left.
async function showConflict(error) {
  const before = dialog.seen;
  try {
    await loadArming();
  } catch {
    $("arming-error").textContent = say("failed", { message: error.message });
    return;
  }
  dialog.seen = page.arming;
  const lines = changes(before, page.arming).map((one) => el("li", {}, el("span", { className: "soft" }, moment(one.at)), el("span", {}, one.text)));
  $("arming-changed").replaceChildren(
    el("strong", {}, say("arming_changed")),
    lines.length > 0 ? el("ol", { className: "history" }, ...lines) : el("p", {}, error.message),
    el("p", {}, say("still_possible")));
  $("arming-changed").hidden = false;
}

export function listenToArming() {
  $("arming-button").addEventListener("click", openArming);
  $("profiles").addEventListener("change", drawChoice);
  $("arming").querySelector("form").addEventListener("submit", submit);
  $("arming-cancel").addEventListener("click", () => $("arming").close());
}
