// What is heard: a passage in a loop, rendered anew as the scene changes, beside the input and a plain head.
// @ts-check

import { button, html, labelled, replace } from "./elements.js";
import { keepMeasured } from "./measured.js";
import { follow, tick } from "./playhead.js";
import { Refusal, store } from "./scene.js";
import { say } from "./strings.js";

const FADE_S = 0.02;
const TURN_STEP_DEG = 5;
/** Nothing is measured before the scene has been left alone for so long. */
const REST_MS = 700;

/** What is heard: seconds. */
export const passage = { start_s: 0, duration_s: 5 };
let what = "output";
/** @type {Set<string>} */
const muted = new Set();
/** @type {Set<string>} */
const solo = new Set();

/** @type {AudioContext | null} */
let context = null;
/** @type {{source: AudioBufferSourceNode, gain: GainNode, began: number, length: number, start_s: number} | null} */
let playing = null;
let wanted = false;
let busy = false;
let done = "";
let said = "";
/** By how much the listener's head is turned in what is heard, degrees, positive left; the file knows nothing of it. */
let turned_deg = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;

/** What the browser has heard last, for whoever measures it. @type {AudioBuffer | null} */
let latest = null;

function stop() {
  wanted = false;
  if (playing && context) {
    playing.gain.gain.linearRampToValueAtTime(0, context.currentTime + FADE_S);
    playing.source.stop(context.currentTime + FADE_S);
  }
  playing = null;
  done = "";
  draw();
  tick();
}

/** @param {AudioBuffer} buffer  goes on where the one before is  @param {number} start_s */
function play(buffer, start_s) {
  if (!context) return;
  const now = context.currentTime;
  const source = context.createBufferSource();
  const gain = context.createGain();
  source.buffer = buffer;
  source.loop = true;
  source.connect(gain).connect(context.destination);
  const phase = playing ? (now - playing.began) % buffer.duration : 0;
  gain.gain.setValueAtTime(0, now);
  gain.gain.linearRampToValueAtTime(1, now + FADE_S);
  source.start(now, phase);
  if (playing) {
    playing.gain.gain.setValueAtTime(1, now);
    playing.gain.gain.linearRampToValueAtTime(0, now + FADE_S);
    playing.source.stop(now + FADE_S);
  }
  playing = { source, gain, began: now - phase, length: buffer.duration, start_s };
  tick();
}

/** @returns {number | null} seconds, where in the sound it plays */
function playhead() {
  if (!playing || !context) return null;
  return playing.start_s + ((context.currentTime - playing.began) % playing.length);
}

/** What is to be heard, and what tells it from all else. */
function wish() {
  const scene = what === "output" ? { muted: [...muted].sort(), solo: [...solo].sort(), turned_deg } : {};
  const passed = { ...passage, what, ...scene };
  return { passed, key: JSON.stringify([store.scene?.text, passed]) };
}

/** Ask for what is to be heard, until that is what was heard last: one at a time, and only the newest. */
async function hear() {
  if (busy) return;
  busy = true;
  try {
    for (let next = wish(); wanted && context && store.segments.length && next.key !== done; next = wish())
      await listen(next, context);
  } finally {
    busy = false;
  }
}

/** @param {{passed: typeof passage, key: string}} next  @param {AudioContext} context */
async function listen({ passed, key }, context) {
  const began = performance.now();
  said = say("rendering");
  draw();
  try {
    const file = await store.hear(passed);
    if (!file.byteLength) {
      await store.load(); // the scene is another by now, which is asked for next
      return;
    }
    const buffer = await context.decodeAudioData(file);
    if (!wanted) return;
    done = key;
    latest = buffer;
    play(buffer, passed.start_s);
    said = say("heard", { ms: Math.round(performance.now() - began) });
    measureSoon();
  } catch (error) {
    said = "";
    stop();
    store.complain(error instanceof Error ? error.message : String(error));
  }
  draw();
}

/** Measure where sounds are in the passage, when the scene is left alone. */
function measureSoon() {
  clearTimeout(resting);
  const text = store.scene?.text ?? "";
  const { start_s, duration_s } = passage;
  resting = setTimeout(async () => {
    if (store.scene?.text !== text || busy) return;
    try {
      const revision = store.scene.revision;
      const places = await store.json("measure", { revision, start_s, duration_s });
      if (places.length) keepMeasured(text, places);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      keepMeasured(text, [], error.message);
    }
  }, REST_MS);
}

