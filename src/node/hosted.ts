/** What a node needs of the actors that it hosts: no more, so that a test can put others in their place. */
import type { ActorParts, PartitionActor } from '../actor/partition-actor.js'

/** The owner of one partition. */
export type Hosted = Pick<PartitionActor, 'run' | 'stop' | 'kill' | 'status' | 'caughtUp'>

/** Makes one. */
export type Host = (parts: ActorParts) => Hosted
