// SPDX-License-Identifier: Apache-2.0
// What DUMP answers: the type of a value, the value, the version of the format and a checksum.
// https://redis.io/docs/latest/commands/dump/

import CPlatform
import RedcolBase

/// A value that a server has dumped.
public struct DumpPayload {
    /// The type of its value; see `StreamType`.
    public let type: UInt8
    /// The bytes from the value on, without the version and the checksum.
    public let value: UnsafeBufferPointer<UInt8>

    private static let trailerBytes = 10

    /// Nil if the checksum is wrong. There must be 16 readable bytes after the end.
    public init?(_ payload: UnsafeBufferPointer<UInt8>) {
        guard payload.count > DumpPayload.trailerBytes, let start = payload.baseAddress else {
            return nil
        }
        var stored: UInt64 = 0
        for place in (0..<8).reversed() {
            stored = stored << 8 | UInt64(start[payload.count - 8 + place])
        }
        // Zero: the server was told not to count.
        if stored != 0 {
            var checksum = Checksum()
            checksum.add(UnsafeBufferPointer(rebasing: payload[..<(payload.count - 8)]))
            guard checksum.value == stored else { return nil }
        }
        type = start[0]
        value = UnsafeBufferPointer(
            rebasing: payload[1..<(payload.count - DumpPayload.trailerBytes)])
    }
}

/// The checksum of snapshots: the CRC of 64 bits with Jones' polynomial, the lowest bit first.
public struct Checksum {
    public private(set) var value: UInt64 = 0
    /// What eight bytes at once do to it: a table for each of their places.
    private let tables: [UInt64]

    private static let polynomial: UInt64 = 0x95AC_9329_AC4B_C9B5

    public init() {
        var tables: [UInt64] = []
        tables.reserveCapacity(8 * 256)
        for byte in 0..<256 {
            var value = UInt64(byte)
            for _ in 0..<8 {
                value = value & 1 == 1 ? value >> 1 ^ Checksum.polynomial : value >> 1
            }
            tables.append(value)
        }
        for place in 1..<8 {
            for byte in 0..<256 {
                let value = tables[(place - 1) * 256 + byte]
                tables.append(value >> 8 ^ tables[Int(value & 0xFF)])
            }
        }
        self.tables = tables
    }

    public mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        value = tables.withUnsafeBufferPointer { tables in
            guard let table = tables.baseAddress else { return value }
            var (crc, place) = (value, 0)
            while bytes.count &- place >= 8 {
                let raw = UnsafeRawPointer(start + place).loadUnaligned(as: UInt64.self)
                crc ^= UInt64(littleEndian: raw)
                var next: UInt64 = 0
                for byte in 0..<8 {
                    let index = Int(truncatingIfNeeded: crc &>> UInt64(8 &* byte) & 0xFF)
                    next ^= table[(7 &- byte) &* 256 &+ index]
                }
                crc = next
                place &+= 8
            }
            while place < bytes.count {
                let index = Int(truncatingIfNeeded: (crc ^ UInt64(start[place])) & 0xFF)
                crc = crc &>> 8 ^ table[index]
                place &+= 1
            }
            return crc
        }
    }
}
