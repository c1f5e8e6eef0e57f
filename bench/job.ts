/** What both sides are given to do: records of clicks, and what becomes of each; and a server with a stream full of them. */
import type { StreamSpec } from '../src/log/log.js'
import { openJetStream } from '../src/log/jetstream/jetstream.js'
import type { Ports } from '../src/log/ports.js'
import { systemChance, systemClock } from '../src/clock.js'
import { silent, type Tell } from '../src/telemetry/events.js'
import type { TestServer } from '../test/nats-server/server.js'

export interface Click {
  readonly user: string
  readonly page: string
  readonly ms: number
  readonly at: number
  readonly bot: boolean
}

/** What the pipe makes of a click. */
export interface View {
  readonly user: string
  readonly page: string
  readonly ms: number
  readonly at: number
  readonly slow: boolean
}

export const isHuman = (click: Click): boolean => !click.bot
export const viewOf = ({ user, page, ms, at }: Click): View => ({ user, page, ms, at, slow: ms > 250 })

/** The n-th click, 84 bytes of JSON or a little less. */
export function clickOf(n: number, users: number): Click {
  const user = `user-${String(n % users).padStart(6, '0')}`
  return { user, page: `/products/${1000 + (n % 997)}`, ms: n % 500, at: 1_760_000_000_000 + n, bot: false }
}

export const decode = (payload: Uint8Array): unknown =>
  JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
export const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

/** As a stream without any settings is made. */
export function specOf(name: string, partitions: number): StreamSpec {
  return { name, partitions, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
}

export function openServer(server: TestServer, tell: Tell = silent): Promise<Ports> {
  return openJetStream({ servers: server.url }, { clock: systemClock, chance: systemChance, tell })
}

/** Makes a stream and appends these records to it, each to the partition that is named for it. */
export async function fill(
  ports: Ports,
  spec: StreamSpec,
  records: number,
  of: (n: number) => { readonly partition: number; readonly payload: Uint8Array },
): Promise<void> {
  const stream = await ports.log.open(spec)
  let left = records
  await new Promise<void>((resolve, reject) => {
    const run = async () => {
      for (let n = 0; n < records; n++) {
        const room = stream.room()
        if (room !== undefined) await room
        stream.send(of(n), ({ ending }) => {
          if (ending !== 'stored') reject(new Error(`a record for "${spec.name}" ended ${ending}`))
          else if (--left === 0) resolve()
        })
      }
    }
    run().catch(reject)
  })
}

/** Records a second since `began`. */
export function rateOf(records: number, began: number): number {
  return (records / (performance.now() - began)) * 1000
}
