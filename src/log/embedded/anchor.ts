/**
 * Whether the data file that is open is still the one in its folder. One that was deleted or replaced under us takes
 * writes as before, into a file without a name, and nobody would ever find them again.
 */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Clock } from '../../clock.js'
import { IntegrityError } from '../../errors.js'
import type { Tell } from '../../telemetry/events.js'
import { DATA_FILE } from './folder.js'

/** How often it is looked at while commits are made; a look costs two microseconds. */
const LOOK_MS = 1000

export class Anchor {
  readonly #path: string
  readonly #mine: string | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  #lost: IntegrityError | undefined

  /** The file must be open already. */
  constructor(
    readonly folder: string,
    readonly clock: Clock,
    readonly tell: Tell,
  ) {
    // The process may come to work in another folder.
    this.#path = resolve(join(folder, DATA_FILE))
    this.#mine = fileAt(this.#path)
  }

  /**
   * The error to end with, once the file is another one or gone; for ever then. Looks when the last look was a second
   * ago, or `now`. Told once as an event too, for not every write has someone who waits for it.
   */
  lost(now = false): IntegrityError | undefined {
    if (this.#lost !== undefined) return this.#lost
    const ms = this.clock.elapsed()
    if (!now && ms - this.#lookedMs < LOOK_MS) return undefined
    this.#lookedMs = ms
    const there = fileAt(this.#path)
    if (there === this.#mine || there === UNSEEN) return undefined
    this.#lost = lostError(this.folder)
    this.tell({ type: 'log.error', error: this.#lost })
    return this.#lost
  }
}

// A folder that may not be looked into for a moment is not lost.
const UNSEEN = 'unseen'

/** Device and number of a file; undefined when there is none. */
function fileAt(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}/${ino}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : UNSEEN
  }
}

function lostError(folder: string): IntegrityError {
  return new IntegrityError(
    'LOG_REWOUND',
    `the data folder ${folder} was deleted, moved or replaced while it was in use, and what was stored in the last second may be lost with it`,
    'stop all that runs on it, put the folder back or accept the loss, then start again',
    { facts: { dataDir: folder } },
  )
}
