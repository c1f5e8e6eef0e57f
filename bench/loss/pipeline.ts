/** The same job as a pipeline: for `stream-node run`. */
import { map } from 'rxjs'
import { pipeline, stream } from 'stream-node'
import { viewOf, type Click, type View } from './click.js'

const clicks = stream<Click>('clicks', { key: 'user', partitions: 1 })
const views = stream<View>('views', { key: 'user', partitions: 1 })

export default pipeline('views-of-clicks').from(clicks).pipe(map(viewOf)).to(views)
