// Removals that the bucket carries out later: the name may be in use again by then.

import Operations

extension Namespace {
    /// The bucket has carried out a removal, unless the name was made anew meanwhile.
    func settleRemoval(parent: InodeNumber, name: [UInt8]) {
        locked { state in
            guard state.directories[parent]?.changes[name]?.isPresent == false else { return }
            state.settle(parent, name)
        }
    }

    /// A removal did not come about: what the bucket shows rules again, unless the name was made anew
    /// meanwhile.
    func withdrawRemoval(parent: InodeNumber, name: [UInt8]) {
        locked { state in
            guard state.directories[parent]?.changes[name]?.isPresent == false else { return }
            state.withdraw(parent, name)
        }
    }
}
