/**
 * The embedded kind of the ports: an LMDB file in a data folder, or in memory, no server. A node and any number of
 * guests work on one folder at the same time.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Chance, Clock } from '../../clock.js'
import { badOption, knownOptions } from '../../options.js'
import type { Tell } from '../../telemetry/events.js'
import type { Bucket, BucketSpec } from '../bucket.js'
import type { Examiner } from '../examiner.js'
import type { Ports } from '../ports.js'
import { Anchor } from './anchor.js'
import { openBucket } from './bucket.js'
import { lowerSync, markWritten, prepareFolder, unusable } from './folder.js'
import { Hub } from './hub.js'
import { EmbeddedLog } from './log.js'
import { Door, meetAlone, meetInFolder } from './meeting.js'
import type { Meet } from './meeting.js'
import { claim, release } from './owner.js'
import type { Owner } from './owner.js'
import { Opening } from './opening.js'
import { Pulse } from './pulse.js'
import { EmbeddedSignals } from './signals.js'
import { Store } from './store.js'
import type { Shared, Sync } from './store.js'
import type { Ground } from './stream.js'

export interface EmbeddedOptions {
  /** The folder that holds the log; made when it is not there. Default `.stream-node`. */
  readonly dataDir?: string
  /** Keeps nothing: all is gone when it is closed or the process ends. Default false. */
  readonly memory?: boolean
  /** There is one `node` to a folder; a `guest` works beside it, or alone. Default `node`. */
  readonly role?: 'node' | 'guest'
  /** What the node is called in the error that a second one gets. Default `node`. */
  readonly name?: string
  /**
   * What a record must have reached before its append ends `stored`: the operating system (`os`: survives the death of
   * the process) or the disk (`disk`: survives the loss of power). It holds for all on the folder: `disk` at once, also
   * for those already at work; back to `os` only by a node. Default: as the folder was last used, else `os`.
   */
  readonly sync?: Sync
}

/** What the embedded log is given from outside. */
export interface Surroundings {
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
}

const OPTIONS = ['dataDir', 'memory', 'role', 'name', 'sync'] as const
const ROLES: readonly unknown[] = ['node', 'guest']
const SYNCS: readonly unknown[] = ['os', 'disk', undefined]
const FOLDER = '.stream-node'

/**
 * Opens the embedded log. Throws a `DefinitionError`: `UNKNOWN_OPTION` or `BAD_OPTION`, `DATA_FOLDER_IN_USE` when
 * another node runs on the folder, `BAD_DATA_FOLDER` when it holds something else or cannot be used.
 */
export async function openEmbedded(options: EmbeddedOptions, surroundings: Surroundings): Promise<Ports> {
  const { memory, ...checked } = check(options)
  return memory ? openInMemory(surroundings) : openFolder(checked, surroundings)
}

type Checked = Required<Omit<EmbeddedOptions, 'sync'>> & { readonly sync: Sync | undefined }

function check(options: EmbeddedOptions): Checked {
  knownOptions('the embedded log', options, OPTIONS)
  const { dataDir = FOLDER, memory = false, role = 'node', name = 'node', sync }: EmbeddedOptions = options
  if (typeof dataDir !== 'string' || dataDir === '') throw badOption('dataDir', 'the path of a folder', dataDir)
  if (typeof memory !== 'boolean') throw badOption('memory', 'true or false', memory)
  if (memory && options.dataDir !== undefined) throw badOption('dataDir', 'absent when the log is in memory', dataDir)
  if (!ROLES.includes(role)) throw badOption('role', "'node' or 'guest'", role)
  if (typeof name !== 'string' || name === '') throw badOption('name', 'a text', name)
  if (!SYNCS.includes(sync)) throw badOption('sync', "'os' or 'disk'", sync)
  return { dataDir, memory, role, name, sync }
}

