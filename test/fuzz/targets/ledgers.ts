/** Ledgers: their messages, what stands in an entry, the rows of tables, and the witness beside them. */
import { hash } from 'node:crypto'
import { systemChance, systemClock } from '../../../src/clock.js'
import { OctetReader, OctetWriter } from '../../../src/codec/octets.js'
import { IntegrityError } from '../../../src/errors.js'
import { LogRecord } from '../../../src/log/record.js'
import { readChanges } from '../../../src/state/changes.js'
import {
  bodyReader,
  readOutputs,
  readState,
  writeOutputs,
  writeState,
  type EntryState,
} from '../../../src/state/entry.js'
import { seal, unseal, type LedgerMessage } from '../../../src/state/message.js'
import { encodeNotes, type TrialNotes } from '../../../src/state/notes.js'
import { readPlain, readText, writePlain, writeText } from '../../../src/state/plain.js'
import { Recovery } from '../../../src/state/recovery.js'
import { beginningOf } from '../../../src/state/reset.js'
import { Tables } from '../../../src/state/tables.js'
import { Witness } from '../../../src/state/witness.js'
import { JSON_BOMBS, JSON_PIECES, NO_TEXT, NUMBERS, VARINTS } from '../pieces.js'
import { sound, text, type Target } from '../target.js'
import { bucketWith } from './streams.js'

const PIECES = [...VARINTS, ...NUMBERS, ...NO_TEXT]
const HASH_BYTES = 16
const onlyIntegrity = (error: unknown) => error instanceof IntegrityError && error.code === 'BAD_LOG'
/** A ledger may also have lost something, as far as anybody can say. */
const onlyLoss = (error: unknown) => error instanceof IntegrityError

const state: EntryState = {
  inputs: [
    {
      ...{ stream: 'clicks', incarnation: 'i1', position: 12, foreignAfter: 11, fromStart: true, time: 5.5 },
      mark: { position: 3, hash: '0123456789abcdef' },
    },
    {
      ...{ stream: 'views', incarnation: 'i2', position: 0, foreignAfter: 0, fromStart: false, time: -Infinity },
      mark: undefined,
    },
  ],
  targets: [
    {
      ...{ name: 'counts', incarnation: 'i3', floor: 9 },
      partitions: [
        { partition: 0, confirmed: 3, first: 4 },
        { partition: 5, confirmed: 0, first: 1 },
      ],
    },
  ],
}
const outputs = [
  { target: 0, partition: 0, key: 'ann', time: -5, payload: text('one') },
  { target: 0, partition: 5, key: undefined, time: undefined, payload: text('two') },
]

const VALUES: readonly unknown[] = [
  ...[undefined, null, true, -3, 2 ** 40, -0, NaN, 'é', '\ud800', Uint8Array.of(1, 2), Buffer.from('b')],
  ...[
    [1, undefined, 'x'],
    { a: [1, { b: null }] },
    { a: undefined, b: -0 },
    Object.assign(Object.create(null) as object, { a: 1 }),
  ],
  [[[[[[undefined]]]]]],
]

function written(write: (out: OctetWriter) => void): Uint8Array {
  const out = new OctetWriter(64)
  write(out)
  return Uint8Array.from(out.done())
}

const body = written(out => {
  writeState(out, state)
  const tables = new Tables()
  const plain = tables.table<unknown>('plain')
  for (const [i, value] of VALUES.entries()) plain.set(`k${i}`, value)
  const scoped = tables.scopedTable<unknown>('scoped')
  scoped.set('a', 'x', { n: 1 })
  scoped.set('\ud800', 'y', [1, 2])
  tables.settle()
  tables.write(out, 1, 0)
  writeOutputs(out, outputs)
})

const message: LedgerMessage = {
  ...{ kind: 'commit', incarnation: 'i', fence: 3, owner: 'o', number: 300, previous: '' },
  ...{ part: 0, floor: 1, body },
}
const claim: LedgerMessage = { ...message, kind: 'claim', number: 299, body: new Uint8Array(0) }
const trial: TrialNotes = {
  walks: 'one',
  sources: [{ stream: 'clicks', position: 9, left: 4 }],
  accused: [{ stream: 'clicks', position: 8, deaths: 2 }],
}
const mark: LedgerMessage = { ...claim, kind: 'mark', body: encodeNotes({ deaths: 3, trial }) }
const first = seal(claim)
const sealed = seal({ ...message, previous: first.hash }).bytes

const read = (bytes: Uint8Array) => bodyReader(bytes, 'the entry')

const messages: Target = {
  name: 'ledger messages',
  samples: [sealed, first.bytes, seal(mark).bytes],
  pieces: PIECES,
  mayThrow: onlyIntegrity,
  read: bytes => unseal(bytes, 'it'),
}

/** Whoever can write to the ledger can also make the hash fit. */
const messagesThatFit: Target = {
  name: 'ledger messages whose hash fits',
  samples: [sealed, first.bytes, seal(mark).bytes],
  pieces: PIECES,
  mayThrow: onlyLoss,
  read(bytes) {
    const rest = bytes.subarray(0, Math.max(0, bytes.length - HASH_BYTES))
    const whole = Buffer.concat([rest, hash('sha256', rest, 'buffer').subarray(0, HASH_BYTES)])
    const { number, fence } = unseal(whole, 'it')
    sound(Number.isSafeInteger(number) && Number.isSafeInteger(fence), 'a message has no number')
    const ledger = new Recovery('i', 'the partition')
    ledger.take(new LogRecord(0, 1, 5, new Uint8Array(0), whole))
    return ledger.outbox()
  },
}

