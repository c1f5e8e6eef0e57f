import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connect } from '../client/connect.js'
import { pipeline } from '../pipeline/pipeline.js'
import { stream } from '../stream/stream.js'
import type { Event } from '../telemetry/events.js'
import { startNode } from './start.js'

const definitions = [pipeline('p').from(stream('a')).to(stream('b'))]

test('refuses options that are none, each by name', async () => {
  const start = startNode as (options?: unknown) => Promise<unknown>
  const refused = async (options: unknown, message: string) =>
    expect(start(options)).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining(message) })
  await refused(undefined, 'the options of startNode must be an object, but is undefined')
  await refused(null, 'the options of startNode must be an object, but is null')
  await refused({ memory: true }, 'definitions of startNode must be given, or module, and not both')
  await refused({ memory: true, definitions, onEvent: 3 }, 'onEvent of startNode must be a function, but is 3')
  await refused({ memory: true, definitions, name: '' }, 'name of startNode must be a text')
  await refused({ memory: true, module: 3 }, 'module of startNode must be a path or a URL, but is 3')
})

test('says which module cannot be loaded, or has nothing to run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'start-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const refused = async (name: string, code: string | undefined, message: string) => {
    const module = join(folder, name)
    if (code !== undefined) writeFileSync(module, code)
    for (const given of [module, pathToFileURL(module)]) {
      await expect(startNode({ memory: true, module: given })).rejects.toMatchObject({
        ...{ code: 'BAD_MODULE', message: expect.stringMatching(new RegExp(`${name} of startNode ${message}`)) },
      })
    }
  }
  await refused('none.mjs', undefined, 'cannot be loaded: .*; mend the file, or its path')
  await refused('throws.mjs', 'throw new Error("no luck")', 'cannot be loaded: no luck; mend')
  await refused('other.mjs', 'export const one = 1', 'has no pipeline: it exports one; export what pipeline')
  await refused('empty.mjs', '', 'has no pipeline: it exports nothing; export what pipeline')
})

const failures: [string, (type: string) => void | Promise<void>][] = [
  [
    'throws',
    type => {
      throw new Error(`planted at ${type}`)
    },
  ],
  ['rejects', type => Promise.reject(new Error(`planted at ${type}`))],
]
test.each(failures)(
  'an onEvent that %s keeps the node from nothing, and is warned of once for each type',
  async (_, fail) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const unhandled: unknown[] = []
    const hear = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', hear)
    onTestFinished(() => {
      warn.mockRestore()
      process.off('unhandledRejection', hear)
    })
    const told: string[] = []
    const numbers = stream<number>('numbers', { partitions: 2 })
    const onEvent: (event: Event) => unknown = ({ type }) => {
      told.push(type)
      return fail(type)
    }
    const dataDir = mkdtempSync(join(tmpdir(), 'start-'))
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
    const copying = pipeline('p').from(numbers).to(stream<number>('out'))
    const node = await startNode({ dataDir, definitions: [copying], onEvent })
    const client = await connect({ dataDir })
    await client.publish(numbers, 1)
    await client.close()
    expect(await node.caughtUp()).toBe(true)
    expect(await node.stop()).toEqual({ why: 'stopped' })
    expect(await node.ended).toEqual({ why: 'stopped' })
    await new Promise(resolve => setImmediate(resolve))
    const types = new Set(told)
    expect([...types]).toEqual(
      expect.arrayContaining(['node.started', 'partition.committed', 'partition.ended', 'node.ended']),
    )
    expect(told.length).toBeGreaterThan(types.size)
    const warned = warn.mock.calls.map(([text]) => String(text))
    expect(warned.sort()).toEqual(
      [...types].map(type => `onEvent of startNode failed at "${type}": planted at ${type}`).sort(),
    )
    expect(unhandled).toEqual([])
  },
)
