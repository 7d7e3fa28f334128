"""Prepare the object store, once: the bucket, and an account that may use this bucket and nothing else.

Run by the store's root. It can be repeated, and then gives the account the present secret key and policy.
"""

import json
import os
from pathlib import Path

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider

SECRETS = Path(os.environ["GANZHENG_SECRETS_DIR"])
ENDPOINT = os.environ["GANZHENG_S3_ENDPOINT"]
BUCKET = os.environ["GANZHENG_S3_BUCKET"]
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
            "Resource": [f"arn:aws:s3:::{BUCKET}"],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
        },
    ],
}


def secret(name: str) -> str:
    return (SECRETS / name).read_text().strip()


def main() -> None:
    root = StaticProvider(secret("s3_root_user"), secret("s3_root_password"))
    store = Minio(ENDPOINT, credentials=root, secure=False, region="us-east-1")
    if not store.bucket_exists(BUCKET):
        store.make_bucket(BUCKET)
    account = secret("s3_access_key")
    admin = MinioAdmin(endpoint=ENDPOINT, credentials=root, secure=False)
    admin.policy_add(BUCKET, policy=POLICY)
    admin.user_add(account, secret("s3_secret_key"))
    admin.policy_set(BUCKET, user=account)
    print(json.dumps({"event": "store.prepared", "bucket": BUCKET, "account": account}))


if __name__ == "__main__":
    main()
