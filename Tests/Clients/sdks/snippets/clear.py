import requests

org_id = "org_xyz789"
conn_id = "conn_abc123"
headers = {"Authorization": "Bearer YOUR_ACCESS_TOKEN", "Content-Type": "application/json"}

# Clear
clear_url = f"https://api.aitronos.com/v1/organizations/{org_id}/knowledge/connectors/connections/{conn_id}/clear"
requests.post(clear_url, headers=headers, json={"streams": ["users"]})
