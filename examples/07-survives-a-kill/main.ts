/** A node is killed with SIGKILL in the middle of its work and started again: each payment counts once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'stream-node'
import { balances, payments, type Balance } from './balances.js'

/** `npx stream-node run balances.ts`, as a process of its own on the same log. */
function run(...flags: string[]) {
  const command = join(dirname(createRequire(import.meta.url).resolve('stream-node/package.json')), 'dist/cli/main.js')
  const file = fileURLToPath(new URL('balances.ts', import.meta.url))
  const words = [command, 'run', file, '--log-level', 'error', ...flags]
  return spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] })
}

const accounts = ['ann', 'bob', 'cid', 'eve']
const total = 12_000
function* paid() {
  for (let n = 0; n < total; n++) yield { account: accounts[n % 4] ?? '', cents: n }
}

const client = await connect()
await client.publishAll(payments, paid())

const first = run()
const exited = once(first, 'exit')
for await (const record of client.read(balances, { follow: true })) if (record.position > 500) break
first.kill('SIGKILL')
await exited
const { last: published } = await client.describe('balances')
console.log(published < total ? 'killed in the middle of its work' : 'killed too late to show anything')

const second = run('--until-caught-up')
const [code] = (await once(second, 'exit')) as [number | null]
console.log('ran to the end, exit code', code)

let outputs = 0
const last = new Map<string, Balance>()
for await (const { value } of client.read(balances)) {
  outputs++
  const payments = last.get(value.account)?.payments ?? 0
  if (value.payments !== payments + 1) console.log('a payment was lost or counted twice:', value)
  last.set(value.account, value)
}
console.log(`${total} payments, ${outputs} balances`)
for (const account of accounts) console.log(last.get(account))

await client.close()
