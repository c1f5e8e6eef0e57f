/** SIGINT and SIGTERM: the first asks the verb to end well, the second ends the process at once. */
import { expectExit, parentGone, takesSignalsOnce } from './decision.js'

const FORCED = { SIGINT: 130, SIGTERM: 143 } as const

/** A signal that aborts at the first SIGINT or SIGTERM, or when one of `others` does. */
export function interrupted(...others: readonly AbortSignal[]): AbortSignal {
  const asked = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (asked.signal.aborted && !takesSignalsOnce) {
        expectExit()
        process.exit(FORCED[name])
      }
      asked.abort()
    })
  }
  return AbortSignal.any([asked.signal, parentGone, ...others])
}
