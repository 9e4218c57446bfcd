const response = await fetch(
  "https://api.aitronos.com/v1/organizations/org_xyz789/knowledge/connectors/jobs?connection_id=conn_abc123",
  {
    headers: { Authorization: "Bearer YOUR_ACCESS_TOKEN" },
  }
);
const data = await response.json();
console.log(data);
