/** The options of a connection to NATS, as people give them. */
import type { Duration } from '../../options.js'

/**
 * How to reach a NATS server. Each field that is absent is taken from the environment (`NATS_URL` and the other names
 * of the `nats` command), then from the context, then from its default.
 */
export interface JetStreamOptions {
  /** One or several servers, commas between; default `127.0.0.1:4222`. `tls://` asks for TLS. */
  readonly servers?: string | readonly string[]
  /** What the server's monitoring calls this connection; default `stream-node`. */
  readonly name?: string
  /** Path of a creds file: a user's JWT and seed. Read anew at each connect, so it may be renewed under us. */
  readonly creds?: string
  /** Path of a file with an nkey seed, likewise. */
  readonly nkey?: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  /** Path of the authorities to trust, PEM; default those of Node. */
  readonly ca?: string
  /** Path of our own certificate, PEM. Needs `key`. */
  readonly cert?: string
  /** Path of its key, PEM. Needs `cert`. */
  readonly key?: string
  /** True: TLS or nothing. False: never. Absent: TLS when a server, `ca` or `cert` says so, or the server offers it. */
  readonly tls?: boolean
  /** The server wants TLS before its first word. Implies `tls`. */
  readonly tlsFirst?: boolean
  /** The name of a context of the `nats` command. */
  readonly context?: string
  /** The longest wait for a connection or an answer; default 5 seconds. */
  readonly timeout?: Duration
  /** The first words of the subjects on which answers come; default `_INBOX`. What follows is drawn at random. */
  readonly inboxPrefix?: string
  /** The JetStream domain; default the server's own. */
  readonly domain?: string
}
