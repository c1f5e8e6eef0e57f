/**
 * `npm run fuzz -- --inputs 1000000`: feeds so many inputs to all that reads bytes from outside, and says which end in
 * anything but a value or an error of ours, soon. `--seed S` draws others, `--target NAME` feeds one target alone,
 * `--input N` one input of it, and prints that. `--processes N`: as many as there are cores, if not given.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { buildFuzz, fuzz, told } from '../test/fuzz/crew.js'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    input: { type: 'string' },
    processes: { type: 'string' },
  },
})
const seed = Number(values.seed)
const targets = values.target !== undefined && { targets: [values.target] }

/** One input, which is printed. */
async function one(only: number): Promise<boolean> {
  const { input = '', findings } = await fuzz(buildFuzz('fuzz'), { seed, inputs: 1, only, slowly: true, ...targets })
  console.log(`in hex: ${input}\nas text: ${JSON.stringify(Buffer.from(input, 'hex').toString())}`)
  console.log(findings.length > 0 ? findings.map(({ what }) => what).join('\n') : 'ended well')
  return findings.length === 0
}

async function all(): Promise<boolean> {
  const began = performance.now()
  const processes = Number(values.processes ?? availableParallelism())
  const { inputs, findings } = await fuzz(
    buildFuzz('fuzz'),
    { seed, inputs: Number(values.inputs), ...targets },
    processes,
  )
  if (findings.length > 0) console.log(told(findings, seed))
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${inputs} inputs of seed ${seed} in ${seconds} s, ${findings.length} findings`)
  return findings.length === 0
}

process.exitCode = (await (values.input === undefined ? all() : one(Number(values.input)))) ? 0 : 1
