/** A TCP link that misbehaves at will, to put between a client and a server: late, in slices, half open, cut. */
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'

export interface BadLink {
  /** Where to connect instead of the server: `nats://127.0.0.1:<port>` */
  readonly url: string
  /** Holds back every piece for this long, both ways, in order. 0 ends it. */
  delay(ms: number): void
  /** Passes pieces on in slices of at most this many bytes. 0 ends it. */
  slice(bytes: number): void
  /** Takes bytes and passes none on, in one direction or both: the link looks open and nothing comes. */
  swallow(direction: Direction): void
  /** Cuts all links with a reset; new ones are let through again. */
  cut(): void
  /** Lets new links through unharmed; what was swallowed stays lost, so its link is cut. */
  heal(): void
  close(): Promise<void>
}

export type Direction = 'to server' | 'to client' | 'both'

/** Opens a link to `target`, such as `nats://127.0.0.1:4222`. */
export async function openBadLink(target: string): Promise<BadLink> {
  const to = new URL(target)
  const pairs = new Set<readonly [Socket, Socket]>()
  let [delayMs, sliceBytes] = [0, 0]
  let swallowed: Direction | undefined

  const carry = (from: Socket, into: Socket, direction: Direction) => {
    let before = Promise.resolve()
    from.on('data', (piece: Buffer) => {
      if (swallowed === 'both' || swallowed === direction) return
      const late = delayMs
      before = before.then(async () => {
        if (late > 0) await new Promise(resolve => setTimeout(resolve, late))
        const size = sliceBytes === 0 ? piece.length : sliceBytes
        for (let at = 0; at < piece.length && into.writable; at += size) {
          const flows = into.write(piece.subarray(at, at + size))
          if (sliceBytes > 0) await new Promise(setImmediate)
          if (!flows && !into.destroyed) await Promise.race([once(into, 'drain'), once(into, 'close')])
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
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy()
  }
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delay: ms => void (delayMs = ms),
    slice: bytes => void (sliceBytes = bytes),
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
