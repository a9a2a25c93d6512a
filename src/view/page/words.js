// The words of the page: numbers, sizes, times, levels and states as a person reads them.

import { el } from './dom.js';

export const LEVELS = [
  { name: 'Security', says: 'the agent\u2019s own settings and their changes; the protections of the operating system' },
  { name: 'Basic', says: 'what the machine is; critical alerts and crashes; whether the telemetry is complete and what it costs' },
  { name: 'Enhanced', says: 'how the system and its services are used and how they perform; reliability, forecast' },
  { name: 'Full', says: 'what is needed to find and fix a problem: processes, connections, scrubbed log lines, sensors' },
];

export const STATES = {
  pending: 'waits to be sent',
  in_flight: 'is being sent',
  sent: 'the endpoint has it',
  rejected: 'the endpoint refused it',
  dropped: 'was lost or given up, by a reason',
  withdrawn: 'taken back by the owner before it left',
};

/** A whole number with thin separators. */
export function count(number) {
  return typeof number === 'number' ? number.toLocaleString('en-GB').replaceAll(',', '\u202f') : 'unknown';
}

/** A number and its noun. */
export function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** A size in powers of 1024. */
export function size(bytes) {
  if (typeof bytes !== 'number') return 'unknown';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.length; unit += 1) bytes /= 1024;
  return `${unit === 0 ? bytes : bytes.toFixed(bytes < 10 ? 1 : 0)} ${units[unit]}`;
}

/** A length of time. */
export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** A moment in local time; the exact one on demand. */
export function when(text) {
  if (!text) return 'never';
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return text;
  const now = new Date();
  const day = time.toDateString() === now.toDateString() ? '' : `${(time.getFullYear() === now.getFullYear() ? DAY : YEAR).format(time)} `;
  return el('time', { datetime: text, title: text }, day + CLOCK.format(time));
}

/** How long ago or ahead. */
export function ago(text) {
  if (!text) return 'never';
  const seconds = (Date.now() - new Date(text).getTime()) / 1000;
  if (Number.isNaN(seconds)) return text;
  const words = Math.abs(seconds) < 2 ? 'now' : seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
  return el('time', { datetime: text, title: text }, words);
}

/** A level as a chip: number and name, never a colour alone. */
export function level(number) {
  if (number === null || number === undefined) return '';
  const name = LEVELS[number]?.name ?? 'unknown';
  return el('span', { class: `level level-${number}` }, el('b', null, String(number)), ` ${name}`);
}

/** A state as a word with a mark. */
export function state(word) {
  return el('span', { class: `state ${word}`, title: STATES[word] ?? null }, word.replace('_', ' '));
}

/** A sentence of the agent's, its commands set apart. */
export function sentence(text) {
  return text.split('`').map((part, index) => (index % 2 ? el('code', null, part) : part));
}

/** A value of any shape as text. */
export function plain(value) {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
