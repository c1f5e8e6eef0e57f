/** All that concerns the ground floor: the two logs, the codecs, and how soon the command answers. */
import type { Case } from './case.js'
import { codecCases } from './codecs.js'
import { embeddedCases } from './embedded.js'
import { helpCases } from './help.js'
import { jetStreamCases } from './jetstream.js'

export interface LogBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

export async function* logCases({ pairs = 5, records = 1_000_000 }: LogBenchOptions = {}): AsyncGenerator<Case> {
  yield* jetStreamCases({ pairs, records })
  yield* embeddedCases({ pairs, records: Math.ceil(records / 5) })
  yield* codecCases({ pairs: pairs + 4 })
  yield* helpCases({ pairs: pairs * 3 })
}
