/** What the parser gives for the flags of each verb: texts as they were typed. */
import type { ConfigFile } from './config.js'

/** The flags that every verb takes. */
export interface Flags {
  readonly server?: string
  readonly context?: string
  readonly creds?: string
  readonly nkey?: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly domain?: string
  readonly inboxPrefix?: string
  readonly timeout?: string
  readonly dataDir?: string
  readonly output: 'text' | 'json' | 'jsonl'
  /** The config file that `--config` names, or that the folder has. */
  readonly file?: ConfigFile
}

export interface PublishFlags extends Flags {
  readonly key?: string
  readonly keyField?: string
  readonly id?: string
  readonly idField?: string
  readonly time?: string
  readonly timeField?: string
  readonly create?: true
  readonly partitions?: string
  readonly codec?: string
}

export interface TailFlags extends Flags {
  readonly from: string
  readonly key?: string
  readonly partition?: string
  readonly limit?: string
  readonly follow?: true
}

export interface RunFlags extends Flags {
  readonly untilCaughtUp?: true
  readonly drain?: true
  readonly name?: string
  readonly logLevel: string
  readonly watchdog: string
  readonly respawn?: true
}

export interface DlqFlags extends Flags {
  readonly partition?: string
  readonly limit?: string
  readonly error?: string
  readonly all?: true
}

export interface ResetFlags extends Flags {
  readonly from: string
  readonly outputs?: true
  readonly yes?: true
}
