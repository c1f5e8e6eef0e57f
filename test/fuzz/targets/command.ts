/** What people type, and the files they write: arguments, addresses, environment, contexts, config files, lines of input. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommanderError, type Command } from 'commander'
import { countOf, placeOf, timeOf } from '../../../src/cli/arguments.js'
import { configFile } from '../../../src/cli/config.js'
import { UsageError } from '../../../src/cli/failure.js'
import type { Flags, PublishFlags } from '../../../src/cli/flags.js'
import { jsonOf, linesOf, LongLine } from '../../../src/cli/lines.js'
import { logOf } from '../../../src/cli/link.js'
import { program, usageError } from '../../../src/cli/program.js'
import { creation } from '../../../src/cli/target.js'
import { optionsFromContext, optionsFromEnv } from '../../../src/log/jetstream/context.js'
import { parseServers, redact } from '../../../src/log/jetstream/servers.js'
import { duration, knownOptions, size } from '../../../src/options.js'
import { goodName } from '../../../src/stream/name.js'
import { stream } from '../../../src/stream/stream.js'
import { JSON_BOMBS, JSON_PIECES, NO_TEXT } from '../pieces.js'
import { isTyped, sound, text, type Target } from '../target.js'

const FOLDER = mkdtempSync(join(tmpdir(), 'fuzz-'))
process.on('exit', () => rmSync(FOLDER, { recursive: true, force: true }))

/** What people type or write into files of their own is read once. */
const OWN = { ms: 500, why: 'input of the user is read once' }
const isOurs = (error: unknown) => isTyped(error) || error instanceof UsageError

/** Arguments, with a NUL between, since the system lets none stand in one. */
const SEPARATOR = '\0'
const called = (...args: readonly string[]) => text(args.join(SEPARATOR))

/** What a verb checks before it goes anywhere. */
async function check(flags: Flags & Partial<PublishFlags> & { from?: string; limit?: string }): Promise<void> {
  const log = await logOf(flags, {})
  sound(log.server !== undefined || typeof log.dataDir === 'string', 'a call means no log')
  if (flags.from !== undefined) placeOf('--from', flags.from)
  if (flags.limit !== undefined) countOf('--limit', flags.limit, { min: 1 })
  if (flags.time !== undefined) timeOf('--time', flags.time)
  stream('s', creation(flags))
}

function verbsOf(of: Command): Command[] {
  return of.commands.flatMap(verb => [verb, ...verbsOf(verb)])
}

const args: Target = {
  name: 'arguments',
  samples: [
    called(
      'publish',
      'clicks',
      '{"user":"ann"}',
      '--create',
      '--key-field',
      'user',
      '--partitions',
      '3',
      '--codec',
      'json',
    ),
    called(
      'tail',
      'clicks',
      '--from',
      '2026-11-20T10:00:00Z',
      '--limit',
      '10',
      '-f',
      '-o',
      'jsonl',
      '--server',
      'nats://u:p@h:4222',
    ),
    called('run', 'a.ts', 'b.ts', '--until-caught-up', '--name', 'west', '--log-level', 'debug', '--timeout', '5s'),
    called('describe', '--data-dir', 'data', '-s', 'tls://a,b'),
    called('status', '-o', 'json'),
    called('dlq', 'retry', 'clicks', '3/17', '--all', '--error', 'TypeError'),
    called('--version'),
  ],
  pieces: [
    ...[
      '\0',
      '\0\0',
      '--',
      '\0--\0',
      '-',
      '=',
      '--help',
      '--__proto__',
      '--constructor=1',
      '--no-output',
      '-ofx',
      '__proto__',
    ],
    ...['\u001b[31m', '../', '-1', '1e9', '9007199254740993', 'NaN', '\ud83d', "'", '%', '*'],
  ].map(text),
  bombs: [
    '-'.repeat(100_000),
    `--${'a'.repeat(100_000)}`,
    SEPARATOR.repeat(20_000),
    `tail\0s\0--from\0${'1'.repeat(100_000)}`,
  ].map(text),
  share: 0.05,
  mayThrow: isOurs,
  async read(bytes) {
    const top = program().configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} })
    for (const verb of verbsOf(top)) {
      verb.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} })
      if (verb.commands.length === 0) verb.action(() => check(verb.optsWithGlobals()))
    }
    try {
      await top.parseAsync(Buffer.from(bytes).toString().split(SEPARATOR), { from: 'user' })
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error
      const ours = usageError(error)
      if (ours !== undefined) throw ours
    }
  },
}

const typed: Target = {
  name: 'values that people type',
  samples: ['12', '2026-11-20T10:00:00Z', '5 seconds', '64 MB', 'end', 'clicks-1'].map(text),
  pieces: [
    ...['-', '.', ' ', 'e9', '99999999999999999999', 'NaN', 'Infinity', '__proto__', 'ms', '\u0660', '0x'].map(text),
    ...NO_TEXT,
  ],
  bombs: [
    '1'.repeat(100_000),
    ' '.repeat(100_000),
    `1${'.1'.repeat(50_000)}`,
    '-'.repeat(100_000),
    'a'.repeat(100_000),
  ].map(text),
  mayThrow: () => false,
  read(bytes) {
    const given = Buffer.from(bytes).toString()
    const readers = [
      () => countOf('--limit', given),
      () => timeOf('--time', given),
      () => placeOf('--from', given),
      () => duration('--timeout', given),
      () => size('bytesMax', given),
      () => goodName(given),
      () => knownOptions('a thing', { [given]: 1 }, ['partitions', 'codec']),
    ]
    for (const reads of readers) {
      try {
        reads()
      } catch (error) {
        if (!isOurs(error)) throw error
      }
    }
  },
}

