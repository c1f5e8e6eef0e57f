/** Looks whether a data folder and its streams are fit for what is asked of them. It writes nothing. */
import { statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../errors.js'
import type { Bucket } from '../bucket.js'
import type { Examiner, Finding, StreamUse } from '../examiner.js'
import { sizeInWords } from '../in-words.js'
import { checksOf, NOT_YET, type Check } from '../stream-checks.js'
import { findBucket } from './bucket.js'
import { DATA_FILE, FORMAT } from './folder.js'
import type { EmbeddedLog } from './log.js'
import { ownerOf } from './owner.js'
import type { Sync } from './store.js'
import type { Ground } from './stream.js'

export class EmbeddedExaminer implements Examiner {
  /** `folder`: undefined where the log is in memory. */
  constructor(
    readonly ground: Ground,
    readonly log: EmbeddedLog,
    readonly folder: string | undefined,
  ) {}

  async examine(uses: readonly StreamUse[]): Promise<readonly Finding[]> {
    const streams: Finding[] = []
    for (const use of uses) {
      for (const check of await this.#checksOf(use)) streams.push({ ...check, stream: use.name })
    }
    return [...(this.folder === undefined ? [IN_MEMORY] : await this.#folder(this.folder)), ...streams]
  }

  async bucket(name: string): Promise<Bucket | undefined> {
    return findBucket(this.ground, name)
  }

  async #folder(folder: string): Promise<Finding[]> {
    const { store } = this.ground
    const { size } = statSync(join(folder, DATA_FILE))
    const owner = await ownerOf(store)
    const runs =
      owner === undefined
        ? 'no node runs on it'
        : `the node "${owner.name}" (process ${owner.pid}) has been running on it since ${new Date(owner.since).toISOString()}`
    return [
      { level: 'ok', check: 'folder', what: `${folder}, format ${FORMAT}, ${sizeInWords(size)}; ${runs}` },
      { level: 'ok', check: 'compare-and-set', what: 'writes of all processes on the folder go through one lock' },
      syncCheck(store.sync),
      COPY,
      ...roomChecks(folder),
    ]
  }

  async #checksOf(use: StreamUse): Promise<Check[]> {
    const { source } = use.asked
    const theirs = await this.log.find(source?.stream ?? use.name)
    if (theirs !== undefined)
      return checksOf(use, source === undefined ? theirs.spec : { ...theirs.spec, partitions: 1 })
    if (source === undefined) {
      return [{ level: 'ok', check: 'stream', what: NOT_YET }]
    }
    const what = `there is no stream "${source.stream}" to read`
    return [{ level: 'wrong', check: 'stream', what, means: 'what reads it will not start', mend: 'check its name' }]
  }
}

const IN_MEMORY: Finding = {
  level: 'wrong',
  check: 'folder',
  what: 'the log is in memory',
  means: 'P1, P6: all of it is gone when the process ends',
  mend: 'name a folder by dataDir',
}

const COPY: Finding = {
  level: 'weak',
  check: 'replicas',
  what: 'the folder is the one copy',
  means: 'P6: a disk that breaks takes all of it',
  mend: 'copy the folder while nothing runs on it, or use a cluster of NATS servers',
}

function syncCheck(sync: Sync): Finding {
  const check = 'sync'
  if (sync === 'disk') return { level: 'ok', check, what: "'disk': what is acknowledged is on the disk" }
  return {
    level: 'weak',
    check,
    what: "'os': what is acknowledged is with the operating system",
    means: 'a kill of the process loses nothing; with the power the last half minute may be lost, and the file damaged',
    mend: "open it once with sync: 'disk', which holds for all on the folder from then on",
  }
}

/** Where the folder is, by what the system calls the kind of its file system. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
])
const IN_RAM: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

function roomChecks(folder: string): Finding[] {
  try {
    const { type, bavail, bsize } = statfsSync(folder)
    return [...(process.platform === 'linux' ? kindCheck(type >>> 0) : []), roomCheck(bavail * bsize)]
  } catch (error) {
    const what = `the free disk cannot be read: ${messageOf(error)}`
    return [{ level: 'unknown', check: 'disk', what, mend: 'look by "df"' }]
  }
}

/** What is found of the file system of that kind. */
export function kindCheck(type: number): Finding[] {
  const check = 'file system'
  const remote = REMOTE.get(type)
  if (remote !== undefined) {
    const means = 'all promises: the log maps its file into memory, which network file systems do not carry'
    return [
      { level: 'wrong', check, what: `the folder is on ${remote}`, means, mend: 'move it to a disk of this machine' },
    ]
  }
  if (!IN_RAM.has(type)) return []
  const means = 'P1, P6: all of it is gone when the machine ends, however well it ends'
  return [{ level: 'weak', check, what: 'the folder is in memory (tmpfs)', means, mend: 'move it to a disk' }]
}

const ROOM_MIN = 64 * 1024 ** 2
const ROOM_SMALL = 1024 ** 3

/** What is found of so many free bytes. */
export function roomCheck(free: number): Finding {
  const check = 'disk'
  const what = `${sizeInWords(free)} free`
  if (free >= ROOM_SMALL) return { level: 'ok', check, what }
  const means = 'once it is full nothing more is stored: LOG_FULL, and partitions wait'
  return { level: free < ROOM_MIN ? 'wrong' : 'weak', check, what, means, mend: 'free space on the disk' }
}
