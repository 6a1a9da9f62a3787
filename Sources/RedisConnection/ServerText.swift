// SPDX-License-Identifier: Apache-2.0
// The one place where what a server sent becomes text for people: a server may repeat what it was
// sent, in an error, a value or anything else, and the credentials are never shown.

import RedcolBase

/// What must not be shown of an endpoint, in every form in which a server may repeat it.
public struct Secrets: Sendable {
    /// Passwords, the longest first.
    private var passwords: [[UInt8]] = []
    /// User names: replaced where they stand as a word.
    private var users: [[UInt8]] = []
    /// The credentials that these are the forms of, the latest first.
    private var credentials: [Credentials] = []

    private struct Credentials: Equatable {
        let user: [UInt8]
        let password: [UInt8]
    }

    /// How many earlier credentials are kept: a server or its log may still speak of those.
    private static let earlierMax = 4

    public static let none = Secrets()

    private init() {}

    /// `raw`: as they stand in the URL, percent-encoded. `earlier`: what the connections before
    /// this one have used.
    init(
        user: [UInt8], password: [UInt8]?, raw: (user: [UInt8], password: [UInt8]),
        earlier: Secrets = .none
    ) {
        let latest = Credentials(user: user, password: password ?? [])
        credentials = [latest]
        for one in earlier.credentials
        where one != latest && !one.password.isEmpty && credentials.count <= Secrets.earlierMax {
            credentials.append(one)
        }
        for one in credentials {
            let isLatest = one == latest
            Secrets.addForms(of: one.password, isLatest ? raw.password : [], to: &passwords)
            // "default" is what servers call a client without a user name.
            if !one.user.elementsEqual("default".utf8) {
                Secrets.addForms(of: one.user, isLatest ? raw.user : [], to: &users)
            }
        }
    }

    private static func addForms(
        of secret: [UInt8], _ raw: [UInt8], to forms: inout [[UInt8]]
    ) {
        guard !secret.isEmpty else { return }
        // As it is, as the URL spells it, as we escape it, as servers quote it, and on one line.
        let all = [
            secret, raw, Array(escaped(secret, limit: .max, keeping: .ascii).utf8), quoted(secret),
            secret.map { $0 == 0x0D || $0 == 0x0A ? 0x20 : $0 },
        ]
        for form in all where !form.isEmpty && !forms.contains(form) {
            let place = forms.firstIndex { $0.count < form.count } ?? forms.count
            forms.insert(form, at: place)
        }
    }

    /// As Redis quotes arguments in its errors and its log.
    private static func quoted(_ secret: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        for byte in secret {
            switch byte {
            case 0x5C, 0x22: text += [0x5C, byte]
            case 0x0A: text += Array("\\n".utf8)
            case 0x0D: text += Array("\\r".utf8)
            case 0x09: text += Array("\\t".utf8)
            case 0x07: text += Array("\\a".utf8)
            case 0x08: text += Array("\\b".utf8)
            case 0x20...0x7E: text.append(byte)
            default: text += Array(escaped([byte], limit: 1, keeping: .ascii).utf8)
            }
        }
        return text
    }

    // MARK: Showing

    /// `text` with every copy of a secret replaced. `mayGoOn`: it was cut, so that it may end with
    /// a part of one.
    public func removed(from text: UnsafeBufferPointer<UInt8>, mayGoOn: Bool = false) -> [UInt8] {
        guard !passwords.isEmpty || !users.isEmpty else { return Array(text) }
        var clean: [UInt8] = []
        var index = 0
        while index < text.count {
            if let length = secret(in: text, at: index, mayGoOn: mayGoOn) {
                clean.append(contentsOf: [0x2A, 0x2A, 0x2A])
                index += length
            } else {
                clean.append(text[index])
                index += 1
            }
        }
        return clean
    }

    public func removed(from text: [UInt8], mayGoOn: Bool = false) -> [UInt8] {
        text.withUnsafeBufferPointer { removed(from: $0, mayGoOn: mayGoOn) }
    }

    /// Bytes that a server sent as text that is safe to print, and has no credentials in it. See
    /// `escaped`.
    public func shown(
        _ text: UnsafeBufferPointer<UInt8>, limit: Int, mayGoOn: Bool = false,
        keeping legible: Legible = .ascii
    ) -> String {
        // A secret that is cut at the limit is found by its beginning.
        let longest = max(passwords.first?.count ?? 0, users.first?.count ?? 0)
        let (most, overflow) = limit.addingReportingOverflow(longest + 1)
        let part = UnsafeBufferPointer(rebasing: text.prefix(overflow ? .max : most))
        return escaped(
            removed(from: part, mayGoOn: mayGoOn || part.count < text.count), limit: limit,
            keeping: legible)
    }

    public func shown(
        _ text: [UInt8], limit: Int, mayGoOn: Bool = false, keeping legible: Legible = .ascii
    ) -> String {
        text.withUnsafeBufferPointer {
            shown($0, limit: limit, mayGoOn: mayGoOn, keeping: legible)
        }
    }

    /// How long the secret is that stands at `index`.
    private func secret(
        in text: UnsafeBufferPointer<UInt8>, at index: Int, mayGoOn: Bool
    ) -> Int? {
        let rest = text[index...]
        for form in passwords where rest.starts(with: form) { return form.count }
        if index == 0 || !isOfWord(text[index - 1]) {
            for form in users where rest.starts(with: form) {
                let end = index + form.count
                if end == text.count || !isOfWord(text[end]) { return form.count }
            }
        }
        // One letter says little, and would be found at the end of every text.
        guard mayGoOn, rest.count > 1 else { return nil }
        for form in passwords where rest.count < form.count && form.starts(with: rest) {
            return rest.count
        }
        return nil
    }

    private func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x80...: return true
        default: return false
        }
    }
}
