"""Makes test/fixtures/sigv4/botocore.json: requests signed by botocore, with the stages of each signature.

    pip install botocore && python conformance/sigv4/make_vectors.py > test/fixtures/sigv4/botocore.json

The header sets are those that clients were seen to sign: "signed" headers are given to botocore before it signs, "sent"
ones are added after. Strings hold one character per byte, as Node delivers them. The output depends on nothing but
botocore's rules, so any version that keeps them writes the same file.
"""

import datetime
import hashlib
import json
import sys
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+/==="
TIME = datetime.datetime(2015, 8, 30, 12, 36, 0)
BODY = '{"input":"This is an input text"}'
HOST = "http://localhost:8080"
PATH = "/endpoints/gpt-2/invocations"
JSON = ("Content-Type", "application/json")


def case(name, url=PATH, method="POST", body=BODY, signed=(JSON,), sent=(), token=None):
    return locals()


def clients():
    """The header set of each client; all but botocore's own are imitated."""
    length = ("content-length", str(len(BODY)))
    digest = ("x-amz-content-sha256", hashlib.sha256(BODY.encode()).hexdigest())
    trace = (("amz-sdk-invocation-id", "8f3a"), ("amz-sdk-request", "attempt=1; max=3"))
    custom = ("X-Amzn-SageMaker-Custom-Attributes", "trace=7, user=a b")
    yield case("boto3", signed=(JSON, ("Accept", "application/json"), custom), sent=(("User-Agent", "Boto3/1"), *trace))
    yield case("boto3 without content type", signed=())
    yield case("aws-sdk-js v3", signed=(JSON, length, *trace, ("x-amz-user-agent", "aws-sdk-js/3"), digest))
    yield case("aws-requests-auth", signed=(), sent=(JSON, ("Accept", "*/*"), digest))
    yield case("aws-requests-auth, session token", signed=(), sent=(JSON, digest), token=TOKEN)
    yield case("curl", signed=(JSON, ("X-Extra", "1")), sent=(("User-Agent", "curl/7.88.1"), ("Accept", "*/*")))
    yield case("aws4", signed=(length, JSON))
    yield case("aws4fetch", signed=(), sent=(JSON,))


def cases():
    yield case("plain")
    yield case("session token", token=TOKEN)
    yield case("empty body", body="", signed=())
    yield case("body of other bytes", body="caf\u00e9 \u4e16\u754c \u0000\n")
    yield case("white space in headers", signed=(JSON, ("X-Spaces", "  a   b\t \tc  "), ("X-Quoted", '"a   b"'), ("X-Empty", "")))
    yield case("repeated header lines", signed=(JSON, ("X-Twice", "b  b"), ("X-Other", "1"), ("x-twice", " a "), ("X-TWICE", "")))
    yield case("header of UTF-8 text", signed=(JSON, ("X-Name", "\u00e0 la  carte \u4e16")))
    yield case("query out of order", PATH + "?b=2&a=3&a=1&B=4&a-b=5&aa=6")
    yield case("query without values", PATH + "?acl&empty=&b=1&acl=0")
    yield case("empty query", PATH + "?")
    yield case("query with empty pairs", PATH + "?a=1&&b=2&")
    yield case("encoded query", PATH + "?z=a%2Bb%3Dc%26d&%E1%88%B4=bar&sp=a%20b&tilde=~-._&a%2Fb=c%2Fd&eq=%3Dy")
    yield case("UTF-8 path", "/endpoints/%E1%88%B4/invocations")
    yield case("encoded path", "/endpoints/a%20b%2Fc+d=e,f;g@h:i!j$k'(l)*m/invocations")
    yield case("percent sign in path", "/endpoints/100%/invocations")
    yield case("dot segments", "/./endpoints/../x/../endpoints/gpt-2/./invocations")
    yield case("dot segments above the root", "/../../endpoints/gpt-2/invocations/..")
    yield case("double slashes", "//endpoints///gpt-2/invocations//")
    yield case("trailing slash", PATH + "/")
    yield case("root", "/")
    yield case("other method", method="DELETE", body="")
    yield from clients()


def sign(case):
    request = AWSRequest(method=case["method"], url=HOST + case["url"], data=case["body"].encode())
    for name, value in case["signed"]:
        request.headers.add_header(name, value)
    signer = botocore.auth.SigV4Auth(Credentials(KEY_ID, SECRET, case["token"]), "sagemaker", "us-east-1")
    with mock.patch("botocore.auth.get_current_datetime", return_value=TIME):
        signer.add_auth(request)
    for name, value in case["sent"]:
        request.headers.add_header(name, value)
    authorization = request.headers["Authorization"]
    canonical = request_without(signer, request, case["sent"])
    string_to_sign = signer.string_to_sign(request, canonical)
    assert authorization.endswith("Signature=" + signer.signature(string_to_sign, request))
    headers = [("Host", HOST.removeprefix("http://")), *request.headers.items()]
    return {
        "name": case["name"],
        "request": {
            "method": case["method"],
            "rawUrl": case["url"],
            "rawHeaders": [raw(text) for header in headers for text in header],
            "body": raw(case["body"]),
        },
        "sessionToken": case["token"],
        "canonicalRequest": raw(canonical),
        "stringToSign": string_to_sign,
        "signature": authorization.rpartition("=")[2],
    }


def request_without(signer, request, sent):
    """botocore's canonical request, as it was before Authorization and the unsigned headers were added."""
    bare = AWSRequest(method=request.method, url=request.url, data=request.data)
    unsigned = {"authorization", *(name.lower() for name, _ in sent)}
    for name, value in request.headers.items():
        if name.lower() not in unsigned:
            bare.headers.add_header(name, value)
    return signer.canonical_request(bare)


def raw(text):
    return text.encode().decode("latin1")


json.dump([sign(case) for case in cases()], sys.stdout, indent=1, ensure_ascii=True)
sys.stdout.write("\n")
