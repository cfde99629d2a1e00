// The page as a whole: its bar, its keys, and what has to be decided.
// @ts-check

import { button, html, replace, sentence } from "./elements.js";
import { showExport } from "./export.js";
import { waits, whenLetGo } from "./held.js";
import { moment } from "./playhead.js";
import { store } from "./scene.js";
import { showListener } from "./listener.js";
import { compare, levelDifference, showSound, toggle, turned } from "./sound.js";
import { showSpace } from "./space.js";
import { say } from "./strings.js";
import { showText } from "./text.js";
import { showTimeline } from "./timeline.js";

const notice = /** @type {HTMLElement} */ (document.querySelector("#notice"));

/** @param {string} message  @param {Node[]} ways  out of it */
function tell(message, ...ways) {
  if (waits(notice, () => tell(message, ...ways))) return;
  notice.hidden = false;
  replace(notice, html("span", { dir: "ltr" }, ...sentence(message)), ...ways, button(say("dismiss"), () => (notice.hidden = true)));
}

store.complain = (message, kind) => {
  if (kind === "ChangedFileError") askOfFile(message);
  else if (kind === "UndecidedError") askOfLeft();
  else tell(message);
};

/** A way out of what is said. @param {string} text  @param {() => Promise<any>} act */
function wayOut(text, act) {
  return button(text, () => {
    notice.hidden = true;
    act();
  });
}

/** @param {string} message */
function askOfFile(message) {
  tell(
    message,
    wayOut(say("load"), () => store.send("load")),
    wayOut(say("overwrite"), () => store.send("save", { overwrite: true })),
  );
}

/** A scene that was not saved is taken up or left before anything else is done. */
function askOfLeft() {
  const ways = /** @type {const} */ ([
    ["takeUp", true],
    ["leave", false],
  ]);
  tell(say("leftOver"), ...ways.map(([name, take_up]) => wayOut(say(name), () => store.send("decide", { take_up }))));
}

let told = "";
/** What has been asked by the state of the scene. */
let asked = "";

function decide() {
  const { scene } = store;
  if (!scene) return;
  const state = scene.left ? "left" : scene.changed_by_another ? "another" : scene.note;
  if (state === told) return;
  if ((told === "left" || told === "another") && asked === notice.textContent) notice.hidden = true; // decided elsewhere
  told = state;
  if (scene.left) askOfLeft();
  else if (scene.changed_by_another) askOfFile(say("another"));
  else if (scene.note) tell(scene.note);
  asked = notice.textContent ?? "";
}

function drawBar() {
  const { scene } = store;
  if (!scene) return;
  replace(/** @type {Element} */ (document.querySelector("#file")), scene.file);
  const state = scene.segments.length ? say(scene.saved && scene.exists ? "saved" : "unsaved") : say("nothing");
  const status = /** @type {Element} */ (document.querySelector("#saved"));
  if (status.textContent !== state) status.textContent = state;
  document.title = `${scene.saved ? "" : "* "}${scene.file}`;
  replace(
    /** @type {Element} */ (document.querySelector("#actions")),
    button(say("undo"), () => store.step("undo"), { disabled: !scene.undo, "data-key": "undo" }),
    button(say("redo"), () => store.step("redo"), { disabled: !scene.redo, "data-key": "redo" }),
    button(say("save"), () => store.send("save"), { disabled: !scene.segments.length, "data-key": "save" }),
  );
}

addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.matches("input, textarea, select");
  const key = event.key.toLowerCase();
  const act = () => {
    if (event.ctrlKey || event.metaKey) {
      if (key === "s") return store.send("save");
      if (typing) return null;
      if (key === "z") return store.step(event.shiftKey ? "redo" : "undo");
      if (key === "y") return store.step("redo");
      return null;
    }
    if (typing || event.altKey) return null;
    if (key === " " && !(event.target instanceof Element && event.target.matches("button, summary"))) return toggle();
    if (key === "a") return compare("output");
    if (key === "b") return compare("input");
    if (key === "c") return compare("head");
    if (key === "s" && store.number >= 0)
      return store.change(() => ({ kind: "split", segment: store.number, at_s: store.cursor }));
    if (key === "j" && store.number >= 0)
      return store.change(() => ({ kind: "join", segment: store.number, words: event.shiftKey ? "second" : "first" }));
    if (key === "arrowleft" || key === "arrowright") return store.go(store.cursor + (key === "arrowleft" ? -0.5 : 0.5));
    return null;
  };
  if (act() !== null) event.preventDefault();
});

for (const name of /** @type {const} */ (["space", "text", "timeline", "listen", "export"]))
  replace(/** @type {Element} */ (document.querySelector(`#${name}-title`)), say(name));

store.watch(drawBar);
store.watch(decide);
whenLetGo(() => store.tell());
showSound();
showListener();
try {
  const known = await store.json("words");
  await store.load();
  showSpace(known);
  showTimeline();
  showText(known);
  await showExport();
  store.tell();
  store.poll();
  document.documentElement.dataset.ready = "true";
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
}
Object.assign(globalThis, { tasStudio: { store, levelDifference, turned, moment } });
