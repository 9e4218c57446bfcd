curl "https://api.aitronos.com/v1/organizations/org_xyz789/knowledge/connectors/jobs?connection_id=conn_abc123" \
  -H "Authorization: Bearer $ACCESS_TOKEN"
