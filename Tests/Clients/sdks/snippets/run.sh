curl -X POST "https://api.airweave.ai/v1/source-connections/550e8400-e29b-41d4-a716-446655440000/run" \
  -H "Authorization: Bearer YOUR_API_KEY"
