/** Asks a log again and again while it is away, until it answers or whoever asks has ended. */
import { pause, type Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'

/** Who asks. */
export interface Asking {
  readonly clock: Clock
  /** Ends the waiting. */
  readonly signal: AbortSignal
  /** Told why it has to wait, each time. */
  readonly waits: (error: Error) => void
}

const RETRY_MS = 100

/** What the log answers. Rejects with what asking again does not mend, and with `CLOSED` once the signal is aborted. */
export async function untilAnswered<T>(ask: () => Promise<T>, { clock, signal, waits }: Asking): Promise<T> {
  for (;;) {
    if (signal.aborted) throw new UnavailableError('CLOSED', 'whoever asked the log has ended', 'start it again')
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof UnavailableError) || error.code === 'CLOSED') throw error
      waits(error)
      await pause(clock, RETRY_MS, signal)
    }
  }
}
