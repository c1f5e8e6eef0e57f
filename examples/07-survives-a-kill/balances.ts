/** The balance of each account, after every payment: a step with memory. */
import { pipeline, scan, stream } from 'stream-node'

export interface Payment {
  account: string
  cents: number
}
export interface Balance {
  account: string
  cents: number
  payments: number
}

export const payments = stream<Payment>('payments-in', { key: 'account' })
export const balances = stream<Balance>('balances', { key: 'account' })

const none: Balance = { account: '', cents: 0, payments: 0 }

export default pipeline('balances')
  .from(payments)
  .pipe(
    // One state for each key. It is never changed in place: what is returned is the next one.
    scan(
      (before, { account, cents }) => ({
        account,
        cents: before.cents + cents,
        payments: before.payments + 1,
      }),
      none,
    ),
  )
  .to(balances)
