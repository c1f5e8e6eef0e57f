/**
 * Whether the command ends because it has come to its end, or because code of the user ends the process under it: then that
 * is said, and is no success. Who starts the node again must know it too.
 */
import { exits } from './failure.js'
import { alarming, say } from './terminal.js'

/** Set for a node that is started again when it crashes. What it is told by this is not for its own children. */
export const RESPAWNED = 'STREAM_NODE_RESPAWNED'

const isRespawned = process.env[RESPAWNED] !== undefined && process.send !== undefined
delete process.env['STREAM_NODE_RESPAWNED']

let isNoticed = false

/** Aborted when whoever starts us again is gone. */
export const parentGone: AbortSignal = goneSignal()

/** From now on an end that nobody decided is told. */
export function noticeExit(): void {
  process.on('exit', code => {
    if (isNoticed) return
    say(
      `${alarming('stream-node:')} code that this process runs has ended it, with code ${code}: see who calls process.exit`,
    )
    process.exitCode = code === exits.ok ? exits.failed : code
  })
}

/** The end that comes now needs no word: it is wanted, or was told. */
export function expectExit(): void {
  isNoticed = true
}

/** The command ends by its own decision: nobody need start it again. */
export async function decideExit(): Promise<void> {
  expectExit()
  if (isRespawned && process.connected)
    await new Promise<void>(resolve => process.send?.({ decided: true }, () => resolve()))
}

function goneSignal(): AbortSignal {
  const gone = new AbortController()
  if (isRespawned) {
    process.on('disconnect', () => gone.abort())
    process.channel?.unref()
  }
  return gone.signal
}

/** Signals come from the parent, or reach both of us at once: more than one asks for no more than one does. */
export const takesSignalsOnce: boolean = isRespawned
