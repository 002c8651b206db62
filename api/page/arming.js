// Arming: the profile that the site is in, what was armed or disarmed beside it, and changing either.

import { $, el, fillSelect, toast } from "./dom.js";
import { learnNames, person } from "./people.js";
import { ask, post, Refused } from "./server.js";
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
  $("arming-single").hidden = !may("arming.write") || page.arming.rules.length === 0;
  $("arming-single").open = !maySwitch();
  $("arming-changed").hidden = true;
  $("arming-error").textContent = "";
  $("arming-cancel").textContent = say("close");
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
  const n = arming.rules.filter((rule) => !rule.armed).length;
  $("arming-rules").textContent = arming.rules.length === 0 ? ""
    : n === 0 ? say("all_armed") : say("rules_off", { n, total: arming.rules.length, rules: listed(offWords()) });
  for (const label of $("profiles").children) {
    label.querySelector(".now").hidden = label.querySelector("input").value !== arming.profile;
  }
  drawChoice();
  const options = choices().map((one) => [keyOf(one), say(one.armed ? "is_armed" : "is_disarmed", { what: target(one) })]);
  fillSelect($("arming-rule"), options);
  drawStep();
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

// --- single rules ---

// The rules of each camera.
function byCamera() {
  const cameras = new Map();
  for (const { camera, rule, armed } of page.arming.rules) {
    cameras.set(camera, [...(cameras.get(camera) ?? []), { camera, target: rule, armed }]);
  }
  return [...cameras.values()];
}

// What can be armed or disarmed by itself: each rule, and all of a camera.
const choices = () => byCamera().flatMap((own) => (own.length === 1 ? own
  : [{ camera: own[0].camera, target: "", armed: own.every((one) => one.armed) }, ...own]));

const offWords = () => byCamera().flatMap((own) => (own.length > 1 && own.every((one) => !one.armed)
  ? [{ camera: own[0].camera, target: "" }] : own.filter((one) => !one.armed))).map(target);

const keyOf = (one) => JSON.stringify([one.camera, one.target]);
const chosenRule = () => choices().find((one) => keyOf(one) === $("arming-rule").value);

function drawStep() {
  $("arming-step").textContent = say(chosenRule()?.armed ? "disarm_it" : "arm_it");
}

// --- doing it ---

async function doing(button, step) {
  if (button.disabled) return;
  button.disabled = true;
  $("arming-error").textContent = "";
  try {
    page.arming = await step(dialog.seen.version);
    dialog.seen = page.arming;
    $("arming-changed").hidden = true;
  } catch (error) {
    if (error instanceof Refused && error.code === "stale_version") await showConflict(error);
    else $("arming-error").textContent = say("failed", { message: error.message });
  } finally {
    button.disabled = false;
    drawArming();
  }
}

function submit(event) {
  event.preventDefault();
  if (!maySwitch()) return;
  doing($("arming-confirm"), async (version) => {
    const arming = await ask("arming", { method: "PUT", body: { profile: chosen(), version } });
    $("arming").close();
    toast(say("done_profile", { profile: profileName(arming.profile) }));
    return arming;
  });
}

function override() {
  const { camera, target: rule, armed } = chosenRule();
  doing($("arming-step"), async (version) => {
    const arming = await post("arming/overrides", { camera, target: rule, armed: !armed, version });
    toast(say(armed ? "is_disarmed" : "is_armed", { what: target({ camera, target: rule }) }));
    return arming;
  });
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
  $("arming-rule").addEventListener("change", drawStep);
  $("arming-step").addEventListener("click", override);
  $("arming").querySelector("form").addEventListener("submit", submit);
  $("arming-cancel").addEventListener("click", () => $("arming").close());
}
