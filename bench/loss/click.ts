/** What goes in and what is to come out of it: one view for each click, under the same number. */

export interface Click {
  readonly n: number
  readonly user: string
  readonly page: string
  readonly ms: number
}

export interface View {
  readonly n: number
  readonly user: string
  readonly page: string
  readonly slow: boolean
}

const USERS = 100

export function clickOf(n: number): Click {
  return { n, user: `user-${n % USERS}`, page: `/products/${1000 + (n % 997)}`, ms: n % 500 }
}

export function viewOf({ n, user, page, ms }: Click): View {
  return { n, user, page, slow: ms > 250 }
}
