// Elements of the page, made and filled; text never becomes markup.
// @ts-check

import { waits } from "./held.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} element
 * @param {Record<string, any>} attributes  `on...` listens, `text` is its text, booleans are there or not
 * @param {(Node | string)[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (name === "value" || name === "checked" || name === "disabled") Reflect.set(element, name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * An element of HTML.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {any}
 */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * An element of SVG.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Letters that are written from right to left, with what stands between them, and signs that turn what follows. */
const TURNED =
  /(?:[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]+(?:\s+(?=[\u0590-\u08ff]))?)+|[\u202a-\u202e\u2066-\u2069]+/gu;

/**
 * A sentence of a language that is written from left to right: names that are not keep their own direction, and change
 * that of nothing beside them.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function sentence(text) {
  /** @type {(Node | string)[]} */
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(TURNED)) {
    parts.push(text.slice(at, found.index), html("bdi", { text: found[0] }));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

/**
 * A button.
 * @param {string} text
 * @param {() => void} act
 * @param {Record<string, any>} [more]
 */
export function button(text, act, more = {}) {
  return html("button", { type: "button", text, onclick: act, ...more });
}

/**
 * A field with its label.
 * @param {string} label
 * @param {any} field
 */
export function labelled(label, field) {
  return html("label", {}, html("span", { text: label }), field);
}

/**
 * Puts other children in an element, and focus and caret back to where they were: to what has the same `data-key`. It
 * waits while somebody has hands on what is there.
 * @param {Element} parent
 * @param {(Node | string)[]} children
 */
export function replace(parent, ...children) {
  if (waits(parent, () => replace(parent, ...children))) return;
  const held = document.activeElement;
  const key = held instanceof Element && parent.contains(held) ? held.getAttribute("data-key") : null;
  const caret = held instanceof HTMLTextAreaElement ? held.selectionStart : null;
  parent.replaceChildren(...children);
  if (key === null) return;
  const again = [...parent.querySelectorAll("[data-key]")].find((each) => each.getAttribute("data-key") === key);
  if (again instanceof HTMLElement || again instanceof SVGElement) again.focus({ preventScroll: true });
  if (again instanceof HTMLTextAreaElement && caret !== null) again.setSelectionRange(caret, caret);
}
