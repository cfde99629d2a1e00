
/**
 * The pictures of the report over time: waveform, level difference, azimuth, and the lane of prompts.
 *
 * @param {Reported} report  the page's data
 */
const makePictures = (report) => {
  const duration = report.duration_s;
  const start = report.start_s;
  const colour = (/** @type {string} */ name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const wide = () => byId("plots").clientWidth;
  const LEFT = 44;
  const RIGHT = 8;
  const toX = (/** @type {number} */ seconds) => LEFT + (seconds / duration) * (wide() - LEFT - RIGHT);
  const toSeconds = (/** @type {number} */ x) => Math.min(duration, Math.max(0, ((x - LEFT) / (wide() - LEFT - RIGHT)) * duration));
  const STEPS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300];

  const canvas = (/** @type {string} */ id) => {
    /** @type {HTMLCanvasElement} */
    const element = byId(id);
    const height = element.clientHeight;
    const scale = devicePixelRatio || 1;
    element.width = Math.round(wide() * scale);
    element.height = Math.round(height * scale);
    const pen = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    pen.lineJoin = "round";
    return { pen, height };
  };

  /**
   * Lines and labels of both axes.
   * @type {(pen: CanvasRenderingContext2D, span: [top: number, bottom: number], ticks: [value: number, label: string][],
   *   toY: (value: number) => number, times: boolean) => void} `toY` says where a value is
   */
  const frame = (pen, [top, bottom], ticks, toY, times) => {
    const step = STEPS.find((each) => toX(each) - LEFT >= 64) || 600;
    pen.lineWidth = 1;
    pen.strokeStyle = colour("faint");
    pen.fillStyle = colour("soft");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (let i = Math.ceil(start / step - 1e-9); i * step <= start + duration + 1e-9; i += 1) {
      const x = Math.round(toX(i * step - start)) + 0.5;
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

  /**
   * A line through values, broken where there are none.
   * @type {(pen: CanvasRenderingContext2D, times: number[], values: (number | null)[], toY: (value: number) => number) => void}
   */
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
  const drawWave = (/** @type {string} */ id) => {
    const { pen, height } = canvas("wave");
    const middle = height / 2;
    const reach = middle - 3;
    const toY = (/** @type {number} */ value) => middle - value * reach;
    frame(pen, [0, height], [[0, ""]], toY, false);
    pen.fillText("left", LEFT - 6, middle - reach / 2);
    pen.fillText("right", LEFT - 6, middle + reach / 2);
    report.tracks.find((track) => track.id === id)?.peaks.forEach((peaks, ear) => {
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
    const toY = (/** @type {number} */ value) => height / 2 - (Math.max(-limit, Math.min(limit, value)) / limit) * (height / 2 - 6);
    const label = (/** @type {number} */ value) => (value > 0 ? "+" : "\u2212") + Math.abs(value);
    frame(pen, [0, height], [[limit, label(limit)], [limit / 2, label(limit / 2)], [0, "0 dB"], [-limit / 2, label(-limit / 2)], [-limit, label(-limit)]], toY, false);
    pen.strokeStyle = colour("soft");
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    trace(pen, report.spl.time_s, report.spl.hrtf, toY);
    pen.setLineDash([]);
    pen.strokeStyle = colour("wave");
    pen.lineWidth = 2;
    trace(pen, report.spl.time_s, report.spl.output, toY);
  };

  const REQUESTED_COLOURS = 8;
  const DASHES = [[], [9, 5], [2, 5]];
  const dashOf = (/** @type {number} */ index) => Math.floor(index / REQUESTED_COLOURS + index) % DASHES.length;
  const drawAzimuth = () => {
    const { pen, height } = canvas("azimuth");
    const bottom = height - 20;
    const toY = (/** @type {number} */ value) => bottom / 2 - (value / 90) * (bottom / 2 - 6);
    frame(pen, [0, bottom], [[90, "90\u00b0 L"], [45, "45\u00b0"], [0, "0\u00b0"], [-45, "45\u00b0"], [-90, "90\u00b0 R"]], toY, true);
    // Lines of equal places at one time lie side by side.
    const groups = new Map();
    const groupOf = (/** @type {Line} */ [from, to, first, last]) => [from, to, Math.round(first), Math.round(last)].join();
    for (const line of report.azimuth.asked.flatMap((track) => track.lines)) {
      groups.set(groupOf(line), [...(groups.get(groupOf(line)) || []), line]);
    }
    report.azimuth.asked.forEach((track, index) => {
      pen.strokeStyle = colour("requested-" + (index % REQUESTED_COLOURS));
      pen.lineWidth = 4;
      pen.setLineDash(DASHES[dashOf(index)]);
      for (const line of track.lines) {
        const [from, to, first, last] = line;
        const group = groups.get(groupOf(line));
        const down = 4.5 * (group.indexOf(line) - (group.length - 1) / 2);
        pen.beginPath();
        pen.moveTo(toX(from), toY(first) + down);
        pen.lineTo(toX(to), toY(last) + down);
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

  /** Where objects are at a time, seen from above: what is above or below lies nearer to the middle. */
  const placesAt = (/** @type {number} */ at) => {
    const { around } = report;
    if (around) {
      // Colours are those of the azimuths; what has none there comes after.
      const drawn = report.azimuth.asked.map(({ object }) => object);
      const others = around.objects.map(({ object }) => object).filter((object) => !drawn.includes(object));
      const order = [...drawn, ...others];
      return around.objects.flatMap((track) => {
        const index = order.indexOf(track.object);
        const moment = Math.min(track.azimuth_deg.length - 1, Math.max(0, Math.round(at / around.step_s)));
        const degrees = track.azimuth_deg[moment];
        if (degrees === null) return [];
        const height = track.elevation_deg[moment];
        const words = [];
        if (Math.abs(height) >= 0.5) words.push(`${Math.abs(Math.round(height))}\u00b0 ${height > 0 ? "up" : "down"}`);
        if (track.distance_m[moment] !== 1.4) words.push(`${Number(track.distance_m[moment].toPrecision(2))} m`);
        const reach = Math.cos((height / 180) * Math.PI);
        return [{ object: track.object, index, degrees, reach, words, wide: track.spread[moment] >= 0.5 }];
      });
    }
    return report.azimuth.asked.flatMap((track, index) => {
      const line = track.lines.find(([from, to]) => from <= at && at < to);
      if (!line) return [];
      const [from, to, first, last] = line;
      const degrees = first + ((last - first) * (at - from)) / (to - from);
      return [{ object: track.object, index, degrees, reach: 1, words: [], wide: false }];
    });
  };

  /** The requested places at a time, on a circle around the listener; of one place, one lies inside of the other. */
  const drawRing = (/** @type {number} */ at) => {
    const { pen, height } = canvas("ring");
    /** @type {Spot} */
    const middle = [wide() / 2, height / 2];
    const radius = Math.max(10, height / 2 - 24);
    /** @type {(degrees: number, reach: number) => Spot} */
    const place = (degrees, reach) => {
      const angle = (degrees / 180) * Math.PI; // positive is left, 0 is up
      return [middle[0] - reach * Math.sin(angle), middle[1] - reach * Math.cos(angle)];
    };
    const circle = (/** @type {Spot} */ [x, y], /** @type {number} */ reach, /** @type {"fill" | "stroke"} */ paint) => {
      pen.beginPath();
      pen.arc(x, y, reach, 0, 2 * Math.PI);
      pen[paint]();
    };
    pen.strokeStyle = colour("line");
    circle(middle, radius, "stroke");
    circle(middle, 7, "stroke");
    pen.beginPath();
    pen.moveTo(middle[0] - 4, middle[1] - 6);
    pen.lineTo(middle[0], middle[1] - 13);
    pen.lineTo(middle[0] + 4, middle[1] - 6);
    pen.stroke();
    pen.fillStyle = colour("soft");
    pen.textBaseline = "middle";
    /** @type {[degrees: number, text: string, align: CanvasTextAlign][]} */
    const names = [[0, "front", "center"], [90, "left", "right"], [-90, "right", "left"]];
    if (report.around) names.push([180, "behind", "center"]);
    for (const [degrees, text, align] of names) {
      const [x, y] = place(degrees, radius + 12);
      pen.textAlign = align;
      pen.fillText(text, x, y);
    }
    const taken = new Map();
    for (const { object, index, degrees, reach, words, wide } of placesAt(at)) {
      pen.fillStyle = pen.strokeStyle = colour("requested-" + (index % REQUESTED_COLOURS));
      const text = [object, ...words].join(", ");
      if (wide) {
        pen.lineWidth = 4;
        pen.setLineDash([2, 8]);
        circle(middle, radius, "stroke");
        pen.setLineDash([]);
        pen.lineWidth = 1;
        const before = taken.get("wide") || 0;
        taken.set("wide", before + 1);
        pen.fillStyle = colour("ink");
        pen.textAlign = "left";
        pen.fillText(`${text}: all around`, 4, 12 + 16 * before);
        continue;
      }
      const key = `${Math.round(degrees / 4)} ${Math.round(4 * reach)}`;
      const before = taken.get(key) || 0;
      taken.set(key, before + 1);
      const [x, y] = place(degrees, Math.max(18, reach * radius - 20 * before));
      circle([x, y], 8, "fill");
      pen.fillStyle = colour("ink");
      if (report.around && Math.abs(Math.abs(degrees) - 90) < 12) { // beside the words left and right
        pen.textAlign = "center";
        pen.fillText(text, x, y + 19);
        continue;
      }
      const left = degrees >= 0 && degrees < 180;
      pen.textAlign = left ? "right" : "left";
      const down = Math.abs(degrees) < 20 ? 14 : Math.abs(degrees) > 160 ? -14 : 0;
      pen.fillText(text, x + (left ? -13 : 13), y + down);
    }
  };

  const drawLane = () => {
    all("#lane .prompt").forEach((element, i) => {
      const { start_s: from, end_s: to } = report.segments[i];
      element.style.left = `${toX(from)}px`;
      element.style.width = `${toX(to) - toX(from)}px`;
    });
  };

  const describe = () => {
    report.azimuth.asked.forEach(({ object }, index) => {
      const swatch = document.createElement("span");
      swatch.className = `swatch requested-${index % REQUESTED_COLOURS} dash-${dashOf(index)}`;
      const name = document.createElement("bdi");
      name.textContent = object;
      const entry = document.createElement("span");
      entry.append(swatch, name);
      byId("azimuth-legend").append(entry);
    });
    const rangeOf = (/** @type {(number | null)[]} */ values) => {
      const known = values.filter((value) => value !== null);
      return known.length ? `${known.reduce((a, b) => Math.min(a, b))} to ${known.reduce((a, b) => Math.max(a, b))}` : "silence";
    };
    byId("spl").setAttribute("aria-label", `Level of the left ear over the right over time, decibels: ${rangeOf(report.spl.output)} for the output`);
    byId("ring").setAttribute("aria-label", "Circle around the listener with the requested places at the time that plays; the table below has them");
    byId("azimuth").setAttribute("aria-label", `Azimuth over time, degrees, positive left: measured from ${rangeOf(report.azimuth.heard)}; lines are the requested places. The table below has the numbers.`);
  };

  const draw = (/** @type {string} */ id) => {
    drawWave(id);
    drawSpl();
    drawAzimuth();
    drawLane();
  };

  return { draw, drawWave, drawRing, describe, toX, toSeconds };
};