/** @returns {number} by how much the head is turned in what is heard, degrees, positive left */
export function turned() {
  return turned_deg;
}

/** @param {number} degrees  that the head is to be turned by, in what is heard alone */
export function turnHead(degrees) {
  const rounded = TURN_STEP_DEG * Math.round(Math.min(180, Math.max(-180, degrees)) / TURN_STEP_DEG);
  if (rounded === turned_deg) return;
  turned_deg = rounded === 0 ? 0 : rounded;
  store.tell();
}

/** Begin to play, or stop. */
export function toggle() {
  if (wanted) {
    stop();
    return;
  }
  context ??= new AudioContext();
  context.resume();
  wanted = true;
  hear();
  draw();
}

const turner = html("input", { type: "range", min: -180, max: 180, step: TURN_STEP_DEG, "data-key": "turn", value: 0 });
const turnSaid = html("output", { "aria-live": "polite" });
const panel = html("div");
const turning = html("div", { class: "turning" }, labelled(say("turn"), turner), turnSaid);
turner.addEventListener("input", () => turnHead(-Number(turner.value)));

/** @param {"output" | "input" | "head"} which */
export function compare(which) {
  what = which;
  hear();
  draw();
}

/** How far the left ear of what was heard last is louder than the right one, dB; for tests and the curious. */
export function levelDifference() {
  if (!latest) return null;
  const power = [0, 1].map((ear) => latest?.getChannelData(ear).reduce((sum, x) => sum + x * x, 0) ?? 0);
  return 10 * Math.log10(power[0] / power[1]);
}

/** @param {Set<string>} set  @param {string} name  @param {string} label  @param {string} key */
function toggleOf(set, name, label, key) {
  const flip = () => {
    if (!set.delete(name)) set.add(name);
    hear();
    draw();
  };
  return button(label, flip, { "aria-pressed": set.has(name) ? "true" : "false", "data-key": `${key}-${name}` });
}

function draw() {
  const { scene } = store;
  if (!scene) return;
  const state = turned_deg
    ? say(turned_deg > 0 ? "turnedLeft" : "turnedRight", { degrees: Math.abs(turned_deg) })
    : say("turnedNot");
  if (turnSaid.textContent !== state) turnSaid.textContent = state;
  if (Number(turner.value) !== -turned_deg) turner.value = String(-turned_deg);
  turner.setAttribute("aria-valuetext", state);
  const number = (/** @type {"start_s" | "duration_s"} */ name, /** @type {"from" | "length"} */ label) => {
    const [min, max] = name === "start_s" ? [0, scene.duration_s] : [0.1, 30];
    const field = html("input", { type: "number", min, max, step: 0.1, "data-key": name, value: String(passage[name]) });
    field.addEventListener("change", () => {
      passage[name] = Math.min(max, Math.max(min, Number(field.value) || min));
      store.tell();
    });
    return labelled(say(label), field);
  };
  const choices = /** @type {const} */ (["output", "input", "head"]).map((which, at) =>
    button(`${"ABC"[at]} ${say(which)}`, () => compare(which), {
      "aria-pressed": what === which ? "true" : "false",
      "data-key": `what-${which}`,
    }),
  );
  const names = scene.objects.length ? [...scene.objects, "rest"] : [];
  const rows = names.map((name) =>
    html(
      "li",
      {},
      html("span", {}, html("bdi", { text: name === "rest" ? say("rest") : name })),
      toggleOf(solo, name, say("solo"), "solo"),
      toggleOf(muted, name, say("mute"), "mute"),
    ),
  );
  replace(
    panel,
    html(
      "div",
      { class: "bar" },
      button(say(wanted ? "stop" : "play"), toggle, { "data-key": "play", class: "main" }),
      number("start_s", "from"),
      number("duration_s", "length"),
      html("output", { "aria-live": "polite", text: said }),
    ),
    html("div", { class: "bar", role: "group", "aria-label": say("compare") }, ...choices),
    html("ul", { class: "sounds" }, ...rows),
  );
}

/** Show what is heard. */
export function showSound() {
  /** @type {Element} */ (document.querySelector("#listen .body")).append(panel, turning);
  follow(playhead);
  store.watch(() => {
    for (const set of [muted, solo])
      for (const name of set) if (name !== "rest" && !store.scene?.objects.includes(name)) set.delete(name);
    draw();
    hear();
    tick();
  });
}
