/** What a client promises, kept on a real server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, stream, type Client } from 'stream-node'
import { clientPromises } from '../client/promises.js'
import { startServer, type TestServer } from '../nats-server/server.js'

let server: TestServer
const clients: Client[] = []
const another = async () => {
  const client = await connect({ servers: server.url })
  clients.push(client)
  return client
}

beforeAll(async () => {
  server = await startServer()
  await another()
})
afterAll(async () => {
  await Promise.all(clients.map(client => client.close()))
  await server.stop()
})

clientPromises(() => ({ client: clients[0] as Client, another }))

test('refuses a record over the largest message of the server, saying both sizes, and stores the next', async () => {
  const [client] = clients as [Client]
  const texts = stream<string>('too-large')
  const error: unknown = await client.publish(texts, 'x'.repeat(2_000_000)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'RECORD_TOO_LARGE',
    message: expect.stringMatching(/2000\d\d\d.*1048576/) as string,
  })
  const failed: number[] = []
  const both = ['x'.repeat(2_000_000), 'fine']
  await client.publishAll(texts, both, { onFailed: (_, index) => failed.push(index) })
  expect(failed).toEqual([0])
  for await (const { value } of client.read(texts)) expect(value).toBe('fine')
})
