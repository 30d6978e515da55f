// "Did you mean ...?"

/// Finds the name somebody may have meant.
enum Suggestion {
    /// The nearest of `names`, if it is near enough to be what was meant: at most a third of its
    /// letters differ.
    static func nearest(to text: String, among names: [String]) -> String? {
        let near = names.map { (name: $0, distance: distance(text, $0)) }
            .min { $0.distance < $1.distance }
        guard let near, near.distance <= max(1, near.name.utf8.count / 3) else { return nil }
        return near.name
    }

    /// Insertions, deletions, replacements and swaps of neighbours between two texts (optimal string
    /// alignment distance).
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        var before: [Int] = []
        var previous = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(previous[j + 1], row[j]) + 1
                best = min(best, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    best = min(best, before[j - 1] + 1)
                }
                row.append(best)
            }
            before = previous
            previous = row
        }
        return previous[b.count]
    }
}
