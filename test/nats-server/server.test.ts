import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@nats-io/transport-node'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { startCluster, startServer } from './server.js'

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('keeps streams, port and store over a kill and a restart, and leaves nothing behind after stop', async () => {
  const server = await startServer()
  const first = server.pid
  const before = await connect(server.admin)
  await (await jetstreamManager(before)).streams.add({ name: 's', subjects: ['s.>'] })
  await jetstream(before).publish('s.1', 'kept')
  await before.close()

  await server.kill()
  expect(server.pid).toBeUndefined()
  await server.restart()
  expect(server.pid).not.toBe(first)

  const after = await connect(server.admin)
  expect((await (await jetstreamManager(after)).streams.info('s')).state.messages).toBe(1)
  expect(after.info?.version).toBe(server.version)
  await after.close()

  const pid = server.pid ?? 0
  await server.stop()
  expect(alive(pid)).toBe(false)
  expect(existsSync(server.storeDir)).toBe(false)
  expect(server.log()).toContain('Server is ready')
})

test('a frozen server answers nothing until it is thawed', async () => {
  await using server = await startServer({ jetstream: false })
  const link = await connect({ servers: server.url })
  server.freeze()
  let answered = false
  const flush = link.flush().then(() => (answered = true))
  await sleep(200)
  expect(answered).toBe(false)
  server.thaw()
  await flush
  await link.close()
})

test('fails with the log of the server when its configuration is wrong', async () => {
  await expect(startServer({ config: 'no_such_field: {' })).rejects.toThrow(/ended at once; its log:\n.*Parse error/s)
})

test('the server goes when its test process is killed', async () => {
  const script = `
    import { createJiti } from 'jiti'
    const { startServer } = await createJiti(process.cwd()).import(${JSON.stringify(join(import.meta.dirname, 'server.ts'))})
    const server = await startServer()
    process.stdout.write(server.pid + ' ' + server.storeDir)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  const said = await new Promise<string>(resolve => child.stdout.once('data', text => resolve(String(text))))
  const [pid, storeDir] = [Number(said.split(' ')[0]), said.split(' ')[1] ?? '']
  expect(alive(pid)).toBe(true)
  child.kill('SIGKILL')
  await expect.poll(() => [alive(pid), existsSync(storeDir)], { timeout: 5000 }).toEqual([false, false])
})

test('three servers make one cluster that takes a stream with three replicas', async () => {
  await using cluster = await startCluster(3)
  const link = await connect({ ...cluster.servers[0]?.admin, servers: cluster.url.split(',') })
  const stream = await (await jetstreamManager(link)).streams.add({ name: 'r3', subjects: ['r3'], num_replicas: 3 })
  expect(stream.cluster?.replicas).toHaveLength(2)
  await link.close()
})
