import requests

org_id = "org_xyz789"
conn_id = "conn_abc123"
url = f"https://api.aitronos.com/v1/organizations/{org_id}/knowledge/connectors/connections/{conn_id}/state"
headers = {"Authorization": "Bearer YOUR_ACCESS_TOKEN"}
response = requests.get(url, headers=headers)
print(response.json())
