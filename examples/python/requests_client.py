"""requests, signed by aws-requests-auth. The key pair is in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

import os

import requests
from aws_requests_auth.boto_utils import BotoAWSRequestsAuth

url = os.environ.get("GPT2_API_URL", "http://127.0.0.1:8080")
host = url.split("://")[1]
auth = BotoAWSRequestsAuth(aws_host=host, aws_region="us-east-1", aws_service="sagemaker")
request = {"input": "Once upon a time", "mode": "beam", "num_beams": 4, "num_return_sequences": 2, "max_new_tokens": 20}
response = requests.post(f"{url}/endpoints/gpt-2/invocations", json=request, auth=auth, timeout=60)
response.raise_for_status()
for text in response.json():
    print("-", text)
