/** A TCP link between client and server that notes what a client says in plain text, before TLS and without it. */
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Tap {
  readonly port: number
  /** All that clients said in plain text so far. */
  plain(): string
  /** Resolves when so many links have been made in all. */
  linked(count: number): Promise<void>
  /** From now on links go there. */
  lead(port: number): void
  /** Cuts all links. */
  cut(): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface TapOptions {
  /** Takes away what the server says of TLS, as one in the middle would who wants to read on. */
  readonly strip?: boolean
}

/** The first byte of a TLS handshake; no word of the protocol begins so. */
const HANDSHAKE = 0x16

export async function openTap(to: number, { strip = false }: TapOptions = {}): Promise<Tap> {
  const sockets = new Set<Socket>()
  let target = to
  let plain = ''
  let links = 0
  let made = () => {}
  const server = createServer(client => {
    const upstream = createConnection({ host: '127.0.0.1', port: target })
    let secret = false
    client.on('data', bytes => {
      secret ||= bytes[0] === HANDSHAKE
      if (!secret) plain += bytes.toString('latin1')
      upstream.write(bytes)
    })
    upstream.on('data', bytes => client.write(strip && !secret ? withoutTls(bytes) : bytes))
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    links++
    made()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const close = async () => {
    server.close()
    cut()
    await once(server, 'close')
  }
  return {
    port: (server.address() as AddressInfo).port,
    plain: () => plain,
    async linked(count) {
      while (links < count) await new Promise<void>(resolve => (made = resolve))
    },
    lead: port => void (target = port),
    cut,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function withoutTls(bytes: Buffer): Buffer {
  const [, info] = /^INFO (\{.*\}) *\r\n/.exec(bytes.toString()) ?? []
  if (info === undefined) return bytes
  const said = JSON.parse(info) as Record<string, unknown>
  return Buffer.from(`INFO ${JSON.stringify({ ...said, tls_required: undefined, tls_available: undefined })}\r\n`)
}
