/** What may stand in `stream-node.config.ts`: the flags that every verb takes, by their names in code. */
import type { Duration } from '../options.js'

/**
 * The settings of the command in a folder. A flag counts before them, and so does the environment. Paths are relative
 * to the file. What is `undefined` counts as absent.
 */
export interface StreamNodeConfig {
  /** One or several NATS servers, commas between; `tls://` asks for TLS. `--server`, `NATS_URL`. */
  readonly servers?: string | readonly string[] | undefined
  /** A context of the `nats` command. `--context`, `NATS_CONTEXT`. */
  readonly context?: string | undefined
  /** Path of a file with a user's JWT and seed. `--creds`, `NATS_CREDS`. */
  readonly creds?: string | undefined
  /** Path of a file with an nkey seed. `--nkey`, `NATS_NKEY`. */
  readonly nkey?: string | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** Path of the authorities to trust, PEM. `--tls-ca`, `NATS_CA`. */
  readonly tlsCa?: string | undefined
  /** Path of our own certificate, PEM. `--tls-cert`, `NATS_CERT`. */
  readonly tlsCert?: string | undefined
  /** Path of its key, PEM. `--tls-key`, `NATS_KEY`. */
  readonly tlsKey?: string | undefined
  /** The JetStream domain. `--domain`. */
  readonly domain?: string | undefined
  /** The first words of the subjects on which answers come. `--inbox-prefix`. */
  readonly inboxPrefix?: string | undefined
  /** The longest wait for an answer. `--timeout`, `NATS_TIMEOUT`. */
  readonly timeout?: Duration | undefined
  /** The folder of the embedded log. `--data-dir`, `STREAM_NODE_DATA_DIR`. */
  readonly dataDir?: string | undefined
  /** What stdout gets; default `text`. `--output`. */
  readonly output?: 'text' | 'json' | 'jsonl' | undefined
}

/** Gives back what it is given: for the default export of `stream-node.config.ts`, so that editors know its options. */
export function defineConfig(config: StreamNodeConfig): StreamNodeConfig {
  return config
}
