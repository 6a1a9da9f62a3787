// SPDX-License-Identifier: Apache-2.0
// Which server is asked for which page when several have the stream. Pure: it knows no socket.

import RedcolBase

/// The shares that servers have in a read, each by its number; the first one is asked for what no
/// other is known to have.
///
/// Pages are wanted in order, so one slow server would hold up all of them: whenever a page has to
/// be waited for, its server gets a smaller share from then on, and the others a larger one.
struct PageShares {
    private struct Share {
        /// The last entry that the server is known to have.
        var last: EntryID
        var pagesUnderWay = 0
        var weight = weightMax / 2
        var isGone = false
    }

    private static let weightMax = 16
    private var shares: [Share] = []

    mutating func add(upTo last: EntryID, pagesUnderWay: Int = 0) {
        shares.append(Share(last: last, pagesUnderWay: pagesUnderWay))
    }

    /// It has the stream up to this entry.
    mutating func found(_ number: Int, upTo last: EntryID) { shares[number].last = last }

    /// It is not asked any more.
    mutating func remove(_ number: Int) { shares[number].isGone = true }

    /// The server for a page that ends with `last`; `isUsable` says which can be asked now.
    mutating func choose(upTo last: EntryID, _ isUsable: (Int) -> Bool) -> Int {
        var chosen: Int?
        for (number, share) in shares.enumerated()
        where !share.isGone && last <= share.last && isUsable(number) {
            if let chosen, !PageShares.isFreer(share, than: shares[chosen]) { continue }
            chosen = number
        }
        if !shares.isEmpty { shares[chosen ?? 0].pagesUnderWay += 1 }
        return chosen ?? 0
    }

    private static func isFreer(_ one: Share, than other: Share) -> Bool {
        (one.pagesUnderWay + 1) * other.weight < (other.pagesUnderWay + 1) * one.weight
    }

    /// All of a page has come.
    mutating func pageEnded(_ number: Int) {
        if !shares.isEmpty { shares[number].pagesUnderWay -= 1 }
    }

    /// A page has to be waited for.
    mutating func waits(for number: Int) {
        guard shares.count > 1 else { return }
        for other in shares.indices {
            let change = other == number ? -1 : 1
            shares[other].weight = min(max(shares[other].weight + change, 1), PageShares.weightMax)
        }
    }
}
