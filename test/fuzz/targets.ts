/** Everything that is fuzzed. */
import type { Target } from './target.js'
import { codecs } from './targets/codecs.js'
import { command } from './targets/command.js'
import { logs } from './targets/logs.js'
import { ledgers } from './targets/ledgers.js'
import { streams } from './targets/streams.js'

export const targets: readonly Target[] = [...codecs, ...streams, ...ledgers, ...logs, ...command]
