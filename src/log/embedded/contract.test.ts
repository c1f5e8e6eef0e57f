import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import { silent } from '../../telemetry/events.js'
import { bucketContract } from '../../testing/contracts/bucket.js'
import type { Contract, Opened } from '../../testing/contracts/contract.js'
import { logContract } from '../../testing/contracts/log.js'
import { signalsContract } from '../../testing/contracts/signals.js'
import type { Ports } from '../ports.js'
import { openEmbedded } from './embedded.js'
import type { EmbeddedOptions } from './embedded.js'

const surroundings = { clock: systemClock, chance: systemChance, tell: silent }

/** A node on a fresh folder, and guests beside it as the other links. */
function inFolder(options: EmbeddedOptions): () => Promise<Opened> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
    const dataDir = join(folder, 'data')
    const links: Ports[] = []
    const open = async (more: EmbeddedOptions) => {
      const ports = await openEmbedded({ dataDir, ...more }, surroundings)
      links.push(ports)
      return ports
    }
    return {
      ports: await open(options),
      another: () => open({ role: 'guest' }),
      close: async () => {
        await Promise.all(links.map(ports => ports.close()))
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }
}

for (const sync of ['os', 'disk'] as const) {
  const contract: Contract = { test, expect, open: inFolder({ sync }) }
  describe(`the embedded log in a folder, sync ${sync}`, () => {
    describe('log', () => logContract(contract))
    describe('bucket', () => bucketContract(contract))
    describe('signals', () => signalsContract(contract))
  })
}

/** What is in memory has one link: the other links of a test are that one, and end with it. */
async function inMemory(): Promise<Opened> {
  const ports = await openEmbedded({ memory: true }, surroundings)
  const another = () => Promise.resolve({ ...links(ports), close: () => Promise.resolve() })
  return { ports, another, close: () => ports.close() }
}

const links = (ports: Ports) => ({
  log: ports.log,
  signals: ports.signals,
  bucket: (spec: Parameters<Ports['bucket']>[0]) => ports.bucket(spec),
})

const oneLink = (...promises: string[]) =>
  promises.map(promise => ({ promise, reason: 'a log in memory has one link, so no other is left when it is closed' }))

describe('the embedded log in memory', () => {
  const contract: Contract = { test, expect, open: inMemory }
  describe('log', () =>
    logContract({
      ...contract,
      skip: oneLink(
        'refuses an append after close, unsent',
        'leaves other links alone',
        'ends every append in flight, and each ending says the truth about the log',
      ),
    }))
  describe('bucket', () =>
    bucketContract({ ...contract, skip: oneLink('answers calls to a bucket after close with CLOSED') }))
  describe('signals', () => signalsContract(contract))
})
