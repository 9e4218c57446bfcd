extension Array {
    /// Moves the elements out: this array is empty afterwards. No reference is counted, unlike with a copy.
    @inlinable
    package mutating func take() -> [Element] {
        var taken: [Element] = []
        swap(&self, &taken)
        return taken
    }
}
