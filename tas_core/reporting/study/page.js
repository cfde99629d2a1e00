
(() => {
  // What can be asked of a sound: answers with their names and keys.
  /** @type {Record<string, [place: string, name: string, key: string][]>} */
  const ANSWERS = {
    side: [["left", "Left", "l"], ["center", "Center", "c"], ["right", "Right", "r"]],
    depth: [["front", "In front", "f"], ["behind", "Behind", "b"]],
    height: [["below", "Below", "d"], ["level", "Ear level", "e"], ["above", "Above", "u"]],
  };
  /** Keys of the headphone check. @type {Record<string, string>} */
  const EARS = { l: "left", arrowleft: "left", r: "right", arrowright: "right" };
  const CHECK_TONES = ["left", "left", "right", "right"];
  /** @type {Study} */
  const study = readData("study");
  const FORMAT = study.format || 1;
  const around = study.items.some((item) => item.asks);
  const page = byId("page");
  const status = byId("status");
  const audio = byId("audio");
  const storageKey = "tas-study-" + study.study;

  // ---------------------------------------------------------------- state

  /**
   * @typedef {{answers: (string | null)[], plays: number, listened_s: number}} Kept
   * @typedef {{session: string, participant: string, started: string, finished: string | null, checked: boolean,
   *   check: {passed: boolean, attempts: number}, at: number, items: Kept[]}} State
   */

  /** @returns {State} */
  const newState = () => ({
    session: Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join(""),
    participant: "",
    started: new Date().toISOString(),
    finished: null,
    check: { passed: false, attempts: 0 },
    checked: false,
    at: 0,
    items: study.items.map((item) => ({ answers: item.questions.map(() => null), plays: 0, listened_s: 0 })),
  });

  // From file:// a browser may refuse storage by an exception, or offer one that keeps nothing.
  let storageWorks = false;
  const load = () => {
    try {
      localStorage.setItem(storageKey + "-test", "1");
      localStorage.removeItem(storageKey + "-test");
      storageWorks = true;
      const saved = JSON.parse(localStorage.getItem(storageKey) ?? "null");
      return saved && saved.items.length === study.items.length ? saved : null;
    } catch {
      return null;
    }
  };
  const save = () => {
    try {
      localStorage.setItem(storageKey, JSON.stringify(state));
    } catch {
      storageWorks = false;
    }
  };
  const forget = () => {
    try {
      localStorage.removeItem(storageKey);
    } catch {
      storageWorks = false;
    }
  };

  /** @type {any} a State from the first page on, and null before */
  let state = load();
  let running = false; // whether answers would be lost with the page
  addEventListener("beforeunload", (event) => {
    if (running && !storageWorks) event.preventDefault();
  });

  // ---------------------------------------------------------------- showing

  const say = (/** @type {string} */ text) => {
    status.textContent = text;
  };
  const player = makePlayer(audio, say);
  /** Whether a key was for what is shown. @type {(key: string) => boolean} */
  let onKey = () => false;
  /** @type {(title: string, children: (heading: HTMLElement) => HTMLElement[], handleKey?: (key: string) => boolean) => void} */
  const show = (title, children, handleKey) => {
    player.stop();
    say("");
    onKey = handleKey || (() => false);
    const heading = element("h1", { textContent: title, tabIndex: -1 });
    page.replaceChildren(...children(heading));
    document.title = title + " - Listening study";
    scrollTo(0, 0);
    heading.focus();
  };
  const shuffled = (/** @type {string[]} */ list) => {
    const rest = [...list];
    /** @type {string[]} */
    const out = [];
    while (rest.length) out.push(...rest.splice(crypto.getRandomValues(new Uint32Array(1))[0] % rest.length, 1));
    return out;
  };

  // ---------------------------------------------------------------- pages

  const welcome = () => {
    const resumed = state;
    const id = element("input", { type: "text", id: "participant", maxLength: 40, autocomplete: "off" });
    const start = () => {
      state = newState();
      state.participant = id.value.trim();
      running = true;
      save();
      check();
    };
    const goOn = () => {
      running = true;
      state.checked ? recording() : check();
    };
    const point = (/** @type {string} */ text) => element("li", { textContent: text });
    show("Where is the sound?", (heading) => {
      const parts = [
        heading,
        element("p", {
          textContent:
            `You will hear ${study.items.length} short recordings, one after the other. ` +
            "For each sound that is asked for, say where you hear it: left, center or right" +
            (around ? "; in front or behind; and how high. " : ". ") +
            "Some recordings are hard to tell; then choose what comes closest.",
        }),
        element(
          "ul",
          {},
          point("Wear headphones, with L on your left ear. Loudspeakers will not do."),
          point(
            "Switch your system\u2019s spatialiser off: Spatial Audio, Dolby Atmos, Windows Sonic, " +
              "\u201c3D\u201d or \u201csurround\u201d sound, and head tracking.",
          ),
          point("Switch mono audio off, and set left-right balance to the middle."),
          point("Choose a quiet place and a comfortable volume, and then leave the volume as it is."),
        ),
      ];
      if (!storageWorks) {
        parts.push(
          element("p", {
            className: "note",
            textContent:
              "Here the browser cannot remember answers. Do not close or reload this page before the end.",
          }),
        );
      }
      if (resumed) {
        const done = resumed.items.filter((/** @type {Kept} */ item) => !item.answers.includes(null)).length;
        parts.push(
          element("p", {
            className: "note",
            textContent: `Answers from before are kept: ${Math.min(done, resumed.at)} of ${study.items.length} recordings.`,
          }),
          element(
            "div",
            { className: "row" },
            button("Continue", goOn, "main"),
            button("Start over as a new listener", () => {
              forget();
              state = null;
              welcome();
            }),
          ),
        );
      } else {
        parts.push(
          element("label", { className: "field", htmlFor: "participant", textContent: "Participant id (optional)" }),
          id,
          element("div", { className: "row" }, button("Start", start, "main")),
        );
      }
      return parts;
    }, (key) => {
      if (key !== "Enter") return false;
      resumed ? goOn() : start();
      return true;
    });
  };

  const check = () => {
    const tones = shuffled(CHECK_TONES);
    let at = 0;
    let right = 0;
    const tone = () => {
      let heard = false;
      const answer = (/** @type {string} */ place) => {
        if (!heard) {
          say("Play the tone first.");
          return;
        }
        right += place === tones[at] ? 1 : 0;
        at += 1;
        at < tones.length ? tone() : result();
      };
      const choices = ["left", "right"].map((place) => {
        const made = button(place === "left" ? "Left" : "Right", () => answer(place));
        made.setAttribute("aria-keyshortcuts", place === "left" ? "L ArrowLeft" : "R ArrowRight");
        return made;
      });
      show(`Headphone check: tone ${at + 1} of ${tones.length}`, (heading) => [
        heading,
        element("p", { textContent: "Play the tone. In which ear do you hear it?" }),
        player.view("tone"),
        element("div", { className: "row ears", role: "group", "aria-label": "Ear" }, ...choices),
        keyLine([[["Space"], "play"], [["L"], "left"], [["R"], "right"]]),
      ], (key) => {
        const place = EARS[key.toLowerCase()];
        if (place) answer(place);
        return Boolean(place);
      });
      player.load("tone-" + tones[at], () => { heard = true; }, () => { heard = true; });
      audio.addEventListener("playing", () => { heard = true; }, { once: true });
    };
    const goOn = () => {
      state.checked = true;
      save();
      recording();
    };
    const result = () => {
      const passed = right === tones.length;
      state.check = { passed, attempts: state.check.attempts + 1 };
      save();
      const again = state.check.attempts < 2
        ? "Please try again."
        : "You can try again, or go on without; then the answers are marked.";
      const reason = right === 0
        ? "Left and right are exchanged: turn your headphones round. "
        : "Left and right were not told apart. Are the headphones plugged in, and is mono audio off? ";
      show(passed ? "Your headphones are fine" : "That was not right", (heading) => [
        heading,
        element("p", {
          textContent: passed
            ? "Now the recordings. Listen to each to its end; you may play it as often as you like."
            : reason + again,
        }),
        element(
          "div",
          { className: "row" },
          passed ? button("Go on", goOn, "main") : button("Try again", check, "main"),
          ...(!passed && state.check.attempts > 1 ? [button("Go on without", goOn)] : []),
        ),
      ], (key) => {
        if (key !== "Enter") return false;
        passed ? goOn() : check();
        return true;
      });
    };
    tone();
  };

  const recording = () => {
    if (state.finished || state.at >= study.items.length) {
      end(false);
      return;
    }
    const item = study.items[state.at];
    /** @type {Kept} */
    const record = state.items[state.at];
    let current = 0;

    const missing = () => {
      if (record.plays < 1) return "Listen to the recording to its end first.";
      if (record.answers.includes(null)) return item.questions.length > 1 ? "Answer each question first." : "Answer the question first.";
      return "";
    };
    const next = () => {
      if (missing()) {
        say(missing());
        return;
      }
      state.at += 1;
      if (state.at === study.items.length) state.finished = new Date().toISOString();
      save();
      state.finished ? end(true) : recording();
    };
    const choices = item.questions.map((_, row) => ANSWERS[item.asks ? item.asks[row] : "side"]);
    const places = choices.map((each) => each.map(([place]) => place));
    const firstDigits = choices.map((_, row) => 1 + choices.slice(0, row).reduce((sum, other) => sum + other.length, 0));
    const rows = item.questions.map((question, row) => {
      const inputs = places[row].map((place, column) =>
        element("input", {
          type: "radio",
          name: "object-" + row,
          value: place,
          checked: record.answers[row] === place,
          onchange: () => choose(row, column),
          onfocus: () => mark(row),
        }),
      );
      const labels = inputs.map((input, column) => {
        const label = element("label", {}, input, element("span", { textContent: choices[row][column][1] }));
        const digit = firstDigits[row] + column;
        if (digit <= 9) {
          const hint = keyboardKey(String(digit));
          hint.setAttribute("aria-hidden", "true");
          label.append(hint);
          input.setAttribute("aria-keyshortcuts", String(digit));
        }
        return label;
      });
      const box = element(
        "fieldset",
        {},
        element("legend", { textContent: question }),
        element("div", { className: labels.length === 2 ? "places two" : "places" }, ...labels),
      );
      return { box, inputs };
    });
    const nextButton = button(state.at + 1 < study.items.length ? "Next" : "Finish", next, "main");
    const mark = (/** @type {number} */ row) => {
      current = row;
      for (const [index, each] of rows.entries()) each.box.classList.toggle("current", rows.length > 1 && index === row);
    };
    const update = () => nextButton.setAttribute("aria-disabled", String(Boolean(missing())));
    const choose = (/** @type {number} */ row, /** @type {number} */ column) => {
      record.answers[row] = places[row][column];
      rows[row].inputs[column].checked = true;
      mark(row);
      say("");
      save();
      update();
    };
    const focusRow = (/** @type {number} */ row) => {
      mark(row);
      const column = Math.max(0, places[row].indexOf(record.answers[row] ?? ""));
      rows[row].inputs[column].focus();
    };
    const toNextOpen = () => {
      const open = record.answers.indexOf(null);
      focusRow(open < 0 ? current : open);
    };
    const handleKey = (/** @type {string} */ key) => {
      const low = key.toLowerCase();
      if (/^[1-9]$/.test(key)) {
        const row = firstDigits.filter((first) => first <= Number(key)).length - 1;
        if (Number(key) >= firstDigits[row] + choices[row].length) return false;
        choose(row, Number(key) - firstDigits[row]);
        toNextOpen();
        return true;
      }
      const letter = choices[current].findIndex((each) => each[2] === low);
      if (letter >= 0) {
        choose(current, letter);
        toNextOpen();
        return true;
      }
      if (low === "arrowleft" || low === "arrowright") {
        const was = places[current].indexOf(record.answers[current] ?? "");
        const step = low === "arrowleft" ? -1 : 1;
        const last = places[current].length - 1;
        choose(current, was < 0 ? (step < 0 ? 0 : last) : Math.min(last, Math.max(0, was + step)));
        focusRow(current);
        return true;
      }
      if (rows.length > 1 && (low === "arrowup" || low === "arrowdown")) {
        focusRow(Math.min(rows.length - 1, Math.max(0, current + (low === "arrowup" ? -1 : 1))));
        return true;
      }
      if (key === "Enter") {
        next();
        return true;
      }
      return false;
    };
    const several = rows.length > 1;
    show(`Recording ${item.item}`, (heading) => [
      element(
        "div",
        { className: "head" },
        element("span", { textContent: `Set ${item.set} of ${study.sets}` }),
        element("span", { textContent: `${state.at + 1} of ${study.items.length}` }),
      ),
      element("progress", {
        className: "total",
        max: study.items.length,
        value: state.at,
        "aria-label": `${state.at} of ${study.items.length} recordings answered`,
      }),
      heading,
      player.view("recording " + item.item),
      ...rows.map((row) => row.box),
      element("div", { className: "row" }, nextButton, button("Save the answers so far", download, "plain")),
      keyLine(/** @type {KeyHint[]} */ ([
        [["Space"], "play or pause"],
        [["L", "C", "R"], several && !around ? "answer the marked question" : "answer"],
        ...(around ? [[["F", "B"], "front, behind"], [["U", "E", "D"], "above, ear level, below"]] : []),
        ...(several ? [[["\u2191", "\u2193"], "other question"]] : []),
        [["Enter"], "next"],
      ])),
    ], handleKey);
    mark(Math.max(0, record.answers.indexOf(null)));
    update();
    player.load(
      String(item.item),
      (seconds) => {
        record.listened_s = Math.round(1000 * (record.listened_s + seconds)) / 1000;
        save();
      },
      () => {
        record.plays += 1;
        save();
        update();
      },
    );
  };

  const download = () => {
    const { session, participant, started, finished, check: tones } = state;
    const items = state.items.map((/** @type {Kept} */ each, /** @type {number} */ i) => ({ item: study.items[i].item, ...each }));
    // What is marked but not confirmed by Next is no answer yet.
    for (const each of items.slice(state.at)) each.answers = each.answers.map(() => null);
    const report = { format: FORMAT, study: study.study, session, participant, started, finished, check: tones, items };
    const name = participant.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "") || session;
    const url = URL.createObjectURL(new Blob([JSON.stringify(report, null, 1) + "\n"], { type: "application/json" }));
    const link = element("a", { href: url, download: `answers-${name}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say(`Saved as answers-${name}.json among your downloads.`);
  };

  const end = (/** @type {boolean} */ now) => {
    running = false;
    const again = () => {
      if (!confirm("Is the file with the answers saved? They are deleted here.")) return;
      forget();
      state = null;
      welcome();
    };
    show("Thank you", (heading) => [
      heading,
      element("p", { textContent: "All recordings are answered. Please send the file with your answers to whoever asked you." }),
      element("div", { className: "row" }, button("Download the answers", download, "main"), button("Next listener", again)),
    ]);
    if (now) download();
  };

  // ---------------------------------------------------------------- keyboard

  // Buttons and text fields keep what their keys do everywhere; on radio buttons space plays.
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target;
    const typing = target instanceof HTMLInputElement && target.type === "text";
    const onButton = target instanceof HTMLButtonElement;
    if (typing && event.key !== "Enter") return;
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    if (event.repeat && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      return;
    }
    if (event.key === " ") {
      if (!byId("play")) return;
      player.toggle();
      event.preventDefault();
    } else if (onKey(event.key)) {
      event.preventDefault();
    }
  });

  if (state?.finished) end(false);
  else welcome();
})();