const servers: Target = {
  name: 'addresses of servers',
  samples: ['nats://ann:secret@h1:4222,tls://h2', 'token@[::1]:4222', 'h'].map(text),
  pieces: [
    ...['@', ':', '/', ',', '//', '%', '%ff', '[', ']', '::', ' ', '99999', 'http://', '\0'].map(text),
    ...NO_TEXT,
  ],
  bombs: ['@', ':', ',', 'a', '%41', '%'].map(piece => text(`nats://${piece.repeat(20_000)}`)),
  read(bytes) {
    for (const { address } of parseServers(Buffer.from(bytes).toString())) {
      sound(!address.includes('@'), 'an address has a name in it')
    }
  },
}

const environment: Target = {
  name: 'the environment',
  samples: ['5s', '1m30s', '500ms', '5 seconds'].map(text),
  pieces: ['1', '.', 's', 'm', 'h', 'ms', ' ', '-', 'e'].map(text),
  bombs: ['1s', '1', '1.', '1h1'].map(piece => text(`${piece.repeat(5000)}x`)),
  read(bytes) {
    const given = Buffer.from(bytes).toString()
    return optionsFromEnv({ NATS_URL: given, NATS_CONTEXT: given, NATS_TIMEOUT: given })
  },
}

const secret = `SUAM${'A'.repeat(54)}`

const redacted: Target = {
  name: 'texts with secrets in them',
  samples: [
    `no server at nats://ann:hidden@h:4222; token=hidden, "password": "hidden", seed: ${secret} eyJhbGci.eyJqdGki.c2ln`,
    'nothing of interest',
  ].map(text),
  pieces: ['//', '@', 'eyJ', '-', '.', 'password', '=', ' ', '"', "'", 'S', 'token: '].map(text),
  bombs: ['eyJ-', 'eyJa.', '//', '@', '//a@', 'password ', 'password=', 'pass"', ' ', 'SUA', "token='", 'a'].map(
    piece => text(piece.repeat(Math.floor(100_000 / piece.length))),
  ),
  mayThrow: () => false,
  read: bytes => redact(Buffer.from(bytes).toString()),
}

const input: Target = {
  name: 'lines of input',
  samples: [text('{"a":1}\n\n [2]\r\n"x"')],
  pieces: [...JSON_PIECES, ...NO_TEXT, ...['\n', '\r\n', '\r'].map(text)],
  bombs: [...JSON_BOMBS, text('\n'.repeat(100_000))],
  slow: OWN,
  share: 0.3,
  mayThrow: error => error instanceof LongLine,
  async read(bytes) {
    const half = bytes.length >> 1
    for (const raw of [true, false]) {
      const chunks = [bytes.subarray(0, half), bytes.subarray(half)]
      for await (const lines of linesOf(each(chunks), raw)) {
        // The first that is bad ends it.
        for (const line of lines) if (!isValue(line.bytes)) break
      }
    }
  },
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

/** What is wrong with a line is told as a plain error, to which the verb adds the place. */
function isValue(line: Buffer): boolean {
  try {
    jsonOf(line)
    return true
  } catch (error) {
    sound(
      error instanceof Error && /^it is not (JSON|UTF-8 text)/.test(error.message),
      'a line is told as bad otherwise',
    )
    return false
  }
}

/** A file of the user, written for each input. */
function written(path: string, bytes: Uint8Array): string {
  const file = join(FOLDER, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, bytes)
  return file
}

const contexts: Target = {
  name: 'context files',
  samples: [
    text('{"description":"","url":"nats://h:4222","user":"ann","password":"p","creds":"","tls_first":true,"nsc":""}'),
  ],
  pieces: [...JSON_PIECES, ...['"nsc":"x",', '"url":5,', '"creds":{},'].map(text)],
  bombs: JSON_BOMBS,
  share: 0.03,
  slow: OWN,
  read(bytes) {
    written('nats/context/c.json', bytes)
    return optionsFromContext('c', { XDG_CONFIG_HOME: FOLDER })
  },
}

const configs: Target = {
  name: 'config files',
  samples: [
    text('{"servers":["nats://ann:p@h:4222"],"timeout":"5 seconds","output":"json","tlsCa":"ca.pem"}'),
    text('{\n  "dataDir": "data",\n  "output": "text"\n}'),
  ],
  pieces: [...JSON_PIECES, ...['"server":1,', '"timeout":-1,', '"servers":{},', '"user":"x",'].map(text)],
  bombs: JSON_BOMBS,
  share: 0.03,
  slow: OWN,
  async read(bytes) {
    const file = await configFile(written('stream-node.config.json', bytes))
    if (file !== undefined)
      await logOf({ file, output: 'text' }, {}).catch((error: unknown) => {
        if (!isOurs(error)) throw error
      })
  },
}

export const command: readonly Target[] = [...[args, typed, servers, environment, redacted, input, contexts, configs]]
