curl "https://api.aitronos.com/v1/organizations/org_xyz789/knowledge/connectors/connections/conn_abc123/state" \
  -H "Authorization: Bearer $ACCESS_TOKEN"
