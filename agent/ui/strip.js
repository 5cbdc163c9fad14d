// An hour in one line. Height says what colour says: the worse, the taller.
import { svg } from "./dom.js";
import { CELLS, inWords, runs } from "./model_history.js";

const HEIGHT = { __proto__: null, passing: 4, maintenance: 6, warning: 8, critical: 12 };
const FULL = 12;

// `cells`: states, the newest last (model_history.js).
export function strip(cells) {
  const words = inWords(cells);
  return svg("svg", { class: "strip", viewBox: `0 0 ${CELLS} ${FULL}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
    svg("title", {}, words),
    runs(cells).map(({ state, from, to }) => {
      const height = HEIGHT[state] ?? 1;
      return svg("rect", { class: state ?? "unknown", x: from, width: to - from, y: FULL - height, height });
    }));
}

// How much happened when: bars, `cells` as density() makes them.
export function bars(cells) {
  const most = Math.max(1, ...cells.map((cell) => cell.count));
  const total = cells.reduce((sum, cell) => sum + cell.count, 0);
  const words = `${total} event${total === 1 ? "" : "s"} in the last hour`;
  return svg("svg", { class: "bars", viewBox: `0 0 ${CELLS} ${FULL}`, preserveAspectRatio: "none", role: "img", "aria-label": words }, svg("title", {}, words),
    svg("rect", { class: "unknown", x: 0, width: CELLS, y: FULL - 0.4, height: 0.4 }),
    cells.map(({ count, state }, i) => {
      if (count === 0) return null;
      const height = 2 + (10 * count) / most;
      return svg("rect", { class: state, x: i + 0.1, width: 0.8, y: FULL - height, height });
    }));
}

