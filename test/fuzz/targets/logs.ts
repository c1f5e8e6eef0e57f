/** What logs read: the store of the embedded one and its sockets, what a server says, notes, and the answers of nodes. */
import { EventEmitter } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PartitionStatus } from '../../../src/actor/status.js'
import { systemChance, systemClock, type Clock } from '../../../src/clock.js'
import { InvariantError } from '../../../src/errors.js'
import { prepareFolder } from '../../../src/log/embedded/folder.js'
import { frame, lineOver, type Frame } from '../../../src/log/embedded/frames.js'
import {
  decodeEntry,
  decodeTail,
  Draft,
  encodeEntry,
  encodeTail,
  Place,
  RecordCodec,
} from '../../../src/log/embedded/layout.js'
import { parseDelivery } from '../../../src/log/jetstream/delivery.js'
import { floorIn } from '../../../src/log/jetstream/floors.js'
import { recordOf, type StoredMessage } from '../../../src/log/jetstream/leader.js'
import type { Ports } from '../../../src/log/ports.js'
import { failureIn } from '../../../src/log/jetstream/signals.js'
import { encodeHeaders, LogRecord } from '../../../src/log/record.js'
import type { Signals } from '../../../src/log/signals.js'
import { decodeAnswer, encodeAnswers } from '../../../src/node/answer.js'
import { answerLetters, askForLetters } from '../../../src/node/letters.js'
import { answerResume, askToResume } from '../../../src/node/resume.js'
import { HEADER_PIECES, JSON_BOMBS, JSON_PIECES, NO_TEXT, NUMBERS } from '../pieces.js'
import { isTyped, sound, text, type Target } from '../target.js'

const FOLDER = mkdtempSync(join(tmpdir(), 'fuzz-'))
process.on('exit', () => rmSync(FOLDER, { recursive: true, force: true }))

const draft = new Draft(encodeHeaders({ a: 'b' }, 'x'), text('payload')).stamp(5, 7)
const slab = draft.bytes() as Buffer & { readonly start: number; readonly end: number }
const codec = new RecordCodec()

const stored: Target = {
  name: 'stored records',
  samples: [Uint8Array.from(slab.subarray(slab.start, slab.end)), new Uint8Array(20)],
  pieces: [...NUMBERS, ...HEADER_PIECES],
  read(bytes) {
    const source = Buffer.from(bytes)
    const key = Buffer.alloc(12)
    codec.writeKey(new Place(3, 2, 77), key, 0)
    codec.readKey(key, 0)
    for (const headersOnly of [true, false]) {
      codec.headersOnly = headersOnly
      const { record } = codec.decode(source, source.length)
      sound(record.partition === 2 && record.position === 77, 'a record stands elsewhere')
      void [record.id, record.headers()]
    }
  },
}

const tails: Target = {
  name: 'tails and entries of buckets',
  samples: [
    encodeTail({ last: 5, time: 1, records: 2, bytes: 3, edits: 4, cuts: 0 }),
    encodeEntry(3, 5, text('value')),
    encodeEntry(3, 5, undefined),
  ],
  pieces: NUMBERS,
  read(bytes) {
    decodeEntry('k', bytes)
    return decodeTail(Buffer.from(bytes))
  },
}

/** The bytes of frames, as they go over a socket. */
function onTheWire(...frames: readonly Frame[]): Uint8Array {
  const written: Uint8Array[] = []
  const socket = Object.assign(new EventEmitter(), {
    setNoDelay: () => {},
    write: (bytes: Uint8Array) => written.push(bytes),
  })
  const line = lineOver(
    socket as unknown as Socket,
    () => {},
    () => {},
  )
  for (const one of frames) line.send(one)
  return Buffer.concat(written)
}

const frames: Target = {
  name: 'frames between processes',
  samples: [
    onTheWire(frame('ask', 7, { subject: 'beats.asked', payload: text('x') }), frame('answer', 7, { to: 3 })),
    onTheWire(frame('listen', 1, { subject: 'é' })),
  ],
  pieces: [...NUMBERS, ...NO_TEXT],
  bombs: [Buffer.concat([Buffer.from('ffffff03', 'hex'), Buffer.alloc(1_000_000)]), Buffer.alloc(100_000, 0x0b)],
  read(bytes) {
    const heard: Frame[] = []
    const socket = Object.assign(new EventEmitter(), {
      setNoDelay: () => {},
      destroy: () => socket.removeAllListeners('data'),
    })
    lineOver(
      socket as unknown as Socket,
      one => heard.push(one),
      () => {},
    )
    const cut = bytes.length >> 1
    socket.emit('data', Buffer.from(bytes.subarray(0, cut)))
    socket.emit('data', Buffer.from(bytes.subarray(cut)))
    for (const { kind, subject } of heard)
      sound(typeof kind === 'string' && typeof subject === 'string', 'a frame is none')
  },
}

