/**
 * Feeds inputs to targets in a process of its own, `worker.js <job as JSON>`, and prints lines of JSON: where it is, so
 * that who sees it die knows at which input; what it finds; and at the end which functions were called on the way.
 */
import { writeSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import { feed, shown, type Finding } from './feed.js'
import { Inputs } from './inputs.js'
import { changedPrototype } from './prototypes.js'
import type { Target } from './target.js'
import { targets } from './targets.js'

export interface Job {
  readonly seed: number
  /** By name; absent: all. */
  readonly targets?: readonly string[]
  /** How many inputs by chance, of all targets together; and of those that are planned as many at the most. */
  readonly inputs: number
  /** Only this one, which is printed. */
  readonly only?: number
  /** What a target with a share of 1 gets. Default: as much as makes `inputs` of them. */
  readonly fair?: number
  /** Begins behind so many inputs of the first target. */
  readonly skip?: number
  /** Says where it is before each input, and looks after the prototypes behind each. */
  readonly slowly?: boolean
  /** Notes which functions are called. This takes so long that nothing is said of time then. */
  readonly covering?: boolean
  /** Of this many processes that share the inputs this is which. */
  readonly part?: readonly [which: number, of: number]
}

/** One line of what a process prints. */
export type Line =
  | {
      readonly at: {
        readonly target: string
        readonly count: number
        readonly index: number
        readonly fair: number
        /** In hex, where it goes slowly. */
        readonly input?: string
      }
    }
  | { readonly finding: Finding }
  | { readonly input: string }
  | { readonly done: { readonly target: string; readonly count: number } }
  | { readonly called: readonly string[] }

/** So many inputs between two lines that say where it is, and two looks after the prototypes. */
const STRIDE = 256

const job = JSON.parse(process.argv[2] ?? '') as Job
const [which, of] = job.part ?? [0, 1]

const session = new Session()
if (job.covering === true) {
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
}

const chosen = targets.filter(({ name }) => job.targets?.includes(name) ?? true)
/** What a target with a share of 1 gets. */
const fair = job.fair ?? job.inputs / chosen.reduce((sum, { share = 1 }) => sum + share, 0)

/** A prototype once changed stays so: it is told once. */
let told = false
let skip = job.skip ?? 0
for (const target of chosen) {
  say({ done: { target: target.name, count: await fuzzed(target) } })
  skip = 0
}
if (job.covering === true) say({ called: await called() })

async function fuzzed(target: Target): Promise<number> {
  const inputs = new Inputs(target, job.seed)
  const first = await readings(target)
  const stride = job.slowly === true ? 1 : STRIDE
  let count = 0
  for (const index of indexes(target, inputs)) {
    if (count++ < skip) continue
    const bytes = inputs.at(index)
    const input = job.slowly === true ? shown(bytes) : undefined
    if ((count - 1) % stride === 0)
      say({ at: { target: target.name, count: count - 1, index, fair, ...(input && { input }) } })
    if (job.only !== undefined) say({ input: Buffer.from(bytes).toString('hex') })
    const what =
      (await feed(target, bytes, job.covering === true ? Number.MAX_VALUE : undefined)) ??
      (count % stride === 0 ? changed() : undefined)
    if (what !== undefined) say({ finding: { target: target.name, index, what, input: shown(bytes) } })
  }
  const readsOtherwise = !isDeepStrictEqual(await readings(target), first)
  for (const what of [
    changed(),
    readsOtherwise ? 'what is sound is read otherwise after all these inputs' : undefined,
  ]) {
    if (what !== undefined) say({ finding: { target: target.name, index: -1, what, input: '' } })
  }
  return Math.max(0, count - skip)
}

/** What comes of the samples: nothing that was read in between may have left anything behind. */
async function readings(target: Target): Promise<string[]> {
  const read: string[] = []
  for (const sample of target.samples) {
    try {
      read.push(inspect(await target.read(sample), { depth: 10 }))
    } catch (error) {
      read.push(String(error))
    }
  }
  return read
}

function* indexes(target: Target, inputs: Inputs): Generator<number> {
  if (job.only !== undefined) {
    yield job.only
    return
  }
  const { bombs = [], samples, share = 1 } = target
  const first = bombs.length + samples.length
  if (which === 0) for (let index = 0; index < first; index++) yield index
  const step = Math.max(1, Math.ceil((inputs.planned - first) / Math.max(1, fair * share))) * of
  for (let index = first + ((job.seed + which) % step); index < inputs.planned; index += step) yield index
  const random = Math.ceil((fair * share) / of)
  for (let i = 0; i < random; i++) yield inputs.planned + i * of + which
}

function changed(): string | undefined {
  const what = told ? undefined : changedPrototype()
  if (what === undefined) return undefined
  told = true
  return `this input, or one of the ${STRIDE} before it, changed ${what}`
}

function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

/** The functions of `src/` that were called: `src/codec/json.ts parsed`. */
async function called(): Promise<string[]> {
  const found = new Set<string>()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  for (const { url, functions } of result) {
    const [, file] = /\/(src\/.*)\.js$/.exec(url) ?? []
    if (file === undefined) continue
    for (const { functionName, ranges } of functions) {
      if ((ranges[0]?.count ?? 0) > 0) found.add(`${file}.ts ${functionName.replace(/^get /, '')}`)
    }
  }
  return [...found]
}
