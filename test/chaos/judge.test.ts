/** The judge has teeth: what a run brings out is good, and each hole put into it afterwards is found. */
import { describe, expect, test } from 'vitest'
import { systemChance, systemClock } from '../../src/clock.js'
import { linked } from '../../src/client/linked.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import type { Ports } from '../../src/log/ports.js'
import { START, type LogRecord } from '../../src/log/record.js'
import { runNode } from '../../src/node/node.js'
import { silent } from '../../src/telemetry/events.js'
import { Judge } from './judge.js'
import { numbers, sums, sumsOfSums, toSums, toSumsOfSums, type Given } from './pipeline.js'

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const RECORDS = 200

/** What a faultless run leaves behind, changed by `tamper`, and what the judge says of it. */
async function verdictOn(tamper: (ports: Ports, judge: Judge) => void | Promise<void>): Promise<readonly string[]> {
  const ports = await openEmbedded({ memory: true }, parts)
  const judge = await Judge.open(ports)
  const client = linked(ports, parts)
  const onStored = ({ position }: { readonly position: number }, i: number) =>
    judge.receipts.acknowledged(given[i]!.id, position)
  const given = Array.from({ length: RECORDS }, (_, n): Given => ({
    id: `r/${n + 1}`,
    key: `k${n % 7}`,
    value: n,
    at: 0,
  }))
  await client.publishAll(numbers, given, { onStored })
  const node = await runNode(ports, [toSums, toSumsOfSums!], parts)
  await node.caughtUp()
  await judge.caughtUp(RECORDS)
  await node.stop()
  await tamper(ports, judge)
  await judge.end()
  return judge.findings
}

/** Appends what stands last in a stream once more, changed. */
async function again(ports: Ports, stream: { readonly name: string }, id: string, change: (text: string) => string) {
  const log = (await ports.log.find(stream.name))!
  const reader = log.read({ after: START, untilEnd: true })
  const stored: LogRecord[] = []
  for await (const { records } of reader) stored.push(...records)
  const last = stored.at(-1)!
  const payload = Buffer.from(change(Buffer.from(last.payload).toString()))
  const ending = await log.append({ partition: last.partition, payload, id })
  expect(ending).toMatchObject({ ending: 'stored', repeat: false })
}

test('finds nothing in a run without a fault', async () => {
  expect(await verdictOn(() => {})).toEqual([])
})

describe('refuses a run', () => {
  test('with an output that stands there twice', async () => {
    const findings = await verdictOn(ports => again(ports, sums, 'w/1', text => text))
    expect(findings.join('\n')).toMatch(/^duplicate: sums: the output of r\/\d+ is stored 2 times$/m)
  })

  test('with an output of the second pipeline that nothing went in for', async () => {
    const findings = await verdictOn(ports => again(ports, sumsOfSums, 'w/1', text => text.replace(/r\/\d+/, 'r/999')))
    expect(findings.join('\n')).toMatch(/^foreign: sums-of-sums: stored holds an output of r\/999/m)
  })

  test('with a record of which nothing came out', async () => {
    const findings = await verdictOn(async (ports, judge) => {
      await again(ports, numbers, 'r/201', text => text.replace(/r\/\d+/, 'r/201').replace(/"value":\d+/, '"value":1'))
      judge.receipts.acknowledged('r/201', RECORDS + 1)
    })
    expect(findings.join('\n')).toMatch(/^lost: sums: the output of r\/201 is not stored$/m)
    expect(findings.join('\n')).toMatch(/^lost: sums-of-sums: the output of r\/201 is not read$/m)
  })

  test('with a record that was acknowledged and is not there', async () => {
    const findings = await verdictOn((_, judge) => judge.receipts.acknowledged('r/999', 7))
    expect(findings).toEqual(['record r/999 was acknowledged at 7, and is not in the log'])
  })
})
