/** A reader that keeps its position handles each record once, whatever happened between its runs. */
import { readFile, writeFile } from 'node:fs/promises'
import { connect, stream } from 'stream-node'

const tasks = stream<string>('tasks', { partitions: 1 })
const bookmark = 'tasks.position'

/** One run of the reader: a link of its own, and what it knows comes from the file. */
async function run(name: string, limit: number): Promise<void> {
  const client = await connect()
  try {
    const after = Number(await readFile(bookmark, 'utf8').catch(() => '0'))
    for await (const { value, position } of client.read(tasks, { after })) {
      console.log(`${name} does ${value}`)
      // Written after the work: a crash between the two does one task again, and leaves none out.
      await writeFile(bookmark, String(position))
      if (--limit === 0) return
    }
    console.log(`${name} has done all there is`)
  } finally {
    await client.close()
  }
}

const client = await connect()
await client.publishAll(tasks, ['wash', 'dry', 'fold'])

await run('first', 2)
await client.publish(tasks, 'iron')
await run('second', Infinity)
await run('third', Infinity)

await client.close()
