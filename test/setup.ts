/**
 * Runs once before all tests: makes sure a nats-server is there. Without one the run fails here and says the mend,
 * since a suite that skips the real log proves nothing.
 */
import { installServer } from './nats-server/install.js'

export default async function setup(): Promise<void> {
  const { version, bin } = await installServer()
  if (process.env['CI']) console.error(`nats-server ${version} at ${bin}`)
}
