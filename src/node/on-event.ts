/** Keeps what a program's own `onEvent` throws from the engine, which tells it from the midst of its work. */
import { messageOf } from '../errors.js'
import type { Event, Tell } from '../telemetry/events.js'

/** Tells `onEvent`. What it throws, or rejects with, is a warning of the process, the first time at each type of event. */
export function harmless(onEvent: Tell): Tell {
  const take: (event: Event) => unknown = onEvent
  const warned = new Set<Event['type']>()
  const warn = (type: Event['type'], thrown: unknown) => {
    if (warned.has(type)) return
    warned.add(type)
    const detail = thrown instanceof Error ? thrown.stack : undefined
    process.emitWarning(`onEvent of startNode failed at "${type}": ${messageOf(thrown)}`, {
      ...{ type: 'StreamNodeWarning', code: 'ON_EVENT_FAILED' },
      ...(typeof detail === 'string' && { detail }),
    })
  }
  return event => {
    try {
      const told = take(event)
      if (told instanceof Promise) told.catch((error: unknown) => warn(event.type, error))
    } catch (thrown) {
      warn(event.type, thrown)
    }
  }
}
