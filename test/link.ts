/** A TCP link that misbehaves at will, to put between a client and a server: late, slow, in slices, half open, cut. */
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface BadLink {
  /** Where to connect instead of the server: `nats://127.0.0.1:<port>` */
  readonly url: string
  /** Holds back every piece for this long, both ways, in order. 0 ends it. */
  delay(ms: number): void
  /** Passes pieces on in slices of at most this many bytes. 0 ends it. */
  slice(bytes: number): void
  /** Passes on at most about so many bytes a second, each way of each link by itself. 0 ends it. */
  slow(bytesPerSecond: number): void
  /** Takes bytes and passes none on, in one direction or both: the link looks open and nothing comes. */
  swallow(direction: Direction): void
  /** Cuts all links with a reset; new ones are let through again. */
  cut(): void
  /** Lets new links through unharmed; what was swallowed stays lost, so its link is cut. */
  heal(): void
  /** How many pieces were late, slow, sliced or swallowed so far, and how many links were cut. */
  readonly harmed: number
  close(): Promise<void>
}

export type Direction = 'to server' | 'to client' | 'both'

/** How often a slow link passes something on. */
const SLOW_MS = 10

/** Opens a link to `target`, such as `nats://127.0.0.1:4222`. */
export async function openBadLink(target: string): Promise<BadLink> {
  const to = new URL(target)
  const pairs = new Set<readonly [Socket, Socket]>()
  let [delayMs, sliceBytes, slowBytes, harmed] = [0, 0, 0, 0]
  let swallowed: Direction | undefined
  const sizeNow = () => Math.min(sliceBytes || Infinity, slowBytes || Infinity)

  const carry = (from: Socket, into: Socket, direction: Direction) => {
    let before = Promise.resolve()
    from.on('data', (piece: Buffer) => {
      const isSwallowed = swallowed === 'both' || swallowed === direction
      if (isSwallowed || delayMs > 0 || sizeNow() < Infinity) harmed++
      if (isSwallowed) return
      const late = delayMs
      before = before.then(async () => {
        if (late > 0) await sleep(late)
        for (let at = 0; at < piece.length && into.writable;) {
          const size = sizeNow()
          const flows = into.write(piece.subarray(at, at + size))
          at += size
          if (slowBytes > 0) await sleep(SLOW_MS)
          else if (sliceBytes > 0) await new Promise(setImmediate)
          if (!flows && !into.destroyed) await drained(into)
        }
      })
      // One piece at a time, so that a slow side slows the other down.
      from.pause()
      void before.finally(() => from.resume()).catch(() => into.destroy())
    })
    from.on('close', () => into.destroy())
    from.on('error', () => into.destroy())
  }

  const server = createServer(client => {
    const upstream = createConnection({ host: to.hostname, port: Number(to.port) })
    const pair = [client, upstream] as const
    pairs.add(pair)
    for (const socket of pair) socket.setNoDelay(true)
    client.once('close', () => pairs.delete(pair))
    carry(client, upstream, 'to server')
    carry(upstream, client, 'to client')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cut = () => {
    harmed += pairs.size
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy()
  }
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delay: ms => void (delayMs = ms),
    slice: bytes => void (sliceBytes = bytes),
    slow: bytesPerSecond => void (slowBytes = Math.ceil((bytesPerSecond * SLOW_MS) / 1000)),
    get harmed() {
      return harmed
    },
    swallow: direction => void (swallowed = direction),
    cut,
    heal() {
      swallowed = undefined
      cut()
    },
    async close() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}

/** Resolves when the socket takes more, or is closed. */
function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}
