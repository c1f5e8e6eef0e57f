/** What a node needs of the partitions that it hosts: no more, so that a test can put others in their place. */
import type { Family } from '../actor/family.js'
import type { ActorParts } from '../actor/partition-actor.js'
import type { Supervised } from '../actor/supervisor.js'

/** One partition, kept at work. */
export type Hosted = Pick<
  Supervised,
  'run' | 'stop' | 'kill' | 'resume' | 'status' | 'caughtUp' | 'pausedBy' | 'resolveLetters'
>

/** What a partition is made of. */
export interface HostedParts extends ActorParts {
  /** The partitions of its pipeline in this node. */
  readonly family: Family
}

/** Makes one. */
export type Host = (parts: HostedParts) => Hosted
