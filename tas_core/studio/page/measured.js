// Where sounds were measured in what was heard last; gone as soon as the scene is another.
// @ts-check

import { store } from "./scene.js";
import { say } from "./strings.js";

/**
 * @typedef {{segment: number, object: string, part: string, azimuth_deg: number | null, elevation_deg: number | null,
 *   asked: string, measured: string | null, reason: string}} Measured
 */

/** @type {{text: string, places: Measured[], said: string}} */
let latest = { text: "", places: [], said: "" };

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

/** @returns {string} why nothing could be measured of the scene as it is, or nothing */
export function notMeasured() {
  return latest.text === store.scene?.text ? latest.said : "";
}

/**
 * @param {string} text  of the scene that was measured
 * @param {Measured[]} places
 * @param {string} [said]  why there are none
 */
export function keepMeasured(text, places, said = "") {
  latest = { text, places, said };
  store.tell();
}
