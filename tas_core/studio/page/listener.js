// The listener's head, turned by the mouse or by keys while H is held: heard at once, and only here.
// @ts-check

import { turnHead, turned } from "./sound.js";

const KEY = "h";
const STEP_DEG = 15;
const PER_WIDTH_DEG = 360;

/** @type {{x: number | null} | null} while the key is held */
let held = null;

/** @param {PointerEvent} event */
function follow(event) {
  if (!held) return;
  held.x ??= event.clientX;
  turnHead((-PER_WIDTH_DEG * (event.clientX - held.x)) / Math.max(1, innerWidth));
}

/** The head looks to the front again. */
function release() {
  if (!held) return;
  held = null;
  removeEventListener("pointermove", follow);
  turnHead(0);
}

/**
 * What a key does to the head: H takes hold of it, the arrows turn it meanwhile, whatever else is in focus.
 * @param {KeyboardEvent} event
 * @returns {boolean}  whether it did
 */
function turn(event) {
  const typing = event.target instanceof Element && event.target.matches("input:not([type=range]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return false;
  const key = event.key.toLowerCase();
  if (key === KEY) {
    if (!held) addEventListener("pointermove", follow);
    held ??= { x: null };
    return true;
  }
  if (!held || (key !== "arrowleft" && key !== "arrowright")) return false;
  turnHead(turned() + (key === "arrowleft" ? STEP_DEG : -STEP_DEG));
  return true;
}

/** Lets the head be turned. */
export function showListener() {
  const keyed = (/** @type {KeyboardEvent} */ event) => {
    if (!turn(event)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("keydown", keyed, { capture: true });
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === KEY) release();
  });
  addEventListener("blur", release);
}
