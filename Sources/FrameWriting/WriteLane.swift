// SPDX-License-Identifier: Apache-2.0
// The way of rows to one node of a cluster.

import RedcolBase
import RedisConnection

/// A node that rows are sent to, and the connection to it while there is one.
final class WriteLane {
    let place: Int
    let connection: Connection
    /// Whether rows may be sent: it is connected, and this user may use transactions if they are
    /// needed.
    var isReady = false
    /// Answers that tell whether this user may use transactions; nil before they were asked for.
    var probesLeft: Int?
    /// Whether rows were added that were not sent yet.
    var hasNew = false

    init(place: Int, connection: Connection) {
        self.place = place
        self.connection = connection
    }
}
