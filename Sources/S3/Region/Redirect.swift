// Where a bucket is, from an answer that says "not here".
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html

enum Redirect {
    /// The place that an answer points to, or nil when it points nowhere, back, or outside the
    /// server's own domain. Never leaves TLS.
    static func target(of server: ServerError, from place: Place, source: S3Source) -> Place? {
        if let region = server.region, isRegion(region), region != place.region,
            let endpoint = try? Endpoint.resolve(source, region: region)
        {
            return Place(endpoint: endpoint, region: region)
        }
        guard let host = server.endpoint?.lowercased(), !host.isEmpty else { return nil }
        var next = place
        let virtual = source.bucket.lowercased() + "."
        let isVirtual = host.hasPrefix(virtual)
        let name = isVirtual ? String(host.dropFirst(virtual.count)) : host
        guard isSameDomain(name, as: place.endpoint, source: source),
            let parsed = try? Endpoint.parse(
                next.endpoint.isTLS ? "https://" + name : "http://" + name)
        else { return nil }
        if place.endpoint.authority.hasPrefix(virtual) {
            next.endpoint.authority = virtual + parsed.authority
        } else {
            next.endpoint.authority = parsed.authority
        }
        return next == place ? nil : next
    }

    private static func isSameDomain(_ name: String, as endpoint: Endpoint, source: S3Source)
        -> Bool
    {
        guard source.endpointURL != nil else {
            return name.hasSuffix(".amazonaws.com") || name.hasSuffix(".amazonaws.com.cn")
        }
        let own = endpoint.authority
        let labels = own.split(separator: ":")[0].split(separator: ".")
        guard labels.count > 2 else { return name == own }
        return name.hasSuffix("." + labels.suffix(2).joined(separator: "."))
    }

    /// A region's name goes into host names: nothing but letters, digits and `-`.
    static func isRegion(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
            }
    }
}
