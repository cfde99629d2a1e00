
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const duration = report.duration_s;
  const trackOf = Object.fromEntries(report.tracks.map((track) => [track.id, track]));
  const ids = report.tracks.map((track) => track.id);
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const FADE_S = 0.006; // switching is a cross-fade too short to be heard, and long enough not to click
  const SOON_S = 0.02;
  const MIN_LOOP_S = 0.05;

  const clock = (seconds) => {
    const tenths = Math.floor(10 * seconds + 1e-6);
    return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
  };
  const decibels = (value) => `${value.toFixed(1).replace("-", "\u2212").replace("\u22120.0", "0.0")} dB`;
  const say = (text) => { byId("status").textContent = text; };

  // ---------------------------------------------------------------- sound

  let selected = "output";
  let matched = report.tracks.every((track) => track.match_db !== null);
  let looping = false;
  let region = null; // [start, end] in seconds
  let paused = 0; // position while nothing plays
  let context = null;
  let running = null;
  let tone = null;
  const buffers = {};

  const gainOf = (id) => (matched ? 10 ** (trackOf[id].match_db / 20) : 1);
  const audio = () => {
    context = context || new AudioContext({ sampleRate: report.rate_hz, latencyHint: "interactive" });
    context.resume();
    return context;
  };
  const ramp = (parameter, value) => {
    const at = context.currentTime;
    parameter.cancelScheduledValues(at);
    parameter.setValueAtTime(parameter.value, at);
    parameter.linearRampToValueAtTime(value, at + FADE_S);
  };

  const position = () => {
    if (!running) return paused;
    let at = running.from + Math.max(0, context.currentTime - running.began);
    if (running.loop) {
      const [start, end] = running.loop;
      if (at >= end) at = start + ((at - end) % (end - start));
    }
    return Math.min(at, duration);
  };

  const halt = () => {
    if (!running) return;
    paused = position();
    const { sources, fade } = running;
    running = null;
    ramp(fade.gain, 0);
    for (const source of sources) source.stop(context.currentTime + 2 * FADE_S);
  };

  // All three play all the time, started at one moment; which one is heard is a matter of gains.
  const start = (from) => {
    halt();
    endTone();
    const loop = looping ? region || [0, duration] : null;
    if (loop && (from < loop[0] || from >= loop[1])) from = loop[0];
    if (from > duration - 0.005) from = loop ? loop[0] : 0;
    const sound = audio();
    const began = sound.currentTime + SOON_S;
    const fade = new GainNode(sound, { gain: 0 });
    fade.gain.setValueAtTime(0, began);
    fade.gain.linearRampToValueAtTime(1, began + FADE_S);
    fade.connect(sound.destination);
    const gains = {};
    const sources = ids.map((id) => {
      const source = new AudioBufferSourceNode(sound, { buffer: buffers[id], loop: Boolean(loop) });
      if (loop) [source.loopStart, source.loopEnd] = loop;
      gains[id] = new GainNode(sound, { gain: id === selected ? gainOf(id) : 0 });
      source.connect(gains[id]).connect(fade);
      source.start(began, from);
      return source;
    });
    running = { sources, gains, fade, began, from, loop };
    const mine = running;
    sources[0].addEventListener("ended", () => {
      if (running !== mine) return;
      running = null;
      paused = duration;
      show();
    });
    animate();
  };

  const toggle = () => {
    if (!buffers.output) return;
    running ? halt() : start(paused);
    show();
  };
  const seek = (to) => {
    const at = Math.min(Math.max(0, to), duration);
    if (running) start(at);
    else paused = at;
    show();
  };
  const restart = () => { if (running) start(position()); };
  const select = (id) => {
    selected = id;
    if (running) for (const each of ids) ramp(running.gains[each].gain, each === id ? gainOf(each) : 0);
    drawWave();
    show();
  };
  const setLoop = (on) => {
    looping = on;
    restart();
    show();
  };
  const setRegion = (from, to) => {
    const [a, b] = [Math.max(0, Math.min(from, to)), Math.min(duration, Math.max(from, to))];
    region = b - a >= MIN_LOOP_S ? [a, b] : null;
    looping = looping || Boolean(region);
    restart();
    show();
  };
  const startHere = () => setRegion(position(), region && region[1] > position() ? region[1] : duration);
  const endHere = () => setRegion(region && region[0] < position() ? region[0] : 0, position());
  const clearRegion = () => {
    region = null;
    restart();
    show();
  };

  const endTone = () => {
    if (tone) tone.stop();
  };
  const playTone = (side, button) => {
    halt();
    endTone();
    const sound = audio();
    const at = sound.currentTime + SOON_S;
    const level = new GainNode(sound, { gain: 0 });
    level.gain.setValueAtTime(0, at);
    level.gain.linearRampToValueAtTime(0.12, at + 0.05);
    level.gain.setValueAtTime(0.12, at + 0.85);
    level.gain.linearRampToValueAtTime(0, at + 0.9);
    const ears = new ChannelMergerNode(sound, { numberOfInputs: 2 });
    if (side !== "right") level.connect(ears, 0, 0);
    if (side !== "left") level.connect(ears, 0, 1);
    ears.connect(sound.destination);
    const wave = new PeriodicWave(sound, { real: [0, 0, 0, 0], imag: [0, 1, 0.5, 0.3] });
    const source = new OscillatorNode(sound, { type: "custom", periodicWave: wave, frequency: 440 });
    source.connect(level);
    source.start(at);
    source.stop(at + 0.9);
    tone = source;
    button.classList.add("on");
    source.addEventListener("ended", () => {
      button.classList.remove("on");
      ears.disconnect();
      if (tone === source) tone = null;
    });
    show();
  };

  const decodeAll = async () => {
    const decoder = new OfflineAudioContext(2, 1, report.rate_hz);
    for (const id of ids) {
      const block = byId("sound-" + id);
      const text = atob(block.textContent);
      block.remove(); // the page would keep it in memory for nothing
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
      buffers[id] = await decoder.decodeAudioData(bytes.buffer);
    }
    byId("play").disabled = false;
    show();
  };

  // ---------------------------------------------------------------- pictures

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const wide = () => byId("plots").clientWidth;
  const LEFT = 44;
  const RIGHT = 8;
  const toX = (seconds) => LEFT + (seconds / duration) * (wide() - LEFT - RIGHT);
  const toSeconds = (x) => Math.min(duration, Math.max(0, ((x - LEFT) / (wide() - LEFT - RIGHT)) * duration));
  const STEPS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300];

  const canvas = (id) => {
    const element = byId(id);
    const height = element.clientHeight;
    const scale = devicePixelRatio || 1;
    element.width = Math.round(wide() * scale);
    element.height = Math.round(height * scale);
    const pen = element.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    pen.lineJoin = "round";
    return { pen, height };
  };

  /** Lines and labels of both axes; ticks are [value, label] and toY says where a value is. */
  const frame = (pen, top, bottom, ticks, toY, times) => {
    const step = STEPS.find((each) => toX(each) - LEFT >= 64) || 600;
    pen.lineWidth = 1;
    pen.strokeStyle = colour("faint");
    pen.fillStyle = colour("soft");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (let i = 0; i * step <= duration + 1e-9; i += 1) {
      const x = Math.round(toX(i * step)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, top);
      pen.lineTo(x, bottom);
      pen.stroke();
      if (times) {
        const seconds = i * step;
        const decimals = step < 0.1 ? 2 : step < 1 ? 1 : 0;
        const rest = (seconds % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
        const text = `${Math.floor(seconds / 60)}:${rest}`;
        pen.textAlign = x > wide() - 24 ? "right" : "center";
        pen.fillText(text, Math.min(x, wide() - 1), bottom + 5);
      }
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [value, label] of ticks) {
      const y = Math.round(toY(value)) + 0.5;
      pen.strokeStyle = colour(value === 0 ? "line" : "faint");
      pen.beginPath();
      pen.moveTo(LEFT, y);
      pen.lineTo(wide() - RIGHT, y);
      pen.stroke();
      pen.fillText(label, LEFT - 6, Math.min(bottom - 5, Math.max(top + 6, y)));
    }
  };

  /** A line through values, broken where there are none. */
  const trace = (pen, times, values, toY) => {
    pen.beginPath();
    let before = false;
    values.forEach((value, i) => {
      if (value !== null) pen[before ? "lineTo" : "moveTo"](toX(times[i]), toY(value));
      before = value !== null;
    });
    pen.stroke();
  };

  const loudest = Math.max(1e-6, ...report.tracks.flatMap((track) => track.peaks).map((ear) => ear.reduce((a, b) => Math.max(a, b), 0)));
  const drawWave = () => {
    const { pen, height } = canvas("wave");
    const middle = height / 2;
    const reach = middle - 3;
    const toY = (value) => middle - value * reach;
    frame(pen, 0, height, [[0, ""]], toY, false);
    pen.fillText("left", LEFT - 6, middle - reach / 2);
    pen.fillText("right", LEFT - 6, middle + reach / 2);
    trackOf[selected].peaks.forEach((peaks, ear) => {
      pen.fillStyle = colour(ear === 0 ? "wave" : "wave-2");
      const width = (wide() - LEFT - RIGHT) / peaks.length;
      peaks.forEach((peak, i) => {
        const y = toY((ear === 0 ? 1 : -1) * (peak / loudest));
        pen.fillRect(LEFT + i * width, Math.min(y, middle), Math.max(width, 0.6), Math.abs(y - middle));
      });
    });
  };

  const drawSpl = () => {
    const { pen, height } = canvas("spl");
    const known = [...report.spl.output, ...report.spl.hrtf].filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
    const most = known.length ? known[Math.floor(0.995 * (known.length - 1))] : 0;
    const limit = Math.min(30, Math.max(6, 6 * Math.ceil(most / 6)));
    const toY = (value) => height / 2 - (Math.max(-limit, Math.min(limit, value)) / limit) * (height / 2 - 6);
    const label = (value) => (value > 0 ? "+" : "\u2212") + Math.abs(value);
    frame(pen, 0, height, [[limit, label(limit)], [limit / 2, label(limit / 2)], [0, "0 dB"], [-limit / 2, label(-limit / 2)], [-limit, label(-limit)]], toY, false);
    pen.strokeStyle = colour("soft");
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    trace(pen, report.spl.time_s, report.spl.hrtf, toY);
    pen.setLineDash([]);
    pen.strokeStyle = colour("wave");
    pen.lineWidth = 2;
    trace(pen, report.spl.time_s, report.spl.output, toY);
  };

  const REQUESTED_COLOURS = 6;
  const DASHES = [[], [9, 5], [2, 5]];
  const dashOf = (index) => Math.floor(index / REQUESTED_COLOURS + index) % DASHES.length;
  const drawAzimuth = () => {
    const { pen, height } = canvas("azimuth");
    const bottom = height - 20;
    const toY = (value) => bottom / 2 - (value / 90) * (bottom / 2 - 6);
    frame(pen, 0, bottom, [[90, "90\u00b0 L"], [45, "45\u00b0"], [0, "0\u00b0"], [-45, "45\u00b0"], [-90, "90\u00b0 R"]], toY, true);
    report.azimuth.asked.forEach((track, index) => {
      pen.strokeStyle = colour("requested-" + (index % REQUESTED_COLOURS));
      pen.lineWidth = 4;
      pen.setLineDash(DASHES[dashOf(index)]);
      for (const [from, to, first, last] of track.lines) {
        pen.beginPath();
        pen.moveTo(toX(from), toY(first));
        pen.lineTo(toX(to), toY(last));
        pen.stroke();
      }
    });
    pen.setLineDash([]);
    pen.fillStyle = colour("ink");
    report.azimuth.heard.forEach((value, i) => {
      if (value === null) return;
      pen.beginPath();
      pen.arc(toX(report.azimuth.time_s[i]), toY(value), 2, 0, 2 * Math.PI);
      pen.fill();
    });
  };

  const drawLane = () => {
    all("#lane .prompt").forEach((element, i) => {
      const { start_s: from, end_s: to } = report.segments[i];
      element.style.left = `${toX(from)}px`;
      element.style.width = `${toX(to) - toX(from)}px`;
    });
  };
  const draw = () => {
    drawWave();
    drawSpl();
    drawAzimuth();
    drawLane();
    show();
  };

  // ---------------------------------------------------------------- what is shown

  const TITLES = { input: "the input", output: "the output", hrtf: "the plain HRTF" };
  let shownSegment = null;
  const move = () => {
    const at = position();
    byId("clock").value = `${clock(at)} / ${clock(duration)}`;
    const slider = byId("position");
    slider.value = at / duration;
    slider.setAttribute("aria-valuetext", `${clock(at)} of ${clock(duration)}`);
    for (const cursor of all(".cursor")) cursor.style.transform = `translateX(${toX(at)}px)`;
    const segment = report.segments.findIndex((each) => each.start_s <= at && at < each.end_s);
    if (segment !== shownSegment) {
      shownSegment = segment;
      all("#lane .prompt").forEach((element, i) => element.classList.toggle("current", i === segment));
      byId("now").textContent = segment < 0 ? "No prompt here: everything is in the center." : report.segments[segment].text;
    }
  };
  const show = () => {
    for (const button of all("[data-track]")) {
      const id = button.dataset.track;
      button.setAttribute("aria-pressed", String(id === selected));
      const { match_db: gain, loudness_lufs: loudness } = trackOf[id];
      const level = loudness === null ? "loudness unknown" : `${loudness.toFixed(1).replace("-", "\u2212")} LUFS`;
      button.querySelector(".match").textContent = matched ? `${level}, matched by ${decibels(gain)}` : level;
    }
    byId("wave-name").textContent = TITLES[selected];
    if (!byId("play").disabled) byId("play").textContent = running ? "\u275a\u275a Pause" : "\u25b6 Play";
    byId("match").setAttribute("aria-pressed", String(matched));
    byId("loop").setAttribute("aria-pressed", String(looping));
    byId("loop-clear").disabled = !region;
    byId("region-text").value = region ? `${clock(region[0])} \u2013 ${clock(region[1])}` : "all";
    for (const mark of all(".region-mark")) {
      mark.style.visibility = region ? "visible" : "hidden";
      if (region) {
        mark.style.left = `${toX(region[0])}px`;
        mark.style.width = `${toX(region[1]) - toX(region[0])}px`;
      }
    }
    move();
  };
  const animate = () => {
    if (!running) return;
    move();
    if (still.matches) setTimeout(animate, 500);
    else requestAnimationFrame(animate);
  };

  // ---------------------------------------------------------------- hands

  for (const button of all("[data-track]")) button.addEventListener("click", () => select(button.dataset.track));
  for (const button of all("[data-tone]")) button.addEventListener("click", () => playTone(button.dataset.tone, button));
  for (const button of all("[data-segment]")) {
    button.addEventListener("click", () => seek(report.segments[Number(button.dataset.segment)].start_s));
  }
  byId("play").addEventListener("click", toggle);
  byId("match").addEventListener("click", () => {
    matched = !matched;
    select(selected);
  });
  if (!matched) {
    byId("match").disabled = true;
    byId("match").textContent = "Loudness not matched: too short or too quiet";
  }
  byId("loop").addEventListener("click", () => setLoop(!looping));
  byId("loop-start").addEventListener("click", startHere);
  byId("loop-end").addEventListener("click", endHere);
  byId("loop-clear").addEventListener("click", clearRegion);
  byId("position").addEventListener("input", (event) => seek(Number(event.target.value) * duration));

  // After a click the focus goes back to the page, so that Space plays and does not press the button again.
  addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button");
    if (button && event.detail > 0) button.blur();
  });

  for (const area of all(".area")) {
    let from = null;
    let dragging = false;
    const at = (event) => toSeconds(event.clientX - area.getBoundingClientRect().left);
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, at: at(event) };
      dragging = false;
      area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (!from) return;
      dragging = dragging || Math.abs(event.clientX - from.x) > 5;
      if (!dragging) return;
      const [a, b] = [from.at, at(event)].sort((x, y) => x - y);
      region = b - a >= MIN_LOOP_S ? [a, b] : region;
      show();
    });
    area.addEventListener("pointerup", (event) => {
      if (!from) return;
      if (dragging) setRegion(from.at, at(event));
      else seek(at(event));
      from = null;
    });
    area.addEventListener("pointercancel", () => { from = null; });
  }

  const keys = {
    " ": toggle,
    arrowleft: (event) => seek(position() - (event.shiftKey ? 5 : 1)),
    arrowright: (event) => seek(position() + (event.shiftKey ? 5 : 1)),
    home: () => seek(0),
    end: () => seek(duration),
    l: () => setLoop(!looping),
    i: startHere,
    o: endHere,
    x: clearRegion,
  };
  ids.forEach((id, i) => {
    keys[String(i + 1)] = () => select(id);
    keys["abc"[i]] = () => select(id);
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const action = keys[event.key.toLowerCase()];
    const pressable = event.target instanceof Element && event.target.closest("button, summary");
    const scrolls = event.target instanceof Element && event.target.closest(".scroll") && event.key.startsWith("Arrow");
    if (!action || scrolls || (event.key === " " && pressable)) return;
    event.preventDefault();
    if (!(event.repeat && !event.key.startsWith("Arrow"))) action(event);
  });

  // ---------------------------------------------------------------- beginning

  byId("lane").prepend(...report.segments.map(({ text }) => {
    const prompt = document.createElement("div");
    prompt.className = "prompt";
    prompt.title = text;
    const words = document.createElement("span");
    words.textContent = text; // never markup, whatever stands in a prompt
    prompt.append(words);
    return prompt;
  }));
  report.azimuth.asked.forEach(({ object }, index) => {
    const swatch = document.createElement("span");
    swatch.className = `swatch requested-${index % REQUESTED_COLOURS} dash-${dashOf(index)}`;
    const name = document.createElement("bdi");
    name.textContent = object;
    const entry = document.createElement("span");
    entry.append(swatch, name);
    byId("azimuth-legend").append(entry);
  });
  const rangeOf = (values) => {
    const known = values.filter((value) => value !== null);
    return known.length ? `${known.reduce((a, b) => Math.min(a, b))} to ${known.reduce((a, b) => Math.max(a, b))}` : "silence";
  };
  byId("spl").setAttribute("aria-label", `Level of the left ear over the right over time, decibels: ${rangeOf(report.spl.output)} for the output`);
  byId("azimuth").setAttribute("aria-label", `Azimuth over time, degrees, positive left: measured from ${rangeOf(report.azimuth.heard)}; lines are the requested places. The table below has the numbers.`);

  new ResizeObserver(draw).observe(byId("plots"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  decodeAll().catch(() => {
    byId("play").textContent = "Cannot play";
    say("This browser cannot decode the sounds of this page. A current Chrome, Edge, Firefox or Safari can.");
  });
})();