/** Files of one's own are read once, when all begins. */
const OWN_FILE = { ms: 500, why: 'a file of the user is read once, whole' }
const META_BYTES = 160
const PAGE = 4096

/** The two first pages of a store, as far as they are looked at. */
function metaPages(): Uint8Array {
  const file = Buffer.alloc(2 * PAGE)
  for (const page of [0, PAGE]) {
    file.writeUInt32LE(0xbeefc0de, page + 24)
    file.writeUInt32LE(2, page + 28)
    file.writeUInt32LE(PAGE, page + 48)
    for (const root of [88, 136]) file.writeBigUInt64LE(2n ** 64n - 1n, page + root)
  }
  return file.subarray(0, PAGE + META_BYTES)
}

function folderWith(name: string, files: Readonly<Record<string, Uint8Array>>): string {
  const folder = join(FOLDER, name)
  mkdirSync(folder, { recursive: true })
  for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, file), bytes)
  return folder
}

const dataFile: Target = {
  name: 'data files',
  samples: [metaPages()],
  pieces: NUMBERS,
  share: 0.05,
  read(bytes) {
    const format = text('{"format":1,"sync":"os","written":true}\n')
    return prepareFolder(folderWith('data', { 'stream-node.json': format, 'data.mdb': bytes }), undefined)
  },
}

const formatFile: Target = {
  name: 'format files of data folders',
  samples: [text('{"format":1,"sync":"os","written":true}\n'), text('{"format":2,"sync":"disk"}')],
  pieces: JSON_PIECES,
  bombs: JSON_BOMBS,
  share: 0.05,
  slow: OWN_FILE,
  read: bytes => prepareFolder(folderWith('format', { 'stream-node.json': bytes }), undefined),
}

const deliveries: Target = {
  name: 'deliveries',
  samples: [
    '$JS.ACK.clicks.sn_1.1.17.4.1753000000123456789.12',
    '$JS.ACK._.hash.clicks.sn_1.1.17.4.1753000000123456789.12.rand',
  ].map(text),
  pieces: [...['.', '..', '-1', '9007199254740993', 'x', ' ', '$JS.ACK.', '1e9'].map(text), ...NO_TEXT],
  bombs: ['.'.repeat(100_000), '1'.repeat(100_000), `$JS.ACK.${'a.'.repeat(50_000)}`].map(text),
  mayThrow: error => error instanceof InvariantError,
  read(bytes) {
    // The subject is one that only the server knows; what it says there is taken at its word.
    return parseDelivery(Buffer.from(bytes).toString())
  },
}

const messages: Target = {
  name: 'messages of the API',
  samples: [
    {
      subject: 's.0',
      seq: 7,
      hdrs: Buffer.from(encodeHeaders({ a: 'b' }, 'x')).toString('base64'),
      data: 'eA==',
      time: '2026-11-20T10:00:00.123456789Z',
    },
  ].map(message => text(JSON.stringify(message))),
  pieces: [
    ...HEADER_PIECES.map(piece => text(Buffer.from(piece).toString('base64'))),
    ...['=', '*', 'eA', '"'].map(text),
  ],
  mayThrow: () => false,
  read(bytes) {
    // The client makes JSON of it; what is no message of the shape that is asked for never gets here.
    const { hdrs, data, time } = asMessage(bytes)
    const record = recordOf({ subject: 's.0', seq: 7, time, hdrs, data }, 0)
    void [record.id, record.headers(), record.payload]
  },
}

function asMessage(bytes: Uint8Array): Required<Pick<StoredMessage, 'hdrs' | 'data' | 'time'>> {
  const [hdrs = '', data = '', time = ''] = Buffer.from(bytes).toString().split(',')
  return { hdrs, data, time }
}

const headerBlocks: Target = {
  name: 'header blocks',
  samples: [encodeHeaders({ a: 'b', 'x-y': 'é' }, 'order-1')],
  pieces: [...HEADER_PIECES, ...NO_TEXT],
  bombs: ['a:b\r\n', '\r\n', ':', 'a'].map(piece => text(`NATS/1.0\r\n${piece.repeat(200_000 / piece.length)}`)),
  mayThrow: () => false,
  read(head) {
    const record = new LogRecord(0, 1, 5, head, new Uint8Array(0))
    const headers = record.headers()
    sound(
      Object.values(headers).every(value => typeof value === 'string'),
      'a header is no text',
    )
    return [record.id, record.header('a'), headers]
  },
}

