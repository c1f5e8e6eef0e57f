/** The embedded kind against the naive model: random appends, reads and purges, in a folder over two links. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { systemChance, systemClock } from '../../src/clock.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import { silent } from '../../src/telemetry/events.js'
import { logFollowsModel } from '../log-model.js'

test('answers as the model does, whatever is appended, read and purged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stream-node-model-'))
  const tools = { clock: systemClock, chance: systemChance, tell: silent }
  const node = await openEmbedded({ dataDir: folder }, tools)
  const guest = await openEmbedded({ dataDir: folder, role: 'guest' }, tools)
  try {
    await logFollowsModel([node, guest], 100)
  } finally {
    await guest.close()
    await node.close()
    await rm(folder, { recursive: true, force: true })
  }
}, 60_000)
