// Elements out of text. What an event contains comes from anywhere, so nothing here reads markup: a child that is
// no node becomes a text node, and attributes are set by name from this repository's code alone.

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. Attributes that are null or false are left out; `onclick` and the like listen. */
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A table with a caption for who cannot see it. Columns: `{ head, class, cell(row) }`. */
export function table(caption, columns, rows, attributes) {
  const head = columns.map((column) => el('th', { scope: 'col', class: column.class }, column.head));
  const cell = (column, row) => {
    const name = column.isHead ? 'th' : 'td';
    return el(name, { class: column.class, scope: column.isHead ? 'row' : null }, column.cell(row));
  };
  const body = rows.map((row) => el('tr', attributes?.(row), columns.map((column) => cell(column, row))));
  // A table that is wider than the screen scrolls by itself, also by keyboard.
  return el('div', { class: 'wide', role: 'region', 'aria-label': caption, tabindex: '0' },
    el('table', null, el('caption', { class: 'unseen' }, caption), el('thead', null, el('tr', null, head)), el('tbody', null, body)));
}

/** Names and values; values that are null are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return el('dl', { class: 'facts' }, known.map(([name, value]) => el('div', null, el('dt', null, name), el('dd', null, value))));
}

/** A part of a view under its heading. */
export function part(heading, ...children) {
  return el('section', { class: 'part' }, el('h2', null, heading), children);
}

/** Replaces what a node holds. */
export function put(node, ...children) {
  node.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
}
