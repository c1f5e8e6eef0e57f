/** The simulated log keeps the promises of the ports, when nothing goes wrong. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ports } from '../../src/log/ports.js'
import { silent } from '../../src/telemetry/events.js'
import { bucketContract } from '../../src/testing/contracts/bucket.js'
import type { Contract } from '../../src/testing/contracts/contract.js'
import { logContract } from '../../src/testing/contracts/log.js'
import { signalsContract } from '../../src/testing/contracts/signals.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import { SimClock } from '../../src/testing/simulation/clock.js'
import { Faults } from '../../src/testing/simulation/faults.js'
import { portsOf } from '../../src/testing/simulation/ports.js'
import { SimProcess } from '../../src/testing/simulation/process.js'
import { SimServer } from '../../src/testing/simulation/server.js'
import { Trace } from '../../src/testing/simulation/trace.js'

const clock = new SimClock()
let over = false
let driving: Promise<boolean>

beforeAll(() => {
  driving = clock.run(() => over, 'wait')
})

afterAll(async () => {
  over = true
  await driving
})

async function open() {
  const chance = new SimChance(1)
  const server = new SimServer(clock, chance)
  const trace = new Trace(() => clock.elapsed(), false)
  const faults = new Faults(chance)
  const ground = {
    clock,
    chance,
    server,
    faults,
    trace,
    crashes: new Map<string, number>(),
    label: (name: string) => name,
    recordBytesMax: 1024 * 1024,
  }
  const links: Ports[] = []
  const another = async () => {
    const ports = portsOf(ground, new SimProcess(`p${links.length}`, clock, 1), silent)
    links.push(ports)
    return ports
  }
  return {
    ports: await another(),
    another,
    close: async () => {
      await Promise.all(links.map(ports => ports.close()))
    },
  }
}

describe('the simulated log', () => {
  const contract: Contract = { test, expect, open, clock }
  describe('log', () => logContract(contract))
  describe('bucket', () => bucketContract(contract))
  describe('signals', () => signalsContract(contract))
})
