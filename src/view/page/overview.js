// How it is, on one screen: the level and why, the upload and what to do, the ledger, what waits, what it costs.

import { ask } from './ask.js';
import { divided } from './chart.js';
import { el, facts, part, put, table } from './dom.js';
import { LEVELS, ago, count, duration, level, many, sentence, size } from './words.js';

export const title = () => 'Overview';

const OWNERS = ['withdrawn', 'disabled', 'deleted'];

export function open(body, { signal, say }) {
  const places = ['lead', 'ledger', 'keeping', 'layers', 'probes'].map((name) => el('div', { class: name }));
  const [lead, ledger, keeping, layers, probes] = places;
  put(body, places);
  return async () => {
    const [status, explanation, stats] = await Promise.all(['status', 'explain', 'stats'].map((path) => ask(path, signal)));
    put(lead, levelOf(status), uploadOf(status));
    put(ledger, ledgerOf(status, stats));
    put(keeping, spoolOf(status), journalOf(status), costOf(status));
    redraw(layers, explanation, () => layersOf(explanation));
    redraw(probes, status.probes, () => probesOf(status.probes));
    say(`Level ${status.level.effective}, upload ${status.upload.state}`);
  };
}

/** A table that did not change keeps its focus and its scrolling. */
function redraw(place, facts, draw) {
  const text = JSON.stringify(facts);
  if (place.shown === text) return;
  place.shown = text;
  put(place, draw());
}

function levelOf({ level: held, config_error: error }) {
  const name = LEVELS[held.effective]?.name ?? held.name;
  return part('Level',
    el('p', { class: `big level-${held.effective}` }, el('b', null, String(held.effective)), ` ${name}`),
    el('p', null, `${held.reason}, by ${held.source}.`),
    held.requested !== held.effective && el('p', { class: 'note' }, `Level ${held.requested} was asked for. The table of layers below says why it does not hold.`),
    held.until && el('p', null, 'Ends ', ago(held.until), `, then level ${held.afterwards}.`),
    error && el('p', { class: 'note bad' }, el('strong', null, 'agent.toml is not used, the last good one runs on. '), error));
}

function uploadOf({ upload }) {
  return part('Upload',
    el('p', { class: `big upload-${upload.state}` }, upload.state === 'ok' ? 'OK' : upload.state),
    upload.reason && el('p', null, `Because ${upload.reason}.`),
    upload.remedy && el('p', { class: 'note' }, el('strong', null, 'To do: '), sentence(upload.remedy)),
    facts([
      ['Endpoint', upload.endpoint ?? 'none is set'],
      ['Last success', ago(upload.last_success)],
      ['Last attempt', ago(upload.last_attempt)],
      ['Next attempt', upload.next_attempt && ago(upload.next_attempt)],
    ]));
}

function ledgerOf({ events }, stats) {
  const term = (number, word, kind) => el('span', { class: `term ${kind}` }, el('b', null, count(number)), ` ${word}`);
  const parts = ['uploaded', 'dropped', 'pending'].map((name) => ({ name: `${count(events[name])} ${name}`, class: name, value: events[name] }));
  const lost = stats.reasons.filter((reason) => reason.count > 0);
  return part('Ledger',
    el('p', { class: 'equation' }, term(events.generated, 'generated', 'generated'), ' = ', term(events.uploaded, 'uploaded', 'uploaded'), ' + ',
      term(events.dropped, 'dropped', 'dropped'), ' + ', term(events.pending, 'pending', 'pending')),
    divided('What became of what was generated', parts, events.generated),
    events.percent_uploaded !== null && el('p', { class: 'soft' }, `${events.percent_uploaded.toFixed(2)} % of what was decided arrived.`),
    lost.map((reason) => el('p', { class: OWNERS.includes(reason.reason) ? 'soft' : 'note' },
      el('a', { href: `#/losses` }, `${count(reason.count)} ${reason.reason}`), `: ${reason.meaning}. `, el('strong', null, 'To do: '), sentence(reason.remedy))),
    el('p', { class: 'soft' }, `Beside the ledger: ${count(events.withheld_by_level)} withheld by the level, ${count(events.refused)} refused at the door. They were never generated.`));
}

function spoolOf({ spool }) {
  const bound = spool.loss_bound;
  return part('Waiting on the disk',
    el('p', { class: 'figure' }, size(spool.bytes), el('span', { class: 'soft' }, ` of ${size(spool.max_bytes)}`)),
    divided('How full the store is', [{ class: 'pending', value: spool.bytes, name: size(spool.bytes) }], spool.max_bytes),
    facts([
      ['Oldest', spool.oldest_seconds ? duration(spool.oldest_seconds) : 'nothing waits'],
      ['If power fails now', `at most ${many(bound.events, 'event')} of the last ${duration(bound.seconds)}`],
    ]));
}

function journalOf({ journal }) {
  if (journal.max_bytes === 0) return part('Journal of what left', el('p', { class: 'soft' }, 'It is switched off: journal.max_bytes = 0.'));
  return part('Journal of what left',
    el('p', { class: 'figure' }, journal.bytes === null ? '\u2013' : size(journal.bytes), el('span', { class: 'soft' }, ` of ${size(journal.max_bytes)}`)),
    journal.trouble && el('p', { class: 'note bad' }, el('strong', null, 'What leaves cannot be written down. '), journal.trouble),
    facts([['Left and not written down', journal.holes ? many(journal.holes, 'request') : null]]));
}

function costOf({ cost, uptime_seconds: up, version, install_id: id }) {
  return part('Cost',
    el('p', { class: 'figure' }, size(cost.rss_bytes), el('span', { class: 'soft' }, ' of memory')),
    facts([
      ['Processor', `${duration(cost.cpu_ms / 1000)} in ${duration(up)}`],
      ['Sent', size(cost.bytes_uploaded)],
      ['Wakeups', cost.wakeups === null ? null : count(cost.wakeups)],
      ['Disk syncs', count(cost.fsyncs)],
      ['Agent', version],
      ['Installation', id ?? 'none yet'],
    ]));
}

function layersOf({ layers, winner }) {
  const columns = [
    { head: 'Layer', isHead: true, cell: (row) => row.layer },
    { head: 'Level', cell: (row) => (row.value === null ? '\u2013' : level(row.value)) },
    { head: 'Place', class: 'place', cell: (row) => row.place },
    { head: 'Verdict', cell: (row) => (row.layer === winner ? el('strong', null, row.verdict) : row.verdict) },
  ];
  return part('Why this level', el('p', { class: 'soft' }, 'Every layer, the strongest first.'),
    table('Layers', columns, layers, (row) => ({ class: row.layer === winner ? 'winner' : null })));
}

function probesOf(probes) {
  if (probes.length === 0) return null;
  const columns = [
    { head: 'Probe', isHead: true, cell: (row) => row.name },
    { head: 'From level', cell: (row) => level(row.level) },
    { head: 'Processor', class: 'number', cell: (row) => `${row.cpu_ms.toFixed(1)} ms` },
    { head: 'Last look', cell: (row) => (row.last_error ? el('span', { class: 'bad' }, `failed: ${row.last_error}`) : ago(row.last_success)) },
  ];
  return part('Probes', table('Probes', columns, probes));
}
