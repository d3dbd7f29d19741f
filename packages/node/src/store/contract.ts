import { afterEach, beforeEach, describe } from 'vitest'
import { claimContract } from './contract-claim.ts'
import { commitContract } from './contract-commit.ts'
import { denialContract } from './contract-denials.ts'
import { fleetContract } from './contract-fleet.ts'
import type { ContractSubject, MakeSubject } from './contract-kit.ts'
import { placeContract } from './contract-places.ts'
import { regressContract } from './contract-regress.ts'
import { streamContract } from './contract-streams.ts'

/** What every implementation of the port must do (docs/spec.md CO, CL, ST). `make` gives each test an empty store. */
export function storeContract(name: string, make: MakeSubject): void {
  describe(`the store contract on ${name}`, () => {
    let current: ContractSubject | undefined
    const subject = (): ContractSubject => {
      if (current === undefined) throw new Error('no store is open')
      return current
    }
    beforeEach(async () => {
      current = await make()
    })
    afterEach(async () => {
      await current?.close()
      current = undefined
    })
    commitContract(subject)
    regressContract(subject)
    claimContract(subject)
    streamContract(subject)
    fleetContract(subject)
    denialContract(subject)
    placeContract(subject)
  })
}