async function openFolder(
  { dataDir, role, name, sync }: Omit<Checked, 'memory'>,
  around: Surroundings,
): Promise<Ports> {
  const { clock, chance } = around
  const shared = { opening: new Opening(dataDir, clock, chance), clock, name: chance.name() }
  const store = openStore(dataDir, prepareFolder(dataDir, sync), shared)
  const anchor = new Anchor(dataDir, around.clock, around.tell)
  store.moor(anchor)
  const door = new Door(dataDir, around.chance)
  const ports = new EmbeddedPorts(store, around, {
    description: `embedded log in ${dataDir}`,
    folder: dataDir,
    meet: meetInFolder(store, door),
    shared: true,
    anchor,
    leave: [() => door.close()],
  })
  try {
    markWritten(dataDir)
    if (store.sync === 'disk') await store.bind('disk')
    if (role === 'guest') return ports
    const since = Math.floor(around.clock.now())
    const owner: Owner = { name, pid: process.pid, since, address: await door.address() }
    await claim(store, dataDir, owner)
    ports.leaveFirst(() => release(store, owner))
    if (sync === 'os' && store.sync === 'disk') {
      lowerSync(dataDir, sync)
      await store.bind(sync)
    }
    await store.reserve()
    await ports.log.clear()
  } catch (error) {
    await ports.close()
    throw error
  }
  return ports
}

/** Without `shared` it is not kept. */
function openStore(folder: string, sync: Sync, shared?: Shared): Store {
  try {
    return new Store(folder, sync, shared)
  } catch (error) {
    throw unusable(folder, error)
  }
}

function openInMemory(around: Surroundings): Ports {
  const folder = mkdtempSync(join(tmpdir(), 'stream-node-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const store = openStore(folder, 'os')
  // The open files live on without their names, so that nothing stays behind however the process ends.
  if (process.platform !== 'win32') remove()
  const meet = meetAlone(new Hub())
  return new EmbeddedPorts(store, around, {
    description: 'embedded log in memory',
    meet,
    shared: false,
    leave: [remove],
  })
}

interface Setting {
  readonly description: string
  /** Absent where the log is in memory. */
  readonly folder?: string
  readonly meet: Meet
  /** Whether other processes can open the same log. */
  readonly shared: boolean
  /** Absent where the file has no name that it could lose. */
  readonly anchor?: Anchor
  /** What is to be done after everything else has ended. */
  readonly leave: readonly (() => void | Promise<void>)[]
}

class EmbeddedPorts implements Ports {
  readonly log: EmbeddedLog
  readonly signals: EmbeddedSignals
  readonly #ground: Ground
  readonly #link = { closed: false }
  readonly #first: (() => Promise<void>)[] = []
  #closing: Promise<void> | undefined

  constructor(
    readonly store: Store,
    { clock, chance }: Surroundings,
    readonly setting: Setting,
  ) {
    const pulse = new Pulse(clock, setting.shared ? () => store.refresh() : undefined)
    this.#ground = { store, pulse, clock, link: this.#link }
    this.log = new EmbeddedLog(setting.description, this.#ground, chance)
    this.signals = new EmbeddedSignals(setting.meet, clock)
  }

  bucket(spec: BucketSpec): Promise<Bucket> {
    return openBucket(this.#ground, spec)
  }

  async examiner(): Promise<Examiner> {
    const { EmbeddedExaminer } = await import('./examiner.js')
    return new EmbeddedExaminer(this.#ground, this.log, this.setting.folder)
  }

  /** Adds what is to be done at close while the store is still open. */
  leaveFirst(leave: () => Promise<void>): void {
    this.#first.push(leave)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#link.closed = true
    this.log.close()
    this.signals.close()
    this.#ground.pulse.close()
    // The last look, so that nobody ends in the belief that all is kept; of what is lost nothing is left to give up.
    if (this.setting.anchor?.lost(true) === undefined) for (const leave of this.#first) await leave()
    await this.store.close()
    for (const leave of this.setting.leave) await leave()
  }
}
