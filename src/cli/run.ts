/** `run`: a node in this process, until it is told to stop, has caught up, or has nothing left that runs. */
import { systemClock } from '../clock.js'
import { messageOf, StreamNodeError } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'
import type { NodeEnd } from '../node/node.js'
import { startNode } from '../node/start.js'
import { logger, LOG_LEVELS, type Logger, type LogLevel } from '../telemetry/logger.js'
import { durationOf } from './arguments.js'
import { decideExit, expectExit, noticeExit } from './decision.js'
import { exitCodeOf, exits, lineOf, Told, UsageError } from './failure.js'
import type { RunFlags } from './flags.js'
import { interrupted } from './interrupt.js'
import { logOf } from './link.js'
import { pipelinesOf } from './modules.js'
import { respawn } from './respawn.js'
import { alarming, say, terminal } from './terminal.js'

/** Runs the pipelines of these files, or of the folder `actors/`. */
export async function run(files: readonly string[], flags: RunFlags): Promise<void> {
  const level = LOG_LEVELS.find(known => known === flags.logLevel)
  if (level === undefined) {
    const what = `--log-level must be one of ${LOG_LEVELS.join(', ')}, but is ${JSON.stringify(flags.logLevel)}`
    throw new UsageError(what, 'change --log-level')
  }
  if (flags.name === '') throw new UsageError('--name is empty', 'name the node, or leave it out')
  const watchdog = flags.watchdog === 'off' ? undefined : durationOf('--watchdog', flags.watchdog, { min: 100 })
  if (flags.respawn === true) return respawn()
  noticeExit()
  try {
    await runHere(files, flags, level, watchdog)
  } finally {
    await decideExit()
  }
}

/** Runs them in this process. */
async function runHere(
  files: readonly string[],
  flags: RunFlags,
  level: LogLevel,
  watchdog: number | undefined,
): Promise<void> {
  const log = await logOf(flags, process.env)
  const stop = interrupted()
  const definitions = await pipelinesOf(files)
  const lines = linesOn(level)
  process.prependListener('uncaughtException', thrown => {
    lines.close()
    expectExit()
    process.exit(saidOutside(thrown))
  })
  const untilCaughtUp = flags.untilCaughtUp ?? flags.drain ?? false
  const node = await startNode({
    ...(log.server === undefined ? { dataDir: log.dataDir } : log.server),
    name: flags.name,
    ...{ definitions, watchdog },
    onEvent: lines.tell,
  })
  const end = () => void node.stop()
  if (stop.aborted) end()
  stop.addEventListener('abort', end)
  const caughtUp = untilCaughtUp ? node.caughtUp().finally(end) : undefined
  const ended = await node.ended
  lines.close()
  // Who was stopped before has no answer, and waits for none.
  const behind = caughtUp !== undefined && !(await Promise.race([caughtUp, Promise.resolve(false)]))
  tellEnd(ended, behind && !stop.aborted)
}

function linesOn(level: LogLevel): Logger {
  return logger({ level, people: terminal, clock: systemClock, redact, write: text => void process.stderr.write(text) })
}

/** Throws what the exit code is to be when it is not 0; `behind`: it was to catch up, and has not. */
function tellEnd(end: NodeEnd, behind: boolean): void {
  switch (end.why) {
    case 'halted':
    case 'failed':
    case 'paused': {
      const { pipeline, stage, partition, error } = end
      const where = `partition ${partition} of pipeline "${pipeline}"${stage === 0 ? '' : `, stage ${stage},`}`
      const what = error instanceof StreamNodeError ? lineOf(error) : `${redact(messageOf(error))} [STEP_FAILED]`
      sayFailure(`${where} ${ENDED[end.why]}: ${what}`)
      if (end.why === 'halted') throw new Told(exits.integrity)
      // A server may refuse us in the middle, as it may at the start.
      const isRefused = end.why === 'failed' && exitCodeOf(error) === exits.unreachable
      throw new Told(isRefused ? exits.unreachable : exits.failed)
    }
    case 'late':
      sayFailure('it took too long to stop: what was left was cut off, and the next run does it again [TIMED_OUT]')
      throw new Told(exits.timedOut)
    case 'fenced':
      if (!behind) return
      sayFailure('another node has taken over before all was processed; only that one knows how far it is [FENCED]')
      throw new Told(exits.failed)
    case 'stopped':
      return
  }
}

const ENDED = {
  halted: 'is halted',
  failed: 'failed',
  paused: 'was paused; mend what is wrong, and the next run tries again',
} as const

function sayFailure(text: string): void {
  say(`${alarming('stream-node:')} ${text}`)
}

/** What code of the user threw outside every pipeline, where only its process can fail. */
function saidOutside(thrown: unknown): number {
  if (thrown instanceof StreamNodeError) {
    sayFailure(lineOf(thrown))
  } else {
    const trace = thrown instanceof Error ? thrown.stack : undefined
    sayFailure(`something was thrown outside the pipelines: ${redact(trace ?? messageOf(thrown))}`)
  }
  return exits.failed
}
