// What is heard: a passage in a loop, rendered anew as the scene changes, beside the input and a plain head.
// @ts-check

import { button, html, labelled, replace } from "./elements.js";
import { Refusal, store } from "./scene.js";
import { say } from "./strings.js";

const FADE_S = 0.02;

/** What is heard: seconds. */
export const passage = { start_s: 0, duration_s: 5 };
let what = "output";
/** @type {Set<string>} */
const muted = new Set();
/** @type {Set<string>} */
const solo = new Set();

/** @type {AudioContext | null} */
let context = null;
/** @type {{source: AudioBufferSourceNode, gain: GainNode, began: number, length: number} | null} */
let playing = null;
let wanted = false;
let asked = "";
let said = "";

/** What the browser has heard last, for whoever measures it. @type {AudioBuffer | null} */
let latest = null;

function stop() {
  wanted = false;
  if (playing && context) {
    playing.gain.gain.linearRampToValueAtTime(0, context.currentTime + FADE_S);
    playing.source.stop(context.currentTime + FADE_S);
  }
  playing = null;
  asked = "";
  draw();
}

/** @param {AudioBuffer} buffer  goes on where the one before is */
function play(buffer) {
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
  playing = { source, gain, began: now - phase, length: buffer.duration };
}

/** Ask for what is to be heard, if it is another passage than the latest. */
async function hear() {
  if (!wanted || !context || !store.segments.length) return;
  const wish = { ...passage, what, muted: [...muted].sort(), solo: [...solo].sort() };
  const key = JSON.stringify([store.scene?.text, wish]);
  if (key === asked) return;
  asked = key;
  const began = performance.now();
  said = say("rendering");
  draw();
  try {
    const buffer = await context.decodeAudioData(await store.hear(wish));
    if (asked !== key || !wanted) return;
    latest = buffer;
    play(buffer);
    said = say("heard", { ms: Math.round(performance.now() - began) });
  } catch (error) {
    if (asked !== key) return;
    if (error instanceof Refusal && error.facts.kind === "StaleError") {
      asked = "";
      await store.load();
      return;
    }
    said = "";
    stop();
    store.complain(error instanceof Error ? error.message : String(error));
  }
  draw();
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
  const body = /** @type {Element} */ (document.querySelector("#listen .body"));
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
      html("span", { dir: "auto", text: name === "rest" ? say("rest") : name }),
      toggleOf(solo, name, say("solo"), "solo"),
      toggleOf(muted, name, say("mute"), "mute"),
    ),
  );
  replace(
    body,
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
  store.watch(() => {
    for (const set of [muted, solo])
      for (const name of set) if (name !== "rest" && !store.scene?.objects.includes(name)) set.delete(name);
    draw();
    hear();
  });
}
