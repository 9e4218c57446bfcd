"""The connections of the crash test: all kinds of sources, with rows that share a cursor value."""

import csv
import json
import random

from gateway import CONNECTION, ORGANIZATION, SOURCE_CONNECTION

CSV_CONNECTION = "conn_csv"
# connection -> (family, format, {stream: (cursor field, key field, rows)})
CONNECTIONS = {
    CONNECTION: ("aitronos", "ndjson", {
        "users": ("updated_at", "id", 900), "orders": ("version", "id", 1500), "notes": (None, None, 200)}),
    SOURCE_CONNECTION: ("airweave", "ndjson", {"documents": ("updated_at", "id", 800), "labels": (None, "id", 150)}),
    CSV_CONNECTION: ("aitronos", "csv", {"people": ("updated_at", "id", 700), "items": (None, "id", 120)}),
}


class Sources:
    """The source files, written once, and `connectors.json5`, written again for each pace."""

    def __init__(self, folder, definitions):
        self.folder, self.definitions = folder, definitions
        chance = random.Random(7)
        self.rows = {}
        for connection, (_, kind, streams) in CONNECTIONS.items():
            (folder / "source" / connection).mkdir(parents=True)
            for stream, (cursor, key, count) in streams.items():
                rows = [self.row(stream, index, cursor, kind) for index in range(count)]
                self.rows[connection, stream] = rows
                shuffled = rows[:]
                chance.shuffle(shuffled)
                path = folder / "source" / connection / f"{stream}.{kind}"
                with open(path, "w", newline="") as file:
                    if kind == "csv":
                        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                        writer.writeheader()
                        writer.writerows(shuffled)
                    else:
                        file.writelines(json.dumps(row) + "\n" for row in shuffled)

    @staticmethod
    def row(stream, index, cursor, kind):
        made = {"id": f"{stream}_{index}", "text": f'row "{index}", with a comma' + "x" * (index % 90)}
        if kind == "ndjson":
            made["nested"] = {"number": index, "list": [index, None, "\u00e9"]}
        if cursor == "version":
            made[cursor] = index // 3
        elif cursor:
            # Ten rows have one time: a checkpoint must not come between them.
            made[cursor] = f"2024-06-{index // 240 + 1:02}T{index // 10 % 24:02}:00:00Z"
        return made

    def define(self, pace):
        """Writes the definitions with `pace`; `None` means as fast as the disk."""
        connections = []
        for connection, (family, kind, streams) in CONNECTIONS.items():
            connections.append({
                "id": connection, "organization": ORGANIZATION, "name": connection, "family": family,
                "source": {"folder": str(self.folder / "source" / connection), "format": kind},
                "destination": {"folder": str(self.folder / "destination" / connection)},
                **({"pace": pace} if pace else {}),
                "streams": {name: {key: value for key, value in (("cursor", cursor), ("key", primary)) if value}
                            for name, (cursor, primary, _) in streams.items()},
            })
        self.definitions.write_text(json.dumps({"connections": connections}, indent=1))

    def destination(self, connection, stream):
        """The rows of a destination file."""
        path = self.folder / "destination" / connection / f"{stream}.ndjson"
        if not path.exists():
            return []
        text = path.read_text()
        assert text == "" or text.endswith("\n"), f"{path} ends within a row"
        return [json.loads(line) for line in text.splitlines()]

    def check(self, connection, state, complete=False):
        """Compares the destination files with the source and the cursors; no job may run. Returns the number of rows."""
        total = 0
        for stream, (cursor, _, _) in CONNECTIONS[connection][2].items():
            place = f"{connection}/{stream}"
            there = self.destination(connection, stream)
            source = {row["id"]: row for row in self.rows[connection, stream]}
            if CONNECTIONS[connection][1] == "csv":
                source = {key: {name: str(value) for name, value in row.items()} for key, row in source.items()}
            ids = [row["id"] for row in there]
            doubled = len(ids) - len(set(ids))
            assert not doubled, f"{place}: {doubled} rows are there twice"
            for row in there:
                assert source.get(row["id"]) == row, f"{place}: {row} is not the source's"
            if complete:
                expected = set(source)
            elif cursor is None:
                # Replaced as a whole: all rows or none.
                expected = set(source) if there else set()
            else:
                passed = (state["state"].get(stream) or {}).get("cursor")
                expected = set() if passed is None else {key for key, row in source.items() if row[cursor] <= passed}
            lost = expected - set(ids)
            assert not lost, f"{place}: {len(lost)} of {len(expected)} rows that the cursor has passed are lost"
            total += len(ids)
        return total
