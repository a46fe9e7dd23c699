// Draws the charts of the overview from /admin/figures.json with uPlot. A table below each chart has the same numbers.
import uPlot from "./vendor/uplot-1.6.32.js";

const PLOT_HEIGHT = 152;
const DAY_SECONDS = 86_400;
const SAMPLE_SECONDS = 60;
// Samples come once a minute; where two are further apart, nobody had time to take one.
const GAP_SECONDS = 3 * SAMPLE_SECONDS;
const DIVISORS = { cents: 100, micro: 1_000_000 };

const drawn = [];

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function withAlpha(colour, alpha) {
  return `color-mix(in srgb, ${colour} ${alpha * 100}%, transparent)`;
}

function axes(formatTime) {
  const shared = {
    stroke: token("--text-soft"),
    font: `12px ${token("--font")}`,
    grid: { stroke: token("--line"), width: 1 },
    ticks: { show: false },
  };
  return [
    { ...shared, grid: { show: false }, size: 28, gap: 8, space: 64, values: (_, times) => times.map(formatTime) },
    { ...shared, size: 48, gap: 4, space: 32 },
  ];
}

// A line shows what has neighbours; alone, a figure would be invisible without a point.
function lonely(plot, index) {
  const values = plot.data[index];
  const isThere = (at) => values[at] != null;
  return [...values.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
}

function seriesOf(card, formatTime) {
  const colours = [token("--accent"), token("--text-soft")];
  const [time, ...labels] = card.dataset.labels.split("|");
  const lines = labels.map((label, index) => ({
    label,
    stroke: colours[index],
    width: 2,
    fill: withAlpha(colours[index], 0.15),
    value: (_, value) => (value == null ? "–" : String(value)),
    points: { size: 6, fill: colours[index], filter: (plot, at) => lonely(plot, at) },
  }));
  return [{ label: time, value: (_, moment) => (moment == null ? "–" : formatTime(moment)) }, ...lines];
}

function draw(card, columns, formatTime, zone) {
  const place = card.querySelector(".plot");
  const options = () => ({
    width: place.clientWidth,
    height: PLOT_HEIGHT,
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
    // The newest values are beside the title; the legend shows those under the pointer.
    legend: { show: true },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, least, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: axes(formatTime),
    series: seriesOf(card, formatTime),
  });
  const chart = { place, options, columns, plot: null };
  chart.plot = new uPlot(options(), columns, place);
  drawn.push(chart);
  new ResizeObserver(() => chart.plot.setSize({ width: place.clientWidth, height: PLOT_HEIGHT })).observe(place);
}

function redrawAll() {
  for (const chart of drawn) {
    chart.plot.destroy();
    chart.plot = new uPlot(chart.options(), chart.columns, chart.place);
  }
}

function drawDays(card, metrics) {
  const language = document.documentElement.lang;
  const format = new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric", timeZone: "UTC" });
  const times = metrics.days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000);
  const divisor = DIVISORS[card.dataset.unit] ?? 1;
  const scaled = (value) => (value == null ? null : value / divisor);
  const columns = [times, ...card.dataset.series.split(" ").map((name) => metrics[name].map(scaled))];
  draw(card, columns, (time) => format.format(time * 1000), "Etc/UTC");
}

function drawQueue(card, { times, lengths }) {
  const timeZone = card.dataset.zone;
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone });
  // The whole day, with or without samples at its ends; this browser's clock may be another than the server's.
  const now = Date.now() / 1000;
  const columns = [[Math.min(now - DAY_SECONDS, times[0] ?? now)], [null]];
  const add = (time, length) => [time, length].forEach((value, index) => columns[index].push(value));
  times.forEach((time, index) => {
    if (index > 0 && time - times[index - 1] > GAP_SECONDS) add(time - SAMPLE_SECONDS, null);
    add(time, lengths[index]);
  });
  add(Math.max(now, times.at(-1) ?? now), null);
  draw(card, columns, (time) => format.format(time * 1000), timeZone);
}

async function begin() {
  const grid = document.getElementById("charts");
  const cards = [...document.querySelectorAll(".chart")];
  try {
    const answer = await fetch(grid.dataset.metrics, { headers: { Accept: "application/json" } });
    if (answer.redirected || !answer.ok) {
      throw new Error(`the request for metrics was answered with ${answer.status}`);
    }
    const { data } = await answer.json();
    for (const card of cards) {
      if ("queue" in card.dataset) {
        drawQueue(card, data.queue);
      } else {
        drawDays(card, data);
      }
    }
  } catch (error) {
    console.error(error);
    for (const card of cards) {
      card.querySelector(".plot").textContent = grid.dataset.failed;
    }
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
new MutationObserver(redrawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
begin();
