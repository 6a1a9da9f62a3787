// SPDX-License-Identifier: Apache-2.0
// Tests that look at the counter of live objects, which the whole process shares: they stand in
// extensions of this suite, and so never run beside each other.
import Testing

@Suite(.serialized) struct LiveObjects {}
