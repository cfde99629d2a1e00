
// Pieces of the study's pages.

// Text goes through textContent only, so whatever stands in a prompt is shown and never interpreted.
const element = (tag, properties, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};
const button = (text, onclick, className = "") =>
  element("button", { type: "button", className, textContent: text, onclick });
const keyboardKey = (text) => element("kbd", { textContent: text });
// Pairs of keys and what they do.
const keyLine = (pairs) =>
  element("p", { className: "keys" }, ...pairs.flatMap(([keys, does]) => [
    element("span", {}, ...keys.flatMap((key) => [keyboardKey(key), " "]), does),
    " ",
  ]));
