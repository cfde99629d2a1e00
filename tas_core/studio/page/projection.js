// How places are drawn: seen from above (front is up) and from the side (front is right), as the studio reads drawings.
// @ts-check

import { point } from "./scene.js";

/** @typedef {import("./scene.js").Clause} Clause */
/** @typedef {import("./scene.js").Point} Point */
/** @typedef {"above" | "side"} View */
/** @typedef {{reference_m: number, farther_per_double: number, nearer_per_double: number, nearest_radius: number,
 *   farthest_radius: number}} Scale */

/** Of sounds of which no distance is said, in the units of the drawings. */
export const RING = 90;
const TURN_STEPS = 36;
const MOST_STEPS = 720;

/** @type {Scale} as tas_core/studio/drawing.py has it */
let scale = {
  reference_m: 1.4,
  farther_per_double: 0.1,
  nearer_per_double: 0.22,
  nearest_radius: 0.22,
  farthest_radius: 1.62,
};

/** @param {Scale} found */
export function setScale(found) {
  scale = found;
}

/** @param {number} metres */
export function radius(metres) {
  const doubles = Math.log2(metres / scale.reference_m);
  const far = 1 + (doubles > 0 ? scale.farther_per_double : scale.nearer_per_double) * doubles;
  return RING * Math.min(scale.farthest_radius, Math.max(scale.nearest_radius, far));
}

/** @param {number} far  in the units of the drawing  @returns {number} metres that a person would say */
export function metresAt(far) {
  const beyond = far / RING - 1;
  const metres = scale.reference_m * 2 ** (beyond / (beyond > 0 ? scale.farther_per_double : scale.nearer_per_double));
  const digits = 10 ** Math.floor(Math.log10(Math.max(0.1, metres)) - (metres < 10 ? 1 : 0));
  return Math.min(100, Math.max(0.1, Math.round(Math.round(metres / digits) * digits * 100) / 100));
}

/** @param {number} degrees  @returns {number} -180 to 180 */
export function wrapped(degrees) {
  const turned = ((((degrees + 180) % 360) + 360) % 360) - 180;
  return turned === -180 ? 180 : turned;
}

/** @param {Point} place  @param {View} view  @returns {[number, number]} on the drawing */
export function drawn(place, view) {
  const [azimuth, elevation] = [place.azimuth_deg, place.elevation_deg].map((degrees) => (degrees * Math.PI) / 180);
  const far = radius(place.distance_m);
  const front = far * Math.cos(elevation) * Math.cos(azimuth);
  if (view === "side") return [front, -far * Math.sin(elevation)];
  return [-far * Math.cos(elevation) * Math.sin(azimuth), -front];
}

/** How often a circle goes around in its time. @param {Clause} clause  @param {number} seconds */
function turnsOf(clause, seconds) {
  return clause.turns ?? (clause.turn_s ? seconds / clause.turn_s : 0);
}

/**
 * Where a sound is at a share of its way, which takes so many seconds.
 * @param {Clause} clause
 * @param {number} share
 * @param {number} seconds
 * @param {View} view
 * @returns {[number, number]}
 */
export function drawnAt(clause, share, seconds, view) {
  const last = clause.way.length - 1;
  const turns = turnsOf(clause, seconds);
  const at = Math.min(Math.max(share, 0), 1) * last;
  const first = Math.min(Math.floor(at), Math.max(0, last - 1));
  const [one, other] = [point(clause.way[first]), point(clause.way[Math.min(first + 1, last)])];
  const part = at - first;
  if (turns) {
    const mixed = (/** @type {keyof Point} */ name) => one[name] + part * (other[name] - one[name]);
    return drawn(
      {
        azimuth_deg: point(clause.way[0]).azimuth_deg + 360 * turns * share,
        elevation_deg: mixed("elevation_deg"),
        distance_m: mixed("distance_m"),
        spread: 0,
      },
      view,
    );
  }
  const [[fromX, fromY], [toX, toY]] = [drawn(one, view), drawn(other, view)];
  return [fromX + part * (toX - fromX), fromY + part * (toY - fromY)];
}

/**
 * A way as a line; of a circle that stays at its height and distance, one turn.
 * @param {Clause} clause
 * @param {number} seconds
 * @param {View} view
 * @returns {[number, number][]}
 */
export function lineOf(clause, seconds, view) {
  const turns = Math.abs(turnsOf(clause, seconds));
  const [first, last] = [clause.way[0], clause.way[clause.way.length - 1]];
  const level = turns && first[1] === last[1] && first[2] === last[2];
  const whole = level ? Math.min(1, 1 / turns) : 1;
  const steps = turns
    ? Math.min(MOST_STEPS, Math.ceil(TURN_STEPS * Math.max(1, level ? 1 : turns)))
    : clause.way.length - 1;
  return Array.from({ length: steps + 1 }, (_, step) => drawnAt(clause, (whole * step) / steps, seconds, view));
}
