internal import JSON

extension JSONWriter {
    /// The Connection object of the Aitronos family.
    mutating func connection(_ definition: ConnectionDefinition) {
        beginObject()
        name("connection_id")
        string(definition.key.id)
        name("name")
        string(definition.name)
        name("source_id")
        string("source_\(definition.key.id)")
        name("destination_id")
        string("destination_\(definition.key.id)")
        name("workspace_id")
        string(definition.key.organization)
        name("status")
        string("active")
        name("schedule")
        null()
        name("configurations")
        beginObject()
        name("streams")
        beginArray()
        for stream in definition.streams {
            beginObject()
            name("name")
            string(stream.name)
            name("sync_mode")
            string(stream.cursorField == nil ? "full" : "incremental")
            name("cursor_field")
            optional(stream.cursorField)
            name("primary_key")
            optional(stream.keyField)
            endObject()
        }
        endArray()
        endObject()
        endObject()
    }

    /// The source connection object of the Airweave family.
    mutating func sourceConnection(_ entry: ServiceState.Entry, _ definition: ConnectionDefinition, since: Timestamp) {
        let last = entry.jobs.all.last?.job
        beginObject()
        name("id")
        string(definition.key.id)
        name("name")
        string(definition.name)
        name("short_name")
        string(definition.source.format.rawValue)
        name("readable_collection_id")
        string(definition.key.organization)
        name("created_at")
        string((entry.jobs.all.first?.job.createdAt ?? since).iso8601)
        name("modified_at")
        string((last?.updatedAt ?? since).iso8601)
        // The API shows the list with flat members, and the object with `auth`. Clients require theirs and ignore the
        // other.
        name("organization_id")
        string(definition.key.organization)
        name("auth_method")
        string("direct")
        name("is_authenticated")
        bool(true)
        name("auth")
        beginObject()
        name("method")
        string("direct")
        name("authenticated")
        bool(true)
        endObject()
        name("status")
        switch last?.status {
        case nil: string("active")
        case .pending, .running: string("syncing")
        case .failed: string("error")
        case .succeeded, .cancelled: string("active")
        }
        endObject()
    }
}