/** What amounts to a small entry and asks for much. */
const nested = (levels: number, count: Uint8Array) =>
  Buffer.concat(Array.from({ length: levels }, () => [Buffer.of(11), count]).flat())

const entries: Target = {
  name: 'ledger entries',
  samples: [
    body,
    written(out => {
      writeState(out, { inputs: [], targets: [] })
      out.byte(0)
      writeOutputs(out, [])
    }),
  ],
  pieces: PIECES,
  bombs: VARINTS.flatMap(count => [
    Buffer.concat([count, Buffer.alloc(20_000)]),
    Buffer.concat([Buffer.of(0), count, Buffer.alloc(20_000)]),
    Buffer.concat([Buffer.of(0, 0, 0), count, Buffer.alloc(20_000)]),
  ]),
  mayThrow: onlyLoss,
  read(bytes) {
    const ledger = new Recovery('i', 'the partition')
    ledger.take(new LogRecord(0, 1, 5, new Uint8Array(0), first.bytes))
    const { bytes: payload } = seal({ ...message, previous: first.hash, body: bytes })
    ledger.take(new LogRecord(0, 2, 5, new Uint8Array(0), payload))
    return ledger.outbox()
  },
}

const parts: Target = {
  name: 'parts of entries',
  samples: [written(out => writeState(out, state)), written(out => writeOutputs(out, outputs))],
  pieces: PIECES,
  mayThrow: onlyIntegrity,
  read(bytes) {
    for (const reads of [readState, readOutputs]) {
      try {
        reads(read(bytes))
      } catch (error) {
        if (!onlyIntegrity(error)) throw error
      }
    }
  },
}

const values: Target = {
  name: 'values of rows',
  samples: [
    ...VALUES.map(value => written(out => void writePlain(out, value))),
    written(out => writeText(out, 'a\ud800')),
  ],
  pieces: [...PIECES, ...JSON_PIECES],
  bombs: [
    ...[1000, 100_000].flatMap(levels => VARINTS.map(count => nested(levels, count))),
    // Each of many levels promises as many parts as there are bytes.
    Buffer.concat([nested(1000, Buffer.from('c0843d', 'hex')), Buffer.alloc(1_000_000)]),
    Buffer.concat([nested(1000, Buffer.from('a08d06', 'hex')), Buffer.alloc(100_000, 14)]),
    ...JSON_BOMBS.map(bomb =>
      written(out => {
        out.byte(10)
        out.bytes(bomb)
      }),
    ),
  ],
  mayThrow: onlyIntegrity,
  read(bytes) {
    try {
      readText(read(bytes))
    } catch (error) {
      if (!onlyIntegrity(error)) throw error
    }
    return readPlain(read(bytes))
  },
}

const changes: Target = {
  name: 'changes of tables',
  samples: [body.subarray(written(out => writeState(out, state)).length)],
  pieces: PIECES,
  mayThrow: onlyIntegrity,
  read(bytes) {
    readChanges(read(bytes), { goTo: () => {}, set: () => {}, delete: () => {}, drop: () => {} })
    new Tables().read(read(bytes), 1)
  },
}

const octets: Target = {
  name: 'octets',
  samples: [
    written(out => {
      out.varint(300)
      out.signed(-5)
      out.text('é', 1)
      out.double(0.5)
    }),
  ],
  pieces: PIECES,
  mayThrow: onlyIntegrity,
  read(bytes) {
    const from = new OctetReader(bytes, what => new IntegrityError('BAD_LOG', what, 'mend it'))
    sound(Number.isSafeInteger(from.varint()), 'a number is none')
    sound(Number.isSafeInteger(from.signed()), 'a signed number is none')
    from.maybeText()
    from.double()
    return from.bytes(from.left)
  },
}

const witness: Target = {
  name: 'the witness',
  samples: [
    { version: 1, incarnation: 'i', fence: 3, number: 12, hash: '0123456789abcdef0123456789abcdef' },
    { version: 1, incarnation: 'i', fence: 0, number: 0, hash: '' },
  ].map(given => text(JSON.stringify(given))),
  pieces: JSON_PIECES,
  bombs: JSON_BOMBS,
  share: 0.5,
  mayThrow: onlyIntegrity,
  async read(bytes) {
    const parts = { clock: systemClock, chance: systemChance, signal: new AbortController().signal, waits: () => {} }
    const { incarnation, seen } = await Witness.of(bucketWith(bytes), 'ledgers.p', parts)
    sound(typeof incarnation === 'string' && typeof seen.hash === 'string', 'a witness says nothing')
    sound(Number.isSafeInteger(seen.number) && seen.number >= 0, 'a witness vouches for no number')
  },
}

const resets: Target = {
  name: 'notes of resets',
  samples: [
    { version: 1, incarnation: 'i', from: 'start', drops: ['counts'], done: false },
    { version: 1, incarnation: 'i', from: 1234, drops: [], done: true },
  ].map(given => text(JSON.stringify(given))),
  pieces: JSON_PIECES,
  bombs: JSON_BOMBS,
  share: 0.5,
  async read(bytes) {
    const asking = { clock: systemClock, signal: new AbortController().signal, waits: () => {} }
    const from = await beginningOf('p', bucketWith(bytes), asking)
    sound(from === undefined || Number.isFinite(from), 'a reset begins at no time')
  },
}

export const ledgers: readonly Target[] = [
  ...[messages, messagesThatFit, entries, parts, values, changes, octets, witness, resets],
]
