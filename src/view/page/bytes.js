// Bytes as they are: offset, hexadecimal, and what of it is ASCII.

import { el } from './dom.js';
import { count, size } from './words.js';

const ROW = 16;
/** More than a person reads; the whole is there to be saved. */
const SHOWN = 4096;

/** The bytes of Base64. */
export function decode(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function line(bytes, offset) {
  const row = bytes.subarray(offset, offset + ROW);
  const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, '0'));
  const left = hex.slice(0, 8).join(' ').padEnd(23);
  const right = hex.slice(8).join(' ').padEnd(23);
  const ascii = Array.from(row, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '\u00b7')).join('');
  return `${offset.toString(16).padStart(6, '0')}  ${left}  ${right}  ${ascii}`;
}

/** A view of the bytes, the first of them where they are many. */
export function dump(bytes, caption) {
  const lines = [];
  for (let offset = 0; offset < Math.min(bytes.length, SHOWN); offset += ROW) lines.push(line(bytes, offset));
  const rest = bytes.length - SHOWN;
  return el('figure', { class: 'dump' },
    el('figcaption', null, `${caption}: ${count(bytes.length)} bytes`, rest > 0 ? `, the first ${size(SHOWN)} shown` : ''),
    el('pre', { tabindex: '0', 'aria-label': caption }, lines.join('\n')));
}
