/// The connections of a first start, and their sample rows: the same on every machine.
struct DemoData {
    let stateDirectory: String
    let storage: any Storage

    /// The definitions, as a first start writes them.
    static let definitions = """
        // The connections of the in-process connector service. Edit and restart.
        //
        // source       a folder with one file per stream: users.ndjson, or users.csv with format: "csv"
        // destination  a folder that gets one NDJSON file per stream
        // streams      cursor: the field whose greatest value so far tells where the next sync starts (none: read all)
        //              key: the field that tells rows apart
        // pace         slows a sync down so that it can be watched; leave it out for full speed
        // Relative folders start in the directory of this file.
        {
          connections: [
            {
              id: "conn_abc123", organization: "org_xyz789", name: "Demo shop",
              source: { folder: "connectors/sources/conn_abc123" },
              destination: { folder: "connectors/destinations/org_xyz789/conn_abc123" },
              pace: { rowsPerSecond: 4000, minimumSeconds: 1.5 },
              streams: {
                users: { cursor: "updated_at", key: "id" },
                orders: { cursor: "updated_at", key: "id" },
              },
            },
            {
              id: "550e8400-e29b-41d4-a716-446655440000", organization: "org_xyz789", name: "Demo documents",
              family: "airweave",
              source: { folder: "connectors/sources/demo_documents" },
              destination: { folder: "connectors/destinations/org_xyz789/demo_documents" },
              pace: { rowsPerSecond: 2500, minimumSeconds: 1.5 },
              streams: {
                documents: { cursor: "updated_at", key: "id" },
                comments: { cursor: "updated_at", key: "id" },
              },
            },
            {
              id: "conn_other1", organization: "org_other42", name: "Demo contacts",
              source: { folder: "connectors/sources/conn_other1" },
              destination: { folder: "connectors/destinations/org_other42/conn_other1" },
              pace: { rowsPerSecond: 1000, minimumSeconds: 1.5 },
              streams: {
                contacts: { cursor: "updated_at", key: "id" },
              },
            },
          ],
        }

        """

    /// Writes the sample sources. The definitions are written last: they mark the first start as complete.
    func create(definitionsPath: String) throws(StorageError) {
        let sources = "\(stateDirectory)/connectors/sources"
        try write("\(sources)/conn_abc123", "users", 5000, last: "2024-06-15T10:30:00Z") { index in
            let name = "\(Self.given[index % Self.given.count]) \(Self.family[index / 7 % Self.family.count])"
            let plan = ["free", "team", "business"][index % 3]
            return #""id":"user_\#(index)","name":"\#(name)","email":"user\#(index)@example.com","plan":"\#(plan)""#
        }
        try write("\(sources)/conn_abc123", "orders", 10_000, last: "2024-06-15T09:00:00Z") { index in
            let status = ["paid", "shipped", "delivered", "returned"][index % 4]
            let cents = index * 7919 % 50_000 + 199
            return #""id":"order_\#(index)","user_id":"user_\#(index * 31 % 5000 + 1)","amount_cents":\#(cents),"#
                + #""currency":"EUR","status":"\#(status)""#
        }
        try write("\(sources)/demo_documents", "documents", 5000, last: "2024-06-15T10:30:00Z") { index in
            let title = "\(Self.words[index % Self.words.count]) \(Self.words[index / 5 % Self.words.count])"
            return #""id":"doc_\#(index)","title":"\#(title) \#(index)","author":"user_\#(index * 13 % 5000 + 1)""#
        }
        try write("\(sources)/demo_documents", "comments", 4000, last: "2024-06-15T09:00:00Z") { index in
            let text = "\(Self.words[index * 3 % Self.words.count]) \(Self.words[index / 11 % Self.words.count])"
            return #""id":"comment_\#(index)","document_id":"doc_\#(index * 17 % 5000 + 1)","text":"\#(text)""#
        }
        try write("\(sources)/conn_other1", "contacts", 2000, last: "2024-06-15T08:00:00Z") { index in
            let name = "\(Self.given[index * 3 % Self.given.count]) \(Self.family[index % Self.family.count])"
            return #""id":"contact_\#(index)","name":"\#(name)","phone":"+41 31 000 \#(index)""#
        }
        let unfinished = definitionsPath + ".tmp"
        let file = try storage.open(unfinished, for: .write)
        try file.truncate(to: 0)
        try file.write(Array(Self.definitions.utf8), at: 0)
        try file.synchronize()
        try storage.move(unfinished, to: definitionsPath)
        try storage.synchronize(directory: stateDirectory)
    }

    /// Rows one minute apart, the last one at `last`, numbered from 1.
    private func write(
        _ folder: String, _ stream: String, _ count: Int, last: String, row: (Int) -> String
    ) throws(StorageError) {
        try storage.createDirectory(folder)
        let end = Timestamp(iso8601: last)?.milliseconds ?? 0
        var bytes: [UInt8] = []
        for index in 1...count {
            let moment = Timestamp(milliseconds: end - Int64(count - index) * 60_000)
            bytes += "{\(row(index)),\"updated_at\":\"\(moment.iso8601)\"}\n".utf8
        }
        let file = try storage.open("\(folder)/\(stream).ndjson", for: .write)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try file.synchronize()
    }

    private static let given = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Dennis", "Radia"]
    private static let family = ["Baker", "Fischer", "Keller", "Meier", "Novak", "Rossi", "Santos", "Weber"]
    private static let words = ["Plan", "Budget", "Report", "Review", "Roadmap", "Notes", "Draft", "Summary", "Offer"]
}
