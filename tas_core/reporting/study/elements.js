
// Pieces of the study's pages.

/**
 * @typedef {{item: number, set: number, questions: string[], asks?: ("side" | "depth" | "height")[]}} Item
 * @typedef {{study: string, sets: number, items: Item[], format?: number}} Study
 * @typedef {[keys: string[], does: string]} KeyHint
 */

// Text goes through textContent only, so whatever stands in a prompt is shown and never interpreted.
/** @type {(tag: string, properties: Record<string, any>, ...children: (Node | string)[]) => any} */
const element = (tag, properties, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in made) Reflect.set(made, name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};
/** @type {(text: string, onclick: () => void, className?: string) => HTMLButtonElement} */
const button = (text, onclick, className = "") =>
  element("button", { type: "button", className, textContent: text, onclick });
/** @type {(text: string) => HTMLElement} */
const keyboardKey = (text) => element("kbd", { textContent: text });
/** Keys and what they do. @type {(pairs: KeyHint[]) => HTMLElement} */
const keyLine = (pairs) =>
  element("p", { className: "keys" }, ...pairs.flatMap(([keys, does]) => [
    element("span", {}, ...keys.flatMap((key) => [keyboardKey(key), " "]), does),
    " ",
  ]));
