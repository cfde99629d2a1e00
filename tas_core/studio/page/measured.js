// Where sounds were measured in what was heard last; gone as soon as the scene is another.
// @ts-check

import { store } from "./scene.js";
import { say } from "./strings.js";

/**
 * @typedef {{segment: number, object: string, part: string, azimuth_deg: number | null, elevation_deg: number | null,
 *   asked: string, measured: string | null, reason: string}} Measured
 */

/** @type {{text: string, places: Measured[]}} */
let latest = { text: "", places: [] };

/**
 * Places that were measured of the scene as it is.
 * @param {number} segment
 * @returns {Measured[]}
 */
export function measuredIn(segment) {
  return latest.text === store.scene?.text ? latest.places.filter((each) => each.segment === segment) : [];
}

/** What was measured, in words. @param {Measured} found  @returns {string} */
export function measuredWords({ object, part, asked, measured, reason }) {
  const name = part ? say(part === "first quarter" ? "measuredFirst" : "measuredLast", { object }) : object;
  return measured === null ? say("unmeasured", { name, reason }) : say("measuredAt", { name, measured, asked });
}

/** @param {string} text  of the scene that was measured  @param {Measured[]} places */
export function keepMeasured(text, places) {
  latest = { text, places };
  store.tell();
}
