// Charts in SVG, each with a table that says the same. Colours come from the style sheet by class; what a colour says
// stands beside it in words.

import { el, svg, table } from './dom.js';

const WIDTH = 1080;
const HEIGHT = 220;
const LEFT = 60;
const RIGHT = 12;
const BOTTOM = 24;
const TOP = 10;

/** The next round number: 1, 2 or 5 times a power of ten (or of 1024 where sizes are counted). */
function ceiling(value, base) {
  if (value <= 0) return 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return power * steps.find((step) => step * power >= value);
}

/** Bars that stand on each other. `days`: `{ label, values: [number] }`; `series`: `[{ name, class }]`. */
export function stacked({ caption, days, series, format, base = 1024 }) {
  const total = (day) => day.values.reduce((sum, value) => sum + value, 0);
  const top = ceiling(Math.max(0, ...days.map(total)), base);
  const height = (value) => (value / top) * (HEIGHT - BOTTOM - TOP);
  const step = (WIDTH - LEFT - RIGHT) / Math.max(days.length, 1);
  const bars = days.map((day, index) => {
    let y = HEIGHT - BOTTOM;
    const parts = day.values.map((value, at) => {
      y -= height(value);
      return value > 0 && svg('rect', { class: series[at].class, x: LEFT + index * step + step * 0.14, y, width: step * 0.72, height: Math.max(height(value), 0.75) });
    });
    return svg('g', null, svg('title', null, `${day.label}: ${format(total(day))}`), parts);
  });
  const marks = [0, 0.5, 1].map((share) => {
    const y = HEIGHT - BOTTOM - height(top * share);
    return [svg('line', { class: 'grid', x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      svg('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' }, format(top * share))];
  });
  const every = Math.ceil(days.length / 10);
  const labels = days.map((day, index) => (days.length - 1 - index) % every === 0 && svg('text', { x: LEFT + (index + 0.5) * step, y: HEIGHT - 6, 'text-anchor': 'middle' }, day.short ?? day.label));
  const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${caption}. The table below says the same.` }, marks, bars, labels);
  const columns = [{ head: 'Day', isHead: true, cell: (day) => day.label },
    ...series.map((one, at) => ({ head: one.name, class: 'number', cell: (day) => format(day.values[at]) })),
    { head: 'Together', class: 'number', cell: (day) => format(total(day)) }];
  return el('figure', { class: 'chart' }, el('figcaption', null, caption), drawing, legend(series),
    el('details', null, el('summary', null, 'The same as a table'), table(caption, columns, days.toReversed())));
}

function legend(series) {
  return el('ul', { class: 'legend' }, series.map((one) => el('li', null,
    svg('svg', { viewBox: '0 0 10 10', width: 10, height: 10, 'aria-hidden': 'true' }, svg('rect', { class: one.class, width: 10, height: 10, rx: 2 })), ` ${one.name}`)));
}

/** One bar that is divided; what its parts are stands beside it. `parts`: `{ class, value, name }`. */
export function divided(label, parts, whole) {
  let x = 0;
  const rects = parts.filter((one) => one.value > 0).map((one) => {
    const width = (one.value / Math.max(whole, 1)) * 100;
    x += width;
    return svg('rect', { class: one.class, x: x - width, y: 0, width: Math.max(width, 0.4), height: 4 }, svg('title', null, one.name));
  });
  return svg('svg', { class: 'divided', viewBox: '0 0 100 4', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('rect', { class: 'track', width: 100, height: 4 }), rects);
}
