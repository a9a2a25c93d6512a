// What was generated and will not arrive: each reason with its meaning and what to do, those that never happened too.

import { ask } from './ask.js';
import { divided } from './chart.js';
import { el, part, put, table } from './dom.js';
import { count, sentence } from './words.js';

export const title = () => 'Losses';

const OWNERS = ['withdrawn', 'disabled', 'deleted'];

export function open(body, { signal, say }) {
  let shown = '';
  return async () => {
    const stats = await ask('stats', signal);
    const text = JSON.stringify(stats);
    if (text === shown) return;
    shown = text;
    put(body, draw(stats));
    say(`${count(stats.events.dropped)} dropped`);
  };
}

function draw({ events, reasons }) {
  const most = Math.max(1, ...reasons.map((reason) => reason.count));
  const columns = [
    { head: 'Reason', isHead: true, cell: (row) => el('code', null, row.reason) },
    { head: 'Records', class: 'number', cell: (row) => count(row.count) },
    { head: 'Share of the most', class: 'graph', cell: (row) => divided(`${count(row.count)} of ${count(most)}`, [{ class: OWNERS.includes(row.reason) ? 'owners' : 'dropped', value: row.count, name: count(row.count) }], most) },
    { head: 'What happened', class: 'prose', cell: (row) => row.meaning },
    { head: 'What to do', class: 'prose', cell: (row) => sentence(row.remedy) },
  ];
  const lost = reasons.filter((reason) => !OWNERS.includes(reason.reason));
  const own = reasons.filter((reason) => OWNERS.includes(reason.reason));
  const quiet = (row) => ({ class: row.count === 0 ? 'quiet' : null });
  return [
    part('Lost',
      el('p', null, `${count(sum(lost))} of ${count(events.generated)} records that were generated here will not arrive.`,
        ' ', el('a', { href: '#/events?state=dropped' }, 'Show them'), ' \u00b7 ', el('a', { href: '#/events?state=rejected' }, 'Those that the endpoint refused')),
      table('Reasons for losses', columns, lost, quiet)),
    part('Taken back by the owner',
      el('p', null, `${count(sum(own))} records. They count in neither percentage.`, ' ', el('a', { href: '#/events?state=withdrawn' }, 'Show them')),
      table('Taken back', columns, own, quiet)),
    part('Never generated',
      el('p', null, `${count(events.withheld_by_level)} were withheld because they stand above the level, ${count(events.refused)} were refused at the door. No number was given to them, nothing was kept.`)),
  ];
}

const sum = (reasons) => reasons.reduce((all, reason) => all + reason.count, 0);
