/** `doctor`: is this log fit for what is asked of it? One line for each thing looked at, what it means, and the mend. */
import { checkup } from '../node/checkup.js'
import type { Finding, Level } from '../log/examiner.js'
import { exits, Told } from './failure.js'
import type { Flags } from './flags.js'
import { opened } from './link.js'
import { pipelinesOf } from './modules.js'
import { say, write } from './terminal.js'

/** Looks at the log for the pipelines of these files; without files at all that is there. Fails when something is wrong. */
export async function doctor(files: readonly string[], flags: Flags): Promise<void> {
  const pipelines = files.length === 0 ? undefined : await pipelinesOf(files)
  const { ports } = await opened(flags)
  try {
    const findings = await checkup(ports, pipelines)
    await show(ports.log.description, findings, flags)
    if (findings.some(({ level }) => level === 'wrong')) throw new Told(exits.failed)
  } finally {
    await ports.close()
  }
}

const LEVELS: readonly Level[] = ['wrong', 'weak', 'unknown', 'ok']

async function show(log: string, findings: readonly Finding[], { output }: Flags): Promise<void> {
  if (output === 'jsonl') return write(findings.map(finding => `${JSON.stringify(finding)}\n`).join(''))
  const counts = LEVELS.map(level => [level, findings.filter(finding => finding.level === level).length] as const)
  if (output === 'json') {
    return write(`${JSON.stringify({ log, ...Object.fromEntries(counts), findings }, null, 2)}\n`)
  }
  say(log)
  await write(together(findings).map(textOf).join(''))
  say(counts.map(([level, count]) => `${count} ${level}`).join(', '))
}

/** One finding, and all streams that it holds for. */
interface Shared {
  readonly finding: Finding
  readonly streams: readonly string[]
}

/** What is the same for several streams, said once. */
function together(findings: readonly Finding[]): Shared[] {
  const groups = new Map<string, { finding: Finding; streams: string[] }>()
  for (const finding of findings) {
    const { stream, ...same } = finding
    const key = JSON.stringify([same, stream === undefined])
    const group = groups.get(key) ?? { finding, streams: [] }
    if (stream !== undefined) group.streams.push(stream)
    groups.set(key, group)
  }
  return [...groups.values()]
}

const NAMED_MAX = 8
const LEVEL_WIDTH = 9

function textOf({ finding: { level, check, what, means, mend }, streams }: Shared): string {
  const more = streams.length > NAMED_MAX ? `, and ${streams.length - NAMED_MAX} more` : ''
  const names = streams.length === 0 ? '' : ` (${streams.slice(0, NAMED_MAX).join(', ')}${more})`
  const lines = [`${level.padEnd(LEVEL_WIDTH)}${check}: ${what}${names}`]
  const below = (name: string, text: string | undefined) => {
    if (level !== 'ok' && text !== undefined) lines.push(`${' '.repeat(LEVEL_WIDTH)}${name}: ${text}`)
  }
  below('means', means)
  below('mend', mend)
  return lines.map(line => `${line.replace(/\s*[\r\n]+\s*/g, ' ')}\n`).join('')
}
