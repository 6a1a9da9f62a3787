// SPDX-License-Identifier: Apache-2.0
// A queue of what is asked or awaited on a connection.

/// What is awaited, in the order in which it will come. Taking the first costs the same however
/// many there are.
public struct Queue<Element> {
    private var elements: [Element] = []
    private var head = 0

    public init() {}

    public var first: Element? { head < elements.count ? elements[head] : nil }
    public var waiting: ArraySlice<Element> { elements[head...] }

    public mutating func append(_ element: Element) { elements.append(element) }

    public mutating func removeFirst() {
        guard head < elements.count else { return }
        head += 1
        if head >= 1_024 || head == elements.count {
            elements.removeFirst(head)
            head = 0
        }
    }

    /// All but the first `kept` of them.
    public mutating func replaceAll(after kept: Int = 0, _ transform: (Element) -> Element) {
        for index in min(head + kept, elements.count)..<elements.count {
            elements[index] = transform(elements[index])
        }
    }

    public mutating func removeAll() {
        elements = []
        head = 0
    }
}
