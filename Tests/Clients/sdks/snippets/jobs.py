import requests

org_id = "org_xyz789"
url = f"https://api.aitronos.com/v1/organizations/{org_id}/knowledge/connectors/jobs"
headers = {"Authorization": "Bearer YOUR_ACCESS_TOKEN"}
params = {"connection_id": "conn_abc123"}
response = requests.get(url, headers=headers, params=params)
print(response.json())
