// Plays requests with node's fetch and prints what came back. Argument: a JSON list of {url, method, headers, size, chunked}.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const results = [];
for (const { url, method, headers, size, chunked } of JSON.parse(readFileSync(0, "utf8"))) {
  const bytes = size === undefined ? undefined : new Uint8Array(size).fill(120);
  const body = bytes === undefined ? undefined : chunked ? new Blob([bytes]).stream() : bytes;
  const answer = await fetch(url, { method, headers, body, duplex: chunked ? "half" : undefined, redirect: "manual" });
  const received = Buffer.from(await answer.arrayBuffer());
  results.push({
    status: answer.status,
    fields: [...answer.headers],
    length: received.length,
    sha256: createHash("sha256").update(received).digest("hex"),
  });
}
console.log(JSON.stringify(results));
