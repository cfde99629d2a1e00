// What a change is about, found again in a scene that is another by now: what is not there as it was seen is not guessed.
// @ts-check

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Segment} Segment */

/**
 * Whether a segment is the one that was seen, as far as a change of a kind asks.
 * @param {any} change
 * @param {Segment} was
 * @param {Segment} is
 * @param {boolean} alone  whether nobody but this page has changed anything since
 */
function isSame(change, was, is, alone) {
  const together = was.start_s === is.start_s && was.end_s === is.end_s && was.closed_end_s === is.closed_end_s;
  if (!alone) return together && was.text === is.text;
  if (change.kind === "text") return was.start_s === is.start_s && was.text === is.text;
  if (change.object === undefined) return together;
  return was.start_s === is.start_s && is.clauses.some((clause) => clause.object === change.object);
}

/**
 * A change as it reads in a later scene; null where what it is about is not there any more, or not as it was seen.
 * @param {any} change
 * @param {Scene} seen  that it was made of
 * @param {Scene} now
 * @param {boolean} alone  whether nobody but this page has changed anything since
 * @returns {any}
 */
export function meant(change, seen, now, alone) {
  if (seen.revision === now.revision || change.segment === undefined) return change;
  const count = change.kind === "join" ? 2 : 1;
  const were = seen.segments.slice(change.segment, change.segment + count);
  const segment = now.segments.findIndex((_, first) =>
    were.every((was, at) => now.segments[first + at] && isSame(change, was, now.segments[first + at], alone)),
  );
  return were.length < count || segment < 0 ? null : { ...change, segment };
}
