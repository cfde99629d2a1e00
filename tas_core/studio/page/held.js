// What somebody has hands on: a button that is held down, a field that is half-written. It is not drawn anew until they let
// go: a click is one only of what is still there when the pointer is lifted, and words in a field that is gone are lost.
// @ts-check

/** How long after a finger is lifted a browser may take to say that this was a click. */
const LIFTED_MS = 300;
const HOLDABLE = "[data-key], [data-object], button, summary, label";
const early = { capture: true };

/** What a pointer or a key holds down. @type {Element | null} */
let pressed = null;
/** The field whose words or choice nobody has taken yet. @type {EventTarget | null} */
let written = null;
/** Whether a key takes the focus elsewhere, which it does not find if that is drawn anew. */
let moving = false;
/** What is to be drawn when it is let go. @type {Map<Element, () => void>} */
const later = new Map();
/** Draws all as it is by then. */
let drawAll = () => {};
/** @type {ReturnType<typeof setTimeout> | undefined} */
let letting;

/** @param {Element} parent  @returns {boolean} */
function isHeld(parent) {
  return moving || [pressed, written].some((each) => each instanceof Element && each.isConnected && parent.contains(each));
}

/**
 * Whether an element cannot be drawn now, since somebody has hands on what is in it.
 * @param {Element} parent
 * @param {() => void} draw  called when they let go, before all is drawn as it is by then
 */
export function waits(parent, draw) {
  if (isHeld(parent)) later.set(parent, draw);
  else later.delete(parent);
  return later.has(parent);
}

/** @param {() => void} draw  draws all */
export function whenLetGo(draw) {
  drawAll = draw;
}

function drawLater() {
  const due = [...later].filter(([parent]) => !isHeld(parent));
  for (const [parent, draw] of due) {
    later.delete(parent);
    draw();
  }
  if (due.length) drawAll();
}

/** @param {EventTarget | null} target */
function press(target) {
  clearTimeout(letting);
  pressed = target instanceof Element ? target.closest(HOLDABLE) : null;
  if (target instanceof HTMLSelectElement) written = target; // its choices are open
  drawLater();
}

/** @param {number} afterMs */
function letGo(afterMs) {
  clearTimeout(letting);
  letting = setTimeout(() => {
    pressed = null;
    drawLater();
  }, afterMs);
}

/** @param {Event} event  that takes what is written in its field, or leaves it */
function take({ target }) {
  if (target !== written) return;
  written = null;
  setTimeout(drawLater);
}

/** @param {Event} event */
function write({ target }) {
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) written = target;
}

function arrive() {
  moving = false;
  drawLater();
}

/** @param {KeyboardEvent} event  of a key that presses what is in focus, or leaves it */
function keyed({ key, type, target }) {
  if (key === "Tab" && type === "keydown") {
    moving = true;
    setTimeout(arrive);
  }
  if (key !== " ") return;
  if (type === "keydown") press(target);
  else letGo(0);
}

/** @param {Event} event */
function left({ target }) {
  if (target === window) letGo(0);
}

addEventListener("pointerdown", (event) => press(event.target), early);
addEventListener("pointerup", () => letGo(LIFTED_MS), early);
addEventListener("click", () => letGo(0), early);
addEventListener("pointercancel", () => letGo(0), early);
addEventListener("keydown", keyed, early);
addEventListener("keyup", keyed, early);
addEventListener("blur", left, early);
addEventListener("input", write, early);
addEventListener("change", take, early);
addEventListener("focusout", take, early);
