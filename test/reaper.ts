/** Processes that a test starts, and that must not outlive it. */
import { spawn, type ChildProcess } from 'node:child_process'

/**
 * Sees to it that a process does not outlive this one, however that ends: beside it stands a shell that waits for us to
 * go, by the pipe between us, and then kills it, and removes the folder if one is given. Gives the process back.
 */
export function reaped<C extends ChildProcess>(child: C, folder = ''): C {
  const script = 'read -r _; kill -9 "$1" 2>/dev/null; [ -z "$2" ] || rm -rf "$2"'
  const reaper = spawn('sh', ['-c', script, 'reaper', String(child.pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  reaper.unref()
  // A pipe of a child that was unrefed still holds the event loop.
  ;(reaper.stdin as unknown as { unref(): void }).unref()
  const spare = () => void reaper.kill('SIGKILL')
  child.once('exit', spare)
  child.once('error', spare)
  return child
}
