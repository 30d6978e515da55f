// Which region a bucket is in: given, else configured, else asked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html

/// Finds the region. A wrong one is also put right later: answers that name another are followed.
public enum RegionFinder {
    /// The region that the user's settings name: option, then AWS_REGION, AWS_DEFAULT_REGION, then
    /// the profile. Nil when none does.
    public static func configured(
        option: String?, environment: [String: String], files: SharedFiles
    ) -> String? {
        let candidates: [() -> String?] = [
            { option }, { environment["AWS_REGION"] }, { environment["AWS_DEFAULT_REGION"] },
            { files.region() },
        ]
        for candidate in candidates {
            if let region = candidate(), !region.isEmpty { return region }
        }
        return nil
    }

    /// What a LocationConstraint means; nil when it names no region of AWS's form.
    static func region(constraint: String) -> String? {
        switch constraint {
        case "", "US": S3Client.defaultRegion
        case "EU": "eu-west-1"
        // RGW's name for its one zone group: any region may sign there.
        case "default": nil
        default: Redirect.isRegion(constraint) ? constraint : nil
        }
    }

    /// Asks the server and tells the client; keeps what it has when nobody knows. A denied
    /// GetBucketLocation is no error: HeadBucket and redirects name the region, too.
    ///
    /// - Throws: what would make every other request fail as well.
    static func discover(_ client: S3Client, deadline: Duration) async throws(StoreError) {
        do throws(StoreError) {
            if let region = try await client.bucketLocation(deadline: deadline),
                region != client.region
            {
                client.adopt(region: region)
            }
            return
        } catch {
            switch error.kind {
            case .accessDenied, .other, .wrongRegion, .malformedResponse, .unavailable: break
            default: throw error
            }
        }
        // A 403 here is no verdict yet: the check that follows says what is missing.
        if let region = try? await client.headBucket(deadline: deadline), Redirect.isRegion(region),
            region != client.region
        {
            client.adopt(region: region)
        }
    }
}
