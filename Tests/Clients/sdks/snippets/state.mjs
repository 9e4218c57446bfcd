const response = await fetch(
  "https://api.aitronos.com/v1/organizations/org_xyz789/knowledge/connectors/connections/conn_abc123/state",
  {
    headers: { Authorization: "Bearer YOUR_ACCESS_TOKEN" },
  }
);
const data = await response.json();
console.log(data);
