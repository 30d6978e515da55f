// From a failed check to the one line that tells the user what to mend.

struct Diagnosis {
    let client: S3Client
    let prefix: [UInt8]

    private var source: S3Source { client.configuration.source }
    private var server: String { client.serverName }

    func problem(_ error: StoreError) -> SourceCheck.Problem {
        switch error.kind {
        case .noSuchBucket, .notFound:
            return make(
                .noSuchBucket, error,
                "there is no bucket \"\(source.bucket)\" at \(server): check the spelling"
                    + (source.endpointURL == nil ? "" : " and --endpoint-url"))
        case .badCredentials: return credentials(error)
        case .clockSkew: return clock(error)
        case .accessDenied: return denied(error)
        case .wrongRegion:
            return make(
                .wrongRegion, error,
                "bucket \"\(source.bucket)\" is not in region \(client.region) and \(server) does not "
                    + "say where it is: give --region")
        case .network, .timedOut, .unavailable: return unreachable(error)
        case .tls: return tls(error)
        case .malformedResponse:
            return make(
                .other, error,
                "\(server) does not answer like S3 (\(error.message)): check --endpoint-url")
        default: return make(.other, error, "cannot list the bucket: \(error)")
        }
    }

    private func make(
        _ kind: SourceCheck.Problem.Kind, _ error: StoreError, _ message: String,
        statement: String? = nil
    ) -> SourceCheck.Problem {
        SourceCheck.Problem(kind: kind, message: message, statement: statement, cause: error)
    }

    private func credentials(_ error: StoreError) -> SourceCheck.Problem {
        let place = client.credentials.provider.place
        switch error.code {
        case "InvalidAccessKeyId", "InvalidClientTokenId":
            return make(
                .wrongKeyID, error,
                "\(server) does not know the access key id (from \(place)): it is misspelt, deleted "
                    + "or belongs to another service")
        case "SignatureDoesNotMatch":
            return make(
                .wrongSecret, error,
                "the secret access key does not belong to the access key id (from \(place)): copy it "
                    + "again or make a new key")
        case let code? where ErrorTable.expiredCodes.contains(code):
            return make(
                .expiredToken, error,
                "the session token (from \(place)) has expired: fetch new temporary credentials")
        case "InvalidToken":
            return make(
                .expiredToken, error,
                "the session token (from \(place)) is not valid: fetch new temporary credentials, or "
                    + "unset AWS_SESSION_TOKEN if the key needs none")
        case nil where error.status == nil:
            // Nothing was sent: the provider's own words.
            return make(.noCredentials, error, error.message)
        default:
            return make(
                .wrongKeyID, error,
                "\(server) refuses the credentials (from \(place)): "
                    + "\(error.code ?? "HTTP \(error.status ?? 0)"): \(error.message)")
        }
    }

    private func clock(_ error: StoreError) -> SourceCheck.Problem {
        let minutes = SourceCheck.minutes(client.clockOffset)
        let off =
            minutes == 0
            ? "is too far from the server's"
            : "is \(abs(minutes)) minutes \(minutes > 0 ? "slow" : "fast")"
        return make(
            .clockSkew, error, "the local clock \(off): set it, e.g. timedatectl set-ntp true")
    }

    private func denied(_ error: StoreError) -> SourceCheck.Problem {
        let base = ObjectKey(prefix)
        let place = prefix.isEmpty ? "the bucket" : "\"\(base)\" of the bucket"
        if client.credentials.current(now: client.unixTime)?.isAnonymous == true {
            return make(
                .cannotList, error,
                "\"\(source.bucket)\" is not public: \(place) cannot be listed without credentials; "
                    + "leave out --no-sign-request")
        }
        return make(
            .cannotList, error,
            "the credentials may not list \(place) \"\(source.bucket)\"; their policy needs",
            statement: Self.listStatement(bucket: source.bucket, prefix: prefix, arn: arnPartition))
    }

    private var arnPartition: String { client.region.hasPrefix("cn-") ? "aws-cn" : "aws" }

    /// The statement that allows to list under a prefix.
    static func listStatement(bucket: String, prefix: [UInt8], arn: String = "aws") -> String {
        let head =
            #"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:\#(arn):s3:::\#(bucket)""#
        guard !prefix.isEmpty else { return head + "}" }
        let pattern = json(String(decoding: prefix, as: UTF8.self))
        return head + #","Condition":{"StringLike":{"s3:prefix":["\#(pattern)*"]}}}"#
    }

    private static func json(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\" + String(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    private func unreachable(_ error: StoreError) -> SourceCheck.Problem {
        if let status = error.status {
            return make(
                .unreachable, error,
                "\(server) answers HTTP \(status)\(error.code.map { " " + $0 } ?? "") again and again: "
                    + "try later or ask who runs it")
        }
        return make(
            .unreachable, error,
            "cannot reach \(server) (\(error.message)): check the network, the proxy"
                + (source.endpointURL == nil ? " and --region" : " and --endpoint-url"))
    }

    private func tls(_ error: StoreError) -> SourceCheck.Problem {
        make(
            .tls, error,
            "\(server) has no certificate that fits or is trusted (\(error.message)): use the name "
                + "in its certificate, --ca-bundle for an own authority"
                + (source.endpointURL == nil ? "" : ", or http:// if it speaks no TLS"))
    }
}
