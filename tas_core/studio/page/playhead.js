// The moment that is heard or looked at, for all that moves with it.
// @ts-check

import { store } from "./scene.js";

const CALM_MS = 500;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** @type {Set<(seconds: number) => void>} */
const followers = new Set();
/** @type {() => number | null} seconds, while something is heard */
let heard = () => null;
let running = false;
let last = -1;
let lastMs = 0;

/** @param {() => number | null} clock */
export function follow(clock) {
  heard = clock;
}

/** @returns {number} seconds: of what is heard, or of the cursor */
export function moment() {
  return heard() ?? store.cursor;
}

/** @returns {boolean} whether anything is heard */
export function isHeard() {
  return heard() !== null;
}

/** @param {(seconds: number) => void} follower  told of each moment, and of the same one again after a change */
export function onMoment(follower) {
  followers.add(follower);
}

/** Tells of the moment, now and for as long as something is heard. */
export function tick() {
  last = -1;
  if (!running) step(performance.now());
}

/** @param {number} nowMs */
function step(nowMs) {
  const plays = heard() !== null;
  running = plays;
  const at = moment();
  if (at !== last && !(plays && calm.matches && last >= 0 && nowMs - lastMs < CALM_MS)) {
    [last, lastMs] = [at, nowMs];
    for (const each of followers) each(at);
  }
  if (plays) requestAnimationFrame(step);
}
