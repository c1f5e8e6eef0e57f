/**
 * The production code with one hole put back at a time: each was found to break a promise when the protocol was written
 * without its rule. A suite of seeds that lets one of them pass has gone blind.
 */
import type { Change } from './build.js'

export interface Mutant {
  readonly name: string
  /** What it does wrong. */
  readonly does: string
  readonly changes: readonly Change[]
}

const LEDGER = 'src/state/ledger.ts'
const RECOVERY = 'src/state/recovery.ts'
const COMMIT = 'src/actor/commit.ts'
const PUBLISHER = 'src/actor/publisher.ts'
const STREAM_LANE = 'src/actor/stream-lane.ts'
const LANE = 'src/actor/lane.ts'
const INPUT = 'src/actor/input.ts'
const SENDER = 'src/stream/sender.ts'
const INBOX = 'src/stream/inbox.ts'
const TURN = 'src/pipeline/turn.ts'

function mutant(name: string, does: string, ...changes: readonly (readonly [string, string, string])[]): Mutant {
  return { name, does, changes: changes.map(([file, from, to]) => ({ file, from, to })) }
}

export const mutants: readonly Mutant[] = [
  mutant('no-compare-and-set', 'writes to the ledger without an expectation', [
    LEDGER,
    'const ending = await stream.append({ partition, payload, id, expect })',
    'const ending = await stream.append({ partition, payload, id })',
  ]),
  mutant('no-ordinal', 'gives each owner ids of its own, where compare-and-set alone does not hold', [
    LEDGER,
    '/${incarnation}/${number}`',
    '/${incarnation}/${this.#owner}/${number}`',
  ]),
  mutant('identity-by-number', 'takes an entry of its fence and number for its own', [
    LEDGER,
    'if (last?.hash === hash) return last.position',
    'if (last?.number === number) return last.position',
  ]),
  mutant('repeat-is-mine', 'takes a repeat for a message of its own', [
    LEDGER,
    "ending.ending === 'stored' && !ending.repeat",
    "ending.ending === 'stored'",
  ]),
  mutant('unknown-is-stored', 'takes a write without an answer for stored', [
    LEDGER,
    'if (last?.hash === before?.hash) return undefined',
    'if (last?.hash === before?.hash) return (last?.position ?? 0) + 1',
  ]),
  mutant(
    'output-before-commit',
    'publishes before the entry is acknowledged',
    [
      COMMIT,
      '    await ledger.write(body, floor)\n    this.#isWriting = false\n',
      "    publisher.take(number, '00000000', outputs)\n    await ledger.write(body, floor)\n    this.#isWriting = false\n",
    ],
    [COMMIT, '    publisher.take(number, ledger.tail.hash, outputs)\n', ''],
  ),
  mutant(
    'no-guard',
    'sends outputs without knowing that it is the owner',
    [STREAM_LANE, 'guard: () => this.#guard(), ', ''],
    [STREAM_LANE, '  #guard(): Promise<void>', '  guard(): Promise<void>'],
  ),
  mutant('no-settling-of-old', 'sends an id again that the log may have forgotten', [
    SENDER,
    '(sinceMs as number) <= this.#clock.elapsed()',
    '(sinceMs as number) === -1 - this.#clock.elapsed()',
  ]),
  mutant('recovered-as-fresh', 'sends what a former owner committed without looking for it', [
    PUBLISHER,
    '{ ms: sentMs, floor }',
    'undefined',
  ]),
  mutant('age-by-own-tail', 'takes outputs of long ago for young ones', [
    PUBLISHER,
    'claimed.elapsedMs - Math.max(0, claimed.time - time)',
    'claimed.elapsedMs + 0 * time',
  ]),
  mutant('looks-behind-the-end', 'looks for what a former owner sent only behind what is there now', [
    PUBLISHER,
    '{ ms: sentMs, floor }',
    '{ ms: sentMs, floor: (lanes[target] as Lane).floor + 0 * floor }',
  ]),
  mutant('confirms-the-highest', 'says that all up to the highest acknowledged output are acknowledged', [
    LANE,
    '    if (n !== this.confirmed + 1) {',
    '    this.confirmed = Math.max(n, this.confirmed)\n    if (n !== this.confirmed) {',
  ]),
  mutant('confirms-what-was-sent', 'tells readers that all before an output are there', [
    STREAM_LANE,
    'outHeader(line.confirmed, this.of.entry)',
    'outHeader(this.output.n - 1, this.of.entry)',
  ]),
  mutant('purges-outputs', 'purges entries whose outputs are not out', [
    COMMIT,
    'Math.min(tables.floor(), publisher.oldest, number)',
    'Math.min(tables.floor(), number)',
  ]),
  mutant('purges-rows', 'purges entries that hold rows which stand nowhere else', [
    COMMIT,
    'Math.min(tables.floor(), publisher.oldest, number)',
    'Math.min(publisher.oldest, number)',
  ]),
  mutant('no-chain', 'reads over a hole in the ledger', [
    RECOVERY,
    '        throw new ChainBroken(`${where} has number',
    '        void new ChainBroken(`${where} has number',
  ]),
  mutant('no-gap', 'takes what a purge had taken and the server brought back for a ledger that is broken', [
    RECOVERY,
    'if (!(error instanceof ChainBroken) || !error.isGap) throw error',
    'throw error',
  ]),
  mutant('no-witness', 'believes whatever is left of the ledger', [
    LEDGER,
    '  if (missing === undefined) return\n',
    '  if (missing !== null) return\n',
  ]),
  mutant('judges-when-overtaken', 'halts for what its successor did', [
    LEDGER,
    '  await ledger.look()\n  throw broken(',
    '  throw broken(',
  ]),
  mutant(
    'parts-outlive-their-owner',
    'adds the parts of a dead owner to the entry of the next',
    [RECOVERY, '    this.#parts = []\n  }\n', "    if (kind === 'commit') this.#parts = []\n  }\n"],
    [RECOVERY, 'this.#isWhole && isPiece && part !== this.#parts.length', 'part < 0'],
  ),
  mutant(
    'trusts-what-is-there',
    'takes outputs that its ledger knows nothing of for its own',
    [STREAM_LANE, "if (before !== 'no') this.#suspect(sending, position)", "if (before !== 'no') void 0"],
    [STREAM_LANE, 'out.n < next) continue', 'out.n >= 0) continue'],
  ),
  mutant('position-is-the-last-read', 'forgets at a crash what it held back', [
    INPUT,
    'this.inbox.lowWater(this.#read, this.#unprocessed)',
    'this.#read',
  ]),
  mutant('undoes-letters', 'takes a letter back together with what its record did', [
    TURN,
    '      return this.#atFault.judge(this.#atFault.of(source, record, index, failure))\n',
    '      const held = this.#atFault.judge(this.#atFault.of(source, record, index, failure))\n      this.#outlet.keep(mark.outputs, mark.bytes)\n      return held\n',
  ]),
  mutant(
    'passes-over-without-the-cursor',
    'does not count an output as read that it passes over',
    [TURN, '    if (taken !== undefined) taken(record)\n    const before', '    const before'],
    [
      TURN,
      'if (framed === undefined) this.#push(walk, record)\n    })',
      'if (taken !== undefined) taken(record)\n      if (framed === undefined) this.#push(walk, record)\n    })',
    ],
  ),
  mutant('passes-over-again', 'counts one record too few when it has passed one over', [
    TURN,
    '    const outcome = this.#outcome(at - from)\n    return held',
    '    const outcome = this.#outcome(at - from - (this.#atFault.passed.length > 0 && at - from > 1 ? 1 : 0))\n    return held',
  ]),
  mutant('reads-by-the-highest', 'drops an output that comes after a later one', [
    INBOX,
    '} else if (out.n > line.next && !line.held.has(out.n)) {\n      this.#hold(line, record, out)',
    '} else if (out.n > line.next && !line.held.has(out.n)) {\n      line.give(out)\n      given.push(record)',
  ]),
  mutant('reads-repeats', 'gives an output again that was given before', [
    INBOX,
    '      if (entry !== undefined && entry !== out.entry) throw this.#rewound(record, out, entry)\n',
    '      given.push(record)\n      if (entry !== undefined && entry !== out.entry) throw this.#rewound(record, out, entry)\n',
  ]),
]
