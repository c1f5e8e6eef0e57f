/** Clicks per user, counted exactly once, however often the process dies. */
import { filter } from 'rxjs'
import { aggregate, count, mean, pipeline, stream } from 'stream-node'

type Click = { user: string; page: string; ms: number; at: number; bot?: boolean }

// Clicks of one user keep their order. A click happened when its field `at` says so.
export const clicks = stream<Click>('clicks', { key: 'user', time: 'at' })

const flow = pipeline('count-clicks')
  .from(clicks)
  .pipe(
    filter(click => !click.bot),
    aggregate({ clicks: count(), meanMs: mean(click => click.ms) }),
  )

export const perUser = flow.as('clicks-per-user') // typed by what the flow gives
export default flow.to(perUser)
