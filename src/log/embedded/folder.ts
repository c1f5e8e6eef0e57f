/**
 * The data folder: made when it is not there, and looked at before LMDB maps it, since a file that is not what it
 * should be ends the process instead of giving an error.
 */
import { accessSync, closeSync, constants, existsSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { readdirSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DefinitionError, messageOf } from '../../errors.js'
import type { Sync } from './store.js'

/** Another number means: written by something that we cannot follow. */
export const FORMAT = 1
const FORMAT_FILE = 'stream-node.json'
/** What LMDB calls its file. */
export const DATA_FILE = 'data.mdb'

/**
 * Makes the folder ready to be opened, and gives how safe its writes are to be: the safer of what is asked for and what
 * was kept, else `os`. Throws `BAD_DATA_FOLDER` with the mend, having changed nothing that was there.
 */
export function prepareFolder(folder: string, asked: Sync | undefined): Sync {
  try {
    return prepare(folder, asked)
  } catch (error) {
    throw error instanceof DefinitionError ? error : unusable(folder, error)
  }
}

/** Keeps that writes need be no safer than this from now on. Throws `BAD_DATA_FOLDER`. */
export function lowerSync(folder: string, sync: Sync): void {
  try {
    writeFormat(join(folder, FORMAT_FILE), { sync, written: true })
  } catch (error) {
    throw unusable(folder, error)
  }
}

/** Keeps that there is a data file now, so that its loss is told from a folder that never had one. */
export function markWritten(folder: string): void {
  const file = join(folder, FORMAT_FILE)
  try {
    const before = readFormat(folder, readFileSync(file, 'utf8'))
    if (!before.written) writeFormat(file, { ...before, written: true })
  } catch (error) {
    throw error instanceof DefinitionError ? error : unusable(folder, error)
  }
}

/** The error for a folder that the system or LMDB does not let us use. */
export function unusable(folder: string, cause: unknown): DefinitionError {
  const mend = 'check that it is intact and that this user may write there, or name another folder'
  return bad(folder, `cannot be used: ${messageOf(cause)}`, mend, cause)
}

function prepare(folder: string, asked: Sync | undefined): Sync {
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw bad(folder, 'is a file, not a folder', 'name a folder')
  }
  makeFolder(resolve(folder))
  accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  const file = join(folder, FORMAT_FILE)
  // In this order: another process may be making the folder ready at this moment, and its mark comes first.
  const others = readdirSync(folder).some(name => !name.startsWith(FORMAT_FILE))
  const before = existsSync(file) ? readFormat(folder, readFileSync(file, 'utf8')) : undefined
  if (before === undefined && others) {
    throw bad(folder, 'holds something else', 'name a folder that is empty, or one that a node has made')
  }
  checkData(folder, before?.written === true)
  const sync = before?.sync === 'disk' ? before.sync : (asked ?? before?.sync ?? 'os')
  if (sync !== before?.sync) writeFormat(file, { sync, written: before?.written === true })
  return sync
}

/** Node's own way to make the folders above as well never comes back where a file system takes none, as /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** What the folder says of itself; `written` once there was a data file. */
interface Format {
  readonly sync: Sync
  readonly written: boolean
}

/** Written beside and moved into place, so that a crash leaves the old one or the new one. */
function writeFormat(file: string, { sync, written }: Format): void {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify({ format: FORMAT, sync, written })}\n`, { flush: true })
  renameSync(draft, file)
}

function readFormat(folder: string, text: string): Format {
  const { format, sync, written } = parsed(text)
  if (format === FORMAT && (sync === 'os' || sync === 'disk')) return { sync, written: written === true }
  if (typeof format === 'number' && format > FORMAT) {
    const what = `was written by a newer stream-node (format ${format}; this one knows ${FORMAT})`
    throw bad(folder, what, 'run that version, or name another folder')
  }
  throw bad(folder, `has a ${FORMAT_FILE} that is none of ours`, 'put it back from a copy, or name another folder')
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** LMDB would map a foreign or cut file all the same, and the first look at a page that is not there is fatal. */
function checkData(folder: string, written: boolean): void {
  const path = join(folder, DATA_FILE)
  if (!existsSync(path) || statSync(path).size === 0) {
    if (!written) return
    const what = `has lost what was in its ${DATA_FILE}: the log is gone`
    throw bad(folder, what, 'put it back from a copy, or delete the folder to begin with an empty log')
  }
  const file = openSync(path, 'r+')
  try {
    const fault = dataFault(file)
    if (fault === undefined) return
    throw bad(folder, `has a ${DATA_FILE} that ${fault}`, 'put it back from a copy, or name another folder')
  } finally {
    closeSync(file)
  }
}

// Where LMDB's meta pages have what we look at; see `MDB_meta` in its source.
const META = { magic: 24, version: 28, pageSize: 48, freeRoot: 88, mainRoot: 136, lastPage: 144, txn: 152, length: 160 }
const MAGIC = 0xbeefc0de
const VERSION = 2
const NO_ROOT = 2n ** 64n - 1n
// The last pages may be missing when they were never used: as many as one transaction of ours can take and give back.
const UNUSED_MAX = 4096n

function dataFault(file: number): string | undefined {
  const first = metaAt(file, 0)
  if (first.readUInt32LE(META.magic) !== MAGIC) return 'holds something else'
  if ((first.readUInt32LE(META.version) & 0xffff) !== VERSION) return 'LMDB cannot read'
  const pageSize = first.readUInt32LE(META.pageSize)
  const second = metaAt(file, pageSize)
  const newest = first.readBigUInt64LE(META.txn) >= second.readBigUInt64LE(META.txn) ? first : second
  // Looked at last: a process that writes meanwhile makes the file longer before it says so in a meta page.
  const pages = BigInt(Math.floor(fstatSync(file).size / Math.max(pageSize, 1)))
  const roots = [newest.readBigUInt64LE(META.freeRoot), newest.readBigUInt64LE(META.mainRoot)]
  const cut = roots.some(root => root !== NO_ROOT && root >= pages)
  if (cut || newest.readBigUInt64LE(META.lastPage) >= pages + UNUSED_MAX) return 'has been cut off'
  return undefined
}

function metaAt(file: number, position: number): Buffer {
  const meta = Buffer.alloc(META.length)
  readSync(file, meta, 0, META.length, position)
  return meta
}

function bad(folder: string, what: string, mend: string, cause?: unknown): DefinitionError {
  const details = { facts: { dataDir: folder }, ...(cause !== undefined && { cause }) }
  return new DefinitionError('BAD_DATA_FOLDER', `the data folder ${folder} ${what}`, mend, details)
}