const floors: Target = {
  name: 'notes of purges',
  samples: [text('{"incarnation":"2026-11-20T10:00:00Z","before":12}')],
  pieces: JSON_PIECES,
  bombs: JSON_BOMBS,
  read(bytes) {
    const floor = floorIn(bytes)
    sound(floor !== undefined && Number.isSafeInteger(floor.before) && floor.before >= 0, 'a note says no position')
  },
}

const partition = {
  ...{ pipeline: 'p', stage: 0, partition: 1, state: 'running', fence: 1, number: 7, positions: { clicks: 40 } },
  ...{ lag: 2, outbox: 0, held: 0, rows: 3, liveBytes: 100, ledgerBytes: 200, restarts: 0, letters: 0, error: 'none' },
} as unknown as PartitionStatus
const west = (...partitions: readonly PartitionStatus[]) => ({
  name: 'n',
  pid: 5,
  since: 1000,
  log: 'a log',
  partitions,
})

const answers: Target = {
  name: 'status answers',
  samples: encodeAnswers('id', west(partition, { ...partition, lag: undefined })),
  pieces: [...JSON_PIECES, ...['"positions":null,', '"partitions":{},', '"since":1e300,', '"status":1,'].map(text)],
  bombs: JSON_BOMBS,
  read(bytes) {
    const { status } = decodeAnswer(bytes)
    void new Date(status.since).toISOString()
    for (const { positions, error } of status.partitions) {
      sound(
        Object.entries(positions).every(([, at]) => Number.isSafeInteger(at)),
        'a position is none',
      )
      sound(error === undefined || typeof error === 'string', 'an error is no text')
    }
  },
}

/**
 * Signals on which a node answers to whoever asks how it stands, and everything else that is published is answered by
 * these bytes.
 */
function answeredBy(bytes: Uint8Array): Ports & { readonly heard: ((payload: Uint8Array) => void)[] } {
  const heard: ((payload: Uint8Array) => void)[] = []
  const [whole] = encodeAnswers('id', west({ ...partition, state: 'paused' }))
  const signals: Signals = {
    request: () => Promise.resolve(text('id')),
    serve: () => Promise.resolve({ close: () => {} }),
    subscribe(_, hear) {
      heard.push(payload => hear(payload, ''))
      return Promise.resolve({ close: () => {} })
    },
    publish(subject) {
      heard.at(-1)?.(subject === '$SN.status.ask' ? (whole as Uint8Array) : bytes)
    },
  }
  return { signals, log: { description: 'a log' }, heard } as unknown as ReturnType<typeof answeredBy>
}

/** Waits for nothing, but for those who wait less. */
const hasty: Clock = {
  ...systemClock,
  after(ms, then) {
    const timer = setImmediate(() => (ms < 1000 ? then() : setImmediate(then)))
    return () => clearImmediate(timer)
  },
}

const questions: Target = {
  name: 'questions to nodes',
  samples: [
    { to: '$SN.resume.answers.x', pipeline: 'p', partition: 1 },
    { to: '$SN.letters.answers.x', pipeline: 'p', stage: 0, partition: 1, how: 'retried', positions: [3, 4] },
    { resumed: 1 },
    { answers: [{ position: 3, became: 'retried' }] },
    { unable: 'because' },
  ].map(question => text(JSON.stringify(question))),
  pieces: [...JSON_PIECES, ...['"positions":null,', '"resumed":-1,', '"to":"$JS.API.x",', '"answers":{},'].map(text)],
  bombs: JSON_BOMBS,
  share: 0.2,
  async read(bytes) {
    const nodes = answeredBy(text(''))
    await answerResume(nodes.signals, () => 1)
    await answerLetters(nodes.signals, () => Promise.resolve([]))
    for (const hear of nodes.heard) hear(bytes)
    const asking = { clock: hasty, chance: systemChance, timeoutMs: 1000 }
    const place = { pipeline: 'p', stage: 0, partition: 1 }
    const [resumed, settled] = await Promise.allSettled([
      askToResume(answeredBy(bytes), asking, place),
      askForLetters(answeredBy(bytes), asking, place, { how: 'dropped', positions: [3] }),
    ])
    for (const one of [resumed, settled]) if (one.status === 'rejected' && !isTyped(one.reason)) throw one.reason
    if (resumed.status === 'fulfilled')
      sound(Number.isSafeInteger(resumed.value), 'nobody can say how many were resumed')
  },
}

const failures: Target = {
  name: 'what failed requests say',
  samples: [text('no%20such%20thing')],
  pieces: [...['%', '%ff', '%E0%A4%A', '%00'].map(text), ...NO_TEXT],
  mayThrow: () => false,
  read: bytes => failureIn(Buffer.from(bytes).toString()),
}

export const logs: readonly Target[] = [
  ...[stored, tails, frames, dataFile, formatFile, deliveries, messages, headerBlocks, floors, answers, questions],
  failures,
]
