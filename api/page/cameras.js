// The cameras, where any are run here: a picture of each, how it is, and the live picture of one.

import { $, el, remember, remembered } from "./dom.js";
import { ask, Refused } from "./server.js";
import { may, page } from "./state.js";
import { moment, say } from "./words.js";

const EVERY_MS = 5000;
// A browser has six connections to a server. What guards do must not wait for cameras that are slow with a picture.
const AT_ONCE = 2;
const GIVEN_UP_MS = 10000;
const view = { items: [], timer: null, shown: remembered("cameras") !== "hidden" };

const address = (name, what) => `api/v1/cameras/${encodeURIComponent(name)}/${what}`;
export const cameraNames = () => view.items.map((camera) => camera.camera);

function status(camera) {
  if (!camera.connected) return ["bad", say("camera_off")];
  return camera.reason ? ["warn", camera.reason] : ["good", say("camera_on")];
}

function tile(camera) {
  const picture = el("img", { className: "camera-frame", alt: "", width: 128, height: 72 });
  picture.addEventListener("error", () => { picture.classList.add("none"); loaded(picture); });
  picture.addEventListener("load", () => { picture.classList.remove("none"); loaded(picture); });
  const made = el("button", { type: "button", className: "camera-tile" }, picture,
    el("span", { className: "camera-name" }, el("span", { className: "dot", "aria-hidden": "true" }),
      el("span", { className: "camera-text" }, camera.camera)),
    el("span", { className: "camera-status" }));
  made.dataset.camera = camera.camera;
  made.addEventListener("click", () => openLive(camera.camera));
  return made;
}

// --- their pictures ---

const pictures = { wanted: new Map(), loading: new Set() };

function loaded(image) {
  pictures.loading.delete(image);
  loadPictures();
}

function loadPictures() {
  for (const [image, source] of pictures.wanted) {
    if (pictures.loading.size >= AT_ONCE) return;
    if (pictures.loading.has(image)) continue;
    pictures.wanted.delete(image);
    if (!image.isConnected) continue;
    pictures.loading.add(image);
    image.dataset.of = source;
    image.src = source;
    setTimeout(() => loaded(image), GIVEN_UP_MS);
  }
}

// Tiles stay where they are and only what they say changes.
export function drawCameras() {
  const there = view.items.length > 0;
  $("cameras-button").hidden = !there;
  $("cameras").hidden = !there || !view.shown;
  if (!there) return;
  const connected = view.items.filter((camera) => camera.connected).length;
  $("cameras-button").textContent = say("cameras_n", { n: connected, total: view.items.length });
  $("cameras-button").classList.toggle("bad", connected < view.items.length);
  $("cameras-button").setAttribute("aria-expanded", String(view.shown));
  const known = new Map([...$("cameras").children].map((one) => [one.dataset.camera, one]));
  const tiles = view.items.map((camera) => known.get(camera.camera) ?? tile(camera));
  if (tiles.length !== known.size || tiles.some((one, at) => $("cameras").children[at] !== one)) $("cameras").replaceChildren(...tiles);
  view.items.forEach((camera, at) => {
    const [look, text] = status(camera);
    tiles[at].className = `camera-tile ${look}`;
    tiles[at].querySelector(".camera-status").textContent = text;
    tiles[at].setAttribute("aria-label", say("camera_label", { camera: camera.camera, status: text }));
    tiles[at].title = camera.last_frame_at ? say("last_frame", { time: moment(camera.last_frame_at) }) : text;
    const image = tiles[at].querySelector("img");
    const wanted = camera.connected && camera.last_frame_at && `${address(camera.camera, "frame")}?width=256#${encodeURIComponent(camera.last_frame_at)}`;
    if (view.shown && wanted && image.dataset.of !== wanted) pictures.wanted.set(image, wanted);
  });
  loadPictures();
}

async function look() {
  clearTimeout(view.timer);
  if (document.visibilityState === "visible" && page.me !== null && may("cameras.read")) {
    try {
      const { items } = await ask("cameras");
      view.items = items;
    } catch (error) {
      // No camera runs here, as in a demo, and none will.
      if (error instanceof Refused && error.status === 404) return;
    }
    drawCameras();
  }
  view.timer = setTimeout(look, EVERY_MS);
}

function openLive(name) {
  const camera = view.items.find((one) => one.camera === name);
  $("camera-title").textContent = name;
  $("camera-note").textContent = status(camera)[1];
  if (camera.connected && may("cameras.live")) {
    const picture = el("img", { src: address(name, "live"), alt: say("live_of", { camera: name }) });
    picture.addEventListener("error", () => picture.replaceWith(el("p", { className: "empty" }, say("no_live"))));
    $("camera-picture").replaceChildren(picture);
  } else $("camera-picture").replaceChildren(el("p", { className: "empty" }, say("no_live")));
  $("camera").showModal();
}

export function startCameras() {
  $("cameras-button").addEventListener("click", () => {
    view.shown = !view.shown;
    remember("cameras", view.shown ? "shown" : "hidden");
    drawCameras();
  });
  // Without a picture to show, the server need not send any.
  $("camera").addEventListener("close", () => {
    const shown = [...$("camera-picture").querySelectorAll("img")];
    $("camera-picture").replaceChildren();
    for (const picture of shown) picture.removeAttribute("src");
  });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") look(); });
  return look();
}
